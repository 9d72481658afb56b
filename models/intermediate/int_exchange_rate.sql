-- One row per rate into the base currency and the days it may be used on: until the next one, and not when too old.
-- Beside it the currency's constant rate: that of the configured day, else the latest by the build's last day.
{%- set constant_rates_on = company().get('constant_rates_on') %}
{%- set max_age_days = company().thresholds.max_rate_age_days %}
{%- set last_day = business_date('build.as_of - interval 1 microsecond') %}
{%- set constant_day = "date '" ~ constant_rates_on ~ "'" if constant_rates_on else last_day %}
{%- set oldest_day = constant_day ~ ' - ' ~ max_age_days if constant_rates_on else "date '0001-01-01'" %}

with

rates as (

    select
        from_currency as currency_code,
        cast(valid_on as date) as valid_on,
        cast(rate as decimal(18, 8)) as rate
    from {{ ref('exchange_rate') }}
    where to_currency = '{{ company().base_currency }}' and from_currency <> '{{ company().base_currency }}'

),

-- A configured day asks for a rate that is young enough then; of what is no longer traded the last rate will do.
constant_rates as (

    select
        rates.currency_code,
        rates.rate,
        row_number() over (partition by rates.currency_code order by rates.valid_on desc) as recency
    from rates
    cross join {{ ref('stg_kpimart__build') }} as build
    where
        rates.valid_on <= {{ constant_day }}
        and rates.valid_on >= {{ oldest_day }}

),

into_base as (

    select
        rates.currency_code,
        rates.valid_on as valid_from,
        least(
            lead(rates.valid_on) over (partition by rates.currency_code order by rates.valid_on),
            rates.valid_on + {{ max_age_days + 1 }}
        ) as valid_to,
        rates.rate,
        constant_rates.rate as constant_rate
    from rates
    left join constant_rates
        on rates.currency_code = constant_rates.currency_code and constant_rates.recency = 1

),

base as (

    select
        '{{ company().base_currency }}' as currency_code,
        date '0001-01-01' as valid_from,
        date '9999-12-31' as valid_to,
        cast(1 as decimal(18, 8)) as rate,
        cast(1 as decimal(18, 8)) as constant_rate

)

select * from into_base

union all

select * from base
