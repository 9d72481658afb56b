-- One row per month of the company's calendar, from the first whole one on to the last that is forecast, with the
-- stretch of knowledge that is new in a forecast made at its end.
{%- set furthest = forecast_horizon() | int %}

with

build as (

    select * from {{ ref('build_moment') }}

),

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain = 'month'

),

ledger as (

    select * from {{ ref('fct_deal_event') }}

),

-- A month of a year of weeks has five of them at most.
days as (

    select cast(unnest(generate_series(last_day, last_day + {{ (furthest + 2) * 35 }}, interval 1 day)) as date) as day
    from build

),

{{ calendar_of_days() }},

to_come as (

    select
        month_start as period_start,
        max(day) as period_end
    from calendar
    group by month_start

),

-- The month that goes on is whole among those of the past, and only begun among those to come.
months as (

    select
        period_start,
        period_end,
        is_complete
    from periods
    where is_covered

    union all

    select
        to_come.period_start,
        to_come.period_end,
        false as is_complete
    from to_come
    where to_come.period_start > (select max(periods.period_start) from periods)

),

lined_up as (

    select
        period_start,
        period_end,
        is_complete,
        cast(row_number() over (order by period_start) - 1 as integer) as period_number,
        cast(sum(case when is_complete then 1 else 0 end) over () as integer) as complete_months
    from months

),

-- Nothing was known before the first load, whatever it told of the past.
loaded as (

    select coalesce(min(recorded_at), {{ always() }}) + interval 1 day as loaded_by
    from ledger

),

known as (

    select
        lined_up.*,
        greatest({{ start_of_day('lined_up.period_end + 2') }}, loaded.loaded_by) as known_until,
        loaded.loaded_by > {{ start_of_day('lined_up.period_end + 2') }} as is_loaded_later
    from lined_up
    cross join loaded

)

select
    period_number,
    period_start,
    period_end,
    is_complete,
    cast(period_number - complete_months + 1 as integer) as horizon,
    lag(known_until, 1, {{ always() }}) over (order by period_number) as known_from,
    known_until,
    is_loaded_later
from known
where period_number < complete_months + {{ furthest }}
