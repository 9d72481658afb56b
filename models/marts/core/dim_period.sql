-- One row per period of each grain, from the first event's to the one that the build's last day lies in.
with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

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
        period_grain,
        period_start,
        min(period_name) as period_name,
        max(day) as period_end,
        max(case when is_covered then day end) as last_day,
        count(case when is_working_day then day end) as working_days,
        count(case when is_working_day and day <= build.last_day then day end) as working_days_elapsed
    from days_of_periods
    cross join build
    group by period_grain, period_start
    having max(case when is_covered then day end) is not null

)

select
    periods.period_grain,
    periods.period_start,
    periods.period_end,
    periods.period_name,
    {{ start_of_day("periods.period_end + 1") }} <= build.as_of as is_complete,
    periods.last_day,
    cast(periods.working_days as integer) as working_days,
    cast(periods.working_days_elapsed as integer) as working_days_elapsed
from periods
cross join build
