-- One row per period of each grain, from the first event's to the one that the build's last day lies in.
with

days as (

    select * from {{ ref('dim_period_day') }}

),

build as (

    select * from {{ ref('build_moment') }}

),

periods as (

    select
        period_grain,
        period_start,
        cast(case period_grain
            when 'day' then period_start
            when 'week' then period_start + interval 6 day
            when 'month' then period_start + interval 1 month - interval 1 day
            when 'quarter' then period_start + interval 3 month - interval 1 day
            when 'year' then period_start + interval 1 year - interval 1 day
        end as date) as period_end,
        max(day) as last_day
    from days
    group by period_grain, period_start

)

select
    periods.period_grain,
    periods.period_start,
    periods.period_end,
    {{ start_of_day("periods.period_end + 1") }} <= build.as_of as is_complete,
    periods.last_day
from periods
cross join build
