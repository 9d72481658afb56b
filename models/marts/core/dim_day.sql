-- One row per day of the periods that the build covers, and of the year after them, which is planned: whether it is
-- worked, and the periods that it lies in.
{%- set working_hours = company().working_hours %}
with

build as (

    select * from {{ ref('build_moment') }}

),

events as (

    select * from {{ ref('fct_deal_event') }}

),

activities as (

    select * from {{ ref('fct_activity') }}

),

-- Not fct_lead, whose working hours are counted by these days.
leads as (

    {{ from_every_crm('lead') }}

),

holidays as (

    select
        cast(day as date) as day,
        is_working_day,
        name_en as holiday_name
    from {{ ref('holiday') }}
    where calendar = '{{ company().holidays or "" }}'

),

span as (

    select
        build.last_day,
        least(
            (select min(events.occurred_on) from events),
            (select min(activities.occurred_on) from activities),
            (select {{ business_date('min(leads.created_at)') }} from leads where not leads.is_deleted),
            build.last_day
        ) as first_day
    from build

),

-- Further than the longest year, which has 53 weeks, and the week that goes beyond it; on to the end of the next one.
days as (

    select cast(unnest(generate_series(first_day - 378, last_day + 2 * 378, interval 1 day)) as date) as day
    from span

),

{{ calendar_of_days() }},

edges as (

    select
        span.first_day as first_covered,
        span.last_day as last_covered,
        least(first_day.week_start, first_day.year_start) as first_start,
        last_day.week_start as last_week_start,
        (
            select min(later.year_start) from calendar as later
            where later.year_start > last_day.year_start
        ) as next_year_start
    from span
    inner join calendar as first_day
        on span.first_day = first_day.day
    inner join calendar as last_day
        on span.last_day = last_day.day

),

whole_periods as (

    select
        calendar.*,
        calendar.day between edges.first_covered and edges.last_covered as is_covered
    from calendar
    cross join edges
    where
        calendar.day >= edges.first_start
        and (calendar.week_start <= edges.last_week_start or calendar.year_start <= edges.next_year_start)

),

opened as (

    select
        whole_periods.*,
        holidays.holiday_name,
        {{ time_of_day('whole_periods.day', working_hours.start) }} as opens_at,
        -- a day that the time zone skipped ends where it begins
        least(
            {{ time_of_day('whole_periods.day', working_hours.end, 24 if working_hours.end == '00:00:00' else 0) }},
            {{ start_of_day('whole_periods.day + 1') }}
        ) as closes_at,
        coalesce(
            holidays.is_working_day,
            cast(whole_periods.day - cast(date_trunc('week', whole_periods.day) as date) as integer) in (
                {%- for weekday in company().working_days %}
                {{ weekdays().index(weekday) }}{{ ',' if not loop.last }}
                {%- endfor %}
            )
        ) as is_to_be_worked
    from whole_periods
    left join holidays
        on whole_periods.day = holidays.day

),

worked as (

    select
        *,
        is_to_be_worked and opens_at < closes_at as is_working_day,
        case
            when is_to_be_worked and opens_at < closes_at
                then {{ dbt.datediff('opens_at', 'closes_at', 'second') }}
            else 0
        end as working_seconds
    from opened

)

select
    day,
    week_start,
    week_name,
    month_start,
    month_name,
    quarter_start,
    quarter_name,
    year_start,
    year_name,
    is_covered,
    is_working_day,
    holiday_name,
    case when is_working_day then opens_at end as opens_at,
    case when is_working_day then closes_at end as closes_at,
    cast(
        sum(working_seconds) over (order by day rows between unbounded preceding and current row)
        - working_seconds as bigint
    ) as working_seconds_before
from worked
