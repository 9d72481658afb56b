-- One row per period of each grain, from that of the first event, lead or activity to that of the build's last day.
with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

-- The figures begin with their first day, and with the days off just before it, on which nothing is missed.
known as (

    select coalesce(max(days.day) + 1, date '0001-01-01') as known_from
    from days
    where days.is_working_day and days.day < (select min(covered.day) from days as covered where covered.is_covered)

),

days_of_periods as (

    {% for grain in grains() %}
    select
        '{{ grain }}' as period_grain,
        {{ 'day' if grain == 'day' else grain ~ '_start' }} as period_start,
        {{ 'cast(day as varchar)' if grain == 'day' else grain ~ '_name' }} as period_name,
        day,
        is_covered,
        is_working_day
    from days
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

periods as (

    select
        days_of_periods.period_grain,
        days_of_periods.period_start,
        min(days_of_periods.period_name) as period_name,
        max(days_of_periods.day) as period_end,
        max(case when days_of_periods.is_covered then days_of_periods.day end) as last_day,
        count(case when days_of_periods.is_working_day then days_of_periods.day end) as working_days,
        count(
            case
                when days_of_periods.is_working_day and days_of_periods.day <= build.last_day
                    then days_of_periods.day
            end
        ) as working_days_elapsed
    from days_of_periods
    cross join build
    group by days_of_periods.period_grain, days_of_periods.period_start
    having max(case when days_of_periods.is_covered then days_of_periods.day end) is not null

)

select
    periods.period_grain,
    periods.period_start,
    periods.period_end,
    periods.period_name,
    {{ start_of_day("periods.period_end + 1") }} <= build.as_of as is_complete,
    periods.period_start >= known.known_from as is_covered,
    periods.last_day,
    cast(periods.working_days as integer) as working_days,
    cast(periods.working_days_elapsed as integer) as working_days_elapsed
from periods
cross join build
cross join known
