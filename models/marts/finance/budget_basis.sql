-- One row per KPI that is planned, entity and period (month, quarter, year, and the year up to a month), from three
-- years ago to next year: what was reached, all and in the months that are over, and what is planned.
{%- set planned_always = ['won_amount', 'won_deals', 'new_customers', 'leads_created'] %}

with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

covered as (

    select * from {{ ref('dim_period') }}
    where period_grain = 'month'

),

figures as (

    select * from {{ ref('kpi_value') }}

),

targets as (

    select * from {{ ref('fct_target_in_force') }}

),

presence as (

    select * from {{ ref('entity_working_days') }}
    where period_grain = 'month'

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level in ('company', 'department', 'manager')

),

---------- what is planned: what has a forecast, what people chose to be judged by, what has a target

chosen_kpis as (

    select kpi_code from {{ ref('kpi_profile') }}
    where profile = '{{ company().profile }}'
    union
    select kpi_code from {{ ref('kpi_assigned') }}
    union
    select kpi_code from targets

),

kpis as (

    select
        catalogue.kpi_code,
        replace(catalogue.unit, 'currency', '{{ company().base_currency }}') as unit
    from {{ ref('kpi_catalogue') }} as catalogue
    left join chosen_kpis
        on catalogue.kpi_code = chosen_kpis.kpi_code
    where
        catalogue.kpi_code in {{ sql_list(additive_kpis()) }}
        and (chosen_kpis.kpi_code is not null or catalogue.kpi_code in {{ sql_list(planned_always) }})

),

---------- periods, and the months that each is made of

calendar as (

    select
        month_start,
        quarter_start,
        year_start,
        min(month_name) as month_name,
        min(quarter_name) as quarter_name,
        min(year_name) as year_name,
        max(day) as month_end,
        count(case when is_working_day then day end) as working_days,
        dense_rank() over (order by year_start) as year_number
    from days
    group by month_start, quarter_start, year_start

),

this_year as (

    select calendar.year_number
    from calendar
    inner join build
        on build.last_day between calendar.month_start and calendar.month_end

),

months as (

    select
        calendar.*,
        cast(calendar.year_number - this_year.year_number as integer) as years_ahead
    from calendar
    cross join this_year
    where calendar.year_number - this_year.year_number between -3 and 1

),

months_of_periods as (

    {% for grain in ['month', 'quarter', 'year'] %}
    select
        'period' as scope,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        {{ grain }}_name as period_name,
        years_ahead,
        month_start,
        month_end
    from months

    union all

    {% endfor %}
    select
        'year_to_date' as scope,
        'month' as period_grain,
        months.month_start as period_start,
        months.month_name as period_name,
        months.years_ahead,
        parts.month_start,
        parts.month_end
    from months
    inner join months as parts
        on months.year_start = parts.year_start and months.month_start >= parts.month_start

),

periods as (

    select
        scope,
        period_grain,
        period_start,
        period_name,
        years_ahead,
        max(month_end) as period_end,
        row_number() over (partition by scope, period_grain, years_ahead order by period_start) as place
    from months_of_periods
    group by scope, period_grain, period_start, period_name, years_ahead

),

---------- what is known of each month

-- A sum over nothing is 0; that of amounts not known is not, and before the first figures nothing is known.
known as (

    select
        kpis.kpi_code,
        entities.entity_id,
        entities.entity_level,
        entities.entity_key,
        months.month_start,
        coalesce(covered.is_complete, months.month_start <= build.last_day) as is_over,
        coalesce(covered.is_covered, months.month_start > build.last_day) as is_covered,
        covered.period_start is not null as has_figures,
        case when figures.kpi_code is null and covered.period_start is not null then 0 else figures.value end as value,
        targets.target_value,
        months.working_days,
        coalesce(presence.days_there, 0) as days_there
    from months
    cross join build
    cross join kpis
    cross join entities
    left join covered
        on months.month_start = covered.period_start
    left join figures
        on
            figures.period_grain = 'month'
            and kpis.kpi_code = figures.kpi_code
            and entities.entity_level = figures.entity_level
            and entities.entity_key = figures.entity_key
            and months.month_start = figures.period_start
    left join targets
        on
            targets.period_grain = 'month'
            and kpis.kpi_code = targets.kpi_code
            and entities.entity_id = targets.entity_id
            and months.month_start = targets.period_start
    left join presence
        on entities.entity_id = presence.entity_id and months.month_start = presence.period_start

),

---------- and of each period

added_up as (

    select
        known.kpi_code,
        known.entity_id,
        known.entity_level,
        known.entity_key,
        parts.scope,
        parts.period_grain,
        parts.period_start,
        count(case when not known.is_covered then 1 end) = 0 as is_covered,
        count(case when known.has_figures then 1 end) > 0 as has_figures,
        count(case when known.has_figures and known.value is null then 1 end) as months_not_known,
        sum(known.value) as value,
        count(case when known.is_over then 1 end) as months_over,
        count(case when known.is_over and known.has_figures then 1 end) as months_over_with_figures,
        sum(case when known.is_over then known.value end) as value_of_months_over,
        count(case when known.days_there > 0 and known.target_value is null then 1 end) as months_not_planned,
        sum(known.target_value) as target_value,
        sum(known.working_days) as working_days,
        sum(known.days_there) as days_there,
        min(case when not known.is_over then known.month_start end) as first_open_month,
        max(known.month_start) as last_month
    from known
    inner join months_of_periods as parts
        on known.month_start = parts.month_start
    group by
        known.kpi_code,
        known.entity_id,
        known.entity_level,
        known.entity_key,
        parts.scope,
        parts.period_grain,
        parts.period_start

),

-- What was reached in a period is what is published of it. A year up to a month is published by nobody: it is the sum of
-- what is known, and not known where that is nothing.
reached as (

    select
        added_up.*,
        case
            when added_up.scope = 'period' and figures.kpi_code is not null then figures.value
            when added_up.scope = 'period' and added_up.has_figures then 0
            when added_up.scope = 'year_to_date' and (added_up.months_not_known = 0 or added_up.value <> 0)
                then added_up.value
        end as actual
    from added_up
    left join figures
        on
            added_up.scope = 'period'
            and added_up.period_grain = figures.period_grain
            and added_up.period_start = figures.period_start
            and added_up.kpi_code = figures.kpi_code
            and added_up.entity_level = figures.entity_level
            and added_up.entity_key = figures.entity_key

),

planned as (

    select
        reached.*,
        case
            when reached.scope = 'period' then targets.target_value
            when reached.months_not_planned = 0 then reached.target_value
        end as plan
    from reached
    left join targets
        on
            reached.scope = 'period'
            and reached.kpi_code = targets.kpi_code
            and reached.entity_id = targets.entity_id
            and reached.period_grain = targets.period_grain
            and reached.period_start = targets.period_start

)

select
    planned.kpi_code,
    planned.scope,
    planned.period_grain,
    planned.period_start,
    periods.period_end,
    periods.period_name,
    periods.years_ahead,
    cast(periods.place as integer) as place,
    planned.first_open_month is null as is_complete,
    planned.is_covered,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    kpis.unit,
    cast(planned.working_days as integer) as working_days,
    cast(planned.days_there as integer) as days_there,
    cast(planned.actual as decimal(28, 8)) as actual,
    cast(
        case
            when planned.first_open_month is null then planned.actual
            when planned.months_over = 0 then 0
            -- Added to a forecast, what is not known is nothing: otherwise its manager's forecast would be the company's
            -- and nobody's. Where no month that is over has figures, nothing is to be said.
            when planned.months_over_with_figures > 0 then coalesce(planned.value_of_months_over, 0)
        end as decimal(28, 8)
    ) as complete_actual,
    cast(planned.plan as decimal(28, 8)) as plan,
    planned.days_there > 0 or planned.plan is not null or coalesce(planned.value, 0) <> 0 as is_there,
    planned.first_open_month,
    planned.last_month
from planned
inner join periods
    on
        planned.scope = periods.scope
        and planned.period_grain = periods.period_grain
        and planned.period_start = periods.period_start
inner join entities
    on planned.entity_id = entities.entity_id
inner join kpis
    on planned.kpi_code = kpis.kpi_code
-- whoever is not there, did nothing and is to do nothing has no row; of what is to come there may be a forecast
where
    planned.days_there > 0
    or planned.plan is not null
    or planned.value <> 0
    or planned.first_open_month is not null
