-- One row per KPI that adds up, entity, kind of season and number in it: how much of a usual month falls into the months
-- of that name, how much of a usual working day onto that weekday. Months: of all entities, the ratio to the centred
-- moving average over a year; weekdays: of the company and of departments.
{%- set series = 'kpi_code, entity_level, entity_key' %}
{%- set described = 'department_id, manager_id, entity_name' %}

with

days as (

    select * from {{ ref('dim_day') }}

),

---------- months

numbered_months as (

    select
        periods.period_start,
        cast(
            {%- if has_fiscal_weeks() %}
            row_number() over (partition by first_days.year_start order by periods.period_start)
            {%- else %}
            extract(month from periods.period_start)
            {%- endif %} as integer
        ) as number_in_year
    from {{ ref('dim_period') }} as periods
    inner join days as first_days
        on periods.period_start = first_days.day
    where periods.period_grain = 'month'

),

monthly as (

    select
        levels.kpi_code,
        levels.entity_level,
        levels.entity_key,
        levels.department_id,
        levels.manager_id,
        levels.entity_name,
        levels.period_number,
        numbered_months.number_in_year,
        levels.working_day_adjusted_value as value
    from {{ ref('kpi_trend_level') }} as levels
    inner join numbered_months
        on levels.period_start = numbered_months.period_start
    where
        levels.period_grain = 'month'
        and levels.is_flow
        and levels.is_whole
        and levels.working_day_adjusted_value is not null

),

-- A year around the middle of a month: half of the month six before, and half of the one six after.
smoothed as (

    select
        *,
        count(value) over around as month_count,
        (sum(value) over around + sum(value) over closely_around) / 24 as usual_value
    from monthly
    window
        around as (
            partition by {{ series }} order by period_number range between 6 preceding and 6 following
        ),
        closely_around as (
            partition by {{ series }} order by period_number range between 5 preceding and 5 following
        )

),

-- Two years of months at least, so that each month of the year has been seen.
averaged as (

    select
        {{ series }},
        {{ described }},
        number_in_year,
        cast(avg(cast(round(value / usual_value, 12) as decimal(28, 12))) as decimal(28, 12)) as mean_ratio,
        count(*) as ratio_count
    from smoothed
    where month_count = 13 and usual_value > 0
    group by {{ series }}, {{ described }}, number_in_year

),

of_months as (

    select
        *,
        mean_ratio / avg(mean_ratio) over whole_year as seasonal_index,
        count(*) over whole_year as number_count
    from averaged
    window whole_year as (partition by {{ series }})

),

---------- weekdays

working_days as (

    select
        day,
        cast(day - cast(date_trunc('week', day) as date) + 1 as integer) as weekday
    from days
    where is_covered and is_working_day

),

of_working_days as (

    select
        figures.kpi_code,
        figures.entity_level,
        figures.entity_key,
        max(figures.department_id) as department_id,
        max(figures.entity_name) as entity_name,
        working_days.weekday,
        sum(figures.value) as value,
        min(figures.period_start) as first_day,
        max(figures.period_start) as last_day,
        bool_and(figures.value is not null) as is_known
    from {{ ref('kpi_value') }} as figures
    inner join working_days
        on figures.period_start = working_days.day
    where
        figures.period_grain = 'day'
        and figures.entity_level in ('company', 'department')
        and figures.kpi_code in {{ sql_list(additive_kpis()) }}
    group by figures.kpi_code, figures.entity_level, figures.entity_key, working_days.weekday

),

-- From the first to the last day on which something was: a day without a row is a day with nothing.
spans as (

    select
        {{ series }},
        min(first_day) as first_day,
        max(last_day) as last_day,
        bool_and(is_known) as is_known
    from of_working_days
    group by {{ series }}

),

counted_days as (

    select
        spans.kpi_code,
        spans.entity_level,
        spans.entity_key,
        working_days.weekday,
        count(*) as day_count
    from spans
    inner join working_days
        on spans.first_day <= working_days.day and spans.last_day >= working_days.day
    where spans.is_known
    group by spans.kpi_code, spans.entity_level, spans.entity_key, working_days.weekday

),

of_weekdays as (

    select
        counted_days.kpi_code,
        counted_days.entity_level,
        counted_days.entity_key,
        max(of_working_days.department_id) over whole_week as department_id,
        max(of_working_days.entity_name) over whole_week as entity_name,
        counted_days.weekday,
        counted_days.day_count,
        coalesce(of_working_days.value, 0) as value,
        sum(of_working_days.value) over whole_week as whole_value,
        sum(counted_days.day_count) over whole_week as whole_count
    from counted_days
    left join of_working_days
        on
            counted_days.kpi_code = of_working_days.kpi_code
            and counted_days.entity_level = of_working_days.entity_level
            and counted_days.entity_key = of_working_days.entity_key
            and counted_days.weekday = of_working_days.weekday
    window
        whole_week as (partition by counted_days.kpi_code, counted_days.entity_level, counted_days.entity_key)

)

select
    kpi_code,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    'month_of_year' as kind,
    number_in_year as number,
    cast(round(seasonal_index, 6) as decimal(18, 6)) as seasonal_index,
    cast(ratio_count as integer) as sample
from of_months
where number_count = 12

union all

select
    kpi_code,
    entity_level,
    entity_key,
    department_id,
    cast(null as varchar) as manager_id,
    entity_name,
    'weekday' as kind,
    weekday as number,
    cast(round(value * whole_count / (day_count * whole_value), 6) as decimal(18, 6)) as seasonal_index,
    cast(day_count as integer) as sample
from of_weekdays
where whole_value > 0
