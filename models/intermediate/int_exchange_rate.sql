-- One row per rate into the base currency and the days it may be used on: until the next one, and not when too old.
with

rates as (

    select * from {{ ref('exchange_rate') }}

),

into_base as (

    select
        from_currency as currency_code,
        cast(valid_on as date) as valid_from,
        least(
            lead(cast(valid_on as date)) over (partition by from_currency order by valid_on),
            cast(valid_on as date) + {{ company().thresholds.max_rate_age_days + 1 }}
        ) as valid_to,
        cast(rate as decimal(18, 8)) as rate
    from rates
    where to_currency = '{{ company().base_currency }}'

),

base as (

    select
        '{{ company().base_currency }}' as currency_code,
        date '0001-01-01' as valid_from,
        date '9999-12-31' as valid_to,
        cast(1 as decimal(18, 8)) as rate

)

select * from into_base
where currency_code <> '{{ company().base_currency }}'

union all

select * from base
