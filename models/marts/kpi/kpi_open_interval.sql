-- One row per stretch of an open deal that had begun by `as_of`, in business days: it is open on the evening of started_on
-- and no longer on the evening of ended_on. What was open before everything else is open from the first day on.
{%- set stale_after_days = company().definitions.stale_after_days %}

with

build as (

    select
        as_of,
        last_day,
        (select min(days.day) from {{ ref('dim_period_day') }} as days) as first_day
    from {{ ref('build_moment') }}

),

intervals as (

    select * from {{ ref('fct_deal_open_interval') }}

)

select
    intervals.deal_id,
    intervals.manager_id,
    intervals.department_id,
    intervals.account_id,
    intervals.amount,
    cast(round(intervals.amount * intervals.probability, 2) as decimal(18, 2)) as weighted_amount,
    cast(intervals.account_id is not null as integer)
    + cast(intervals.amount is not null as integer)
    + cast(intervals.expected_close_on is not null as integer) as fields_filled,
    greatest(coalesce(intervals.started_on, build.first_day), build.first_day) as started_on,
    case when intervals.ended_at < build.as_of then greatest(intervals.ended_on, build.first_day) end as ended_on,
    intervals.stage_entered_on + {{ stale_after_days + 1 }} as stale_on
from intervals
cross join build
where intervals.started_at is null or intervals.started_at < build.as_of
