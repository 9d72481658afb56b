with

build as (

    select * from {{ ref('build_moment') }}

),

unconverted as (

    select
        events.currency_code,
        events.credited_on as day
    from {{ ref('fct_deal_event') }} as events
    cross join build
    where events.native_amount is not null and events.amount is null and events.occurred_at < build.as_of

    union all

    select
        intervals.currency_code,
        intervals.booked_on as day
    from {{ ref('fct_deal_open_interval') }} as intervals
    cross join build
    where
        intervals.native_amount is not null
        and intervals.amount is null
        and (intervals.started_at is null or intervals.started_at < build.as_of)

)

select
    currency_code,
    min(day) as first_day,
    max(day) as last_day,
    count(*) as amount_count
from unconverted
group by currency_code
order by currency_code
