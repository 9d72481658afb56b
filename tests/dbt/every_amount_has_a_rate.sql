{%- set base_currency = company().base_currency %}
{%- set max_age_days = company().thresholds.max_rate_age_days %}
{%- set constant_rates_on = company().get('constant_rates_on') %}
{%- set constant_day = "date '" ~ constant_rates_on ~ "'" if constant_rates_on else 'build.last_day' %}

with

build as (

    select * from {{ ref('build_moment') }}

),

amounts as (

    select
        events.deal_id,
        events.currency_code,
        events.credited_on as day,
        events.amount,
        events.constant_amount
    from {{ ref('fct_deal_event') }} as events
    cross join build
    where events.native_amount is not null and events.occurred_at < build.as_of

    union all

    select
        intervals.deal_id,
        intervals.currency_code,
        intervals.booked_on as day,
        intervals.amount,
        intervals.constant_amount
    from {{ ref('fct_deal_open_interval') }} as intervals
    cross join build
    where
        intervals.native_amount is not null
        and (intervals.started_at is null or intervals.started_at < build.as_of)

),

unconverted as (

    select
        deal_id,
        currency_code,
        'rate' as what,
        day,
        min(day) over (partition by currency_code) as first_day
    from amounts
    where amount is null

    union all

    select
        amounts.deal_id,
        amounts.currency_code,
        'constant rate' as what,
        {{ constant_day }} as day,
        {{ constant_day }} as first_day
    from amounts
    cross join build
    where amounts.amount is not null and amounts.constant_amount is null

),

counted as (

    select
        currency_code,
        what,
        count(distinct deal_id) as deal_count,
        count(distinct day) as day_count,
        min(day) as first_day,
        max(day) as last_day
    from unconverted
    group by currency_code, what

),

-- One rate is enough for as many days as it holds.
rates as (

    select
        currency_code,
        what,
        min(day) as valid_on
    from unconverted
    group by currency_code, what, floor((day - first_day) / {{ max_age_days + 1 }}.0)

),

lines as (

    select
        currency_code,
        what,
        string_agg(
            chr(10) || '    '
            || concat_ws(',', currency_code, '{{ base_currency }}', cast(valid_on as varchar), '<rate>'),
            '' order by valid_on
        ) as lines
    from rates
    group by currency_code, what

)

select
    counted.currency_code || ': no ' || counted.what || ' into {{ base_currency }} '
    || 'that is at most {{ max_age_days }} days old on ' || cast(counted.first_day as varchar)
    || case
        when counted.day_count > 1
            then ' and ' || (counted.day_count - 1) || ' more days to ' || cast(counted.last_day as varchar)
        else ''
    end
    || ' (deals: ' || counted.deal_count || '); add' || lines.lines as problem
from counted
inner join lines
    on counted.currency_code = lines.currency_code and counted.what = lines.what
order by counted.currency_code, counted.what
