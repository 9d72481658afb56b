-- One row per KPI, period and entity that has a target, or that should have one because the KPI is in its scorecard: how
-- far the target was reached; while the period goes on, whether that is as much as is usual by now, and where it leads.
{%- set base_currency = company().base_currency %}

with

kpis as (

    select
        *,
        kpi_code in {{ sql_list(additive_kpis()) }} as is_additive
    from {{ ref('kpi_catalogue') }}

),

profile as (

    select * from {{ ref('kpi_profile') }}
    where profile = '{{ company().profile }}'

),

assigned as (

    select * from {{ ref('kpi_assigned') }}

),

targets as (

    select * from {{ ref('fct_target_in_force') }}

),

periods as (

    select * from {{ ref('dim_period') }}

),

-- Days and weeks are most of what is published: they are read only where a target is for one.
asked_kpis as (

    select kpi_code from profile
    union
    select kpi_code from assigned
    union
    select kpi_code from targets

),

asked_grains as (

    select period_grain from periods
    where period_grain in ('month', 'quarter', 'year')
    union
    select period_grain from targets

),

figures as (

    select
        figures.kpi_code,
        figures.period_grain,
        figures.period_start,
        figures.entity_level,
        figures.entity_key,
        figures.is_complete,
        figures.value,
        figures.sample_size
    from {{ ref('kpi_value') }} as figures
    inner join asked_kpis
        on figures.kpi_code = asked_kpis.kpi_code
    inner join asked_grains
        on figures.period_grain = asked_grains.period_grain

),

entities as (

    select * from {{ ref('dim_entity') }}

),

usual as (

    select * from {{ ref('kpi_usual_share') }}

),

---------- what has a target, or should have one

presence as (

    select * from {{ ref('entity_working_days') }}

),

-- Whoever stands for those that nobody knows is judged by nobody.
judged as (

    select * from presence
    where
        entity_level in ('company', 'department', 'manager')
        and entity_key <> {{ unassigned('entity_key') }}
        and period_grain in ('month', 'quarter', 'year')
        and days_there > 0

),

chosen as (

    select
        figures.kpi_code,
        figures.period_grain,
        figures.period_start,
        figures.entity_level,
        figures.entity_key
    from figures
    inner join kpis
        on figures.kpi_code = kpis.kpi_code
    inner join judged
        on
            figures.period_grain = judged.period_grain
            and figures.period_start = judged.period_start
            and figures.entity_level = judged.entity_level
            and figures.entity_key = judged.entity_key
    left join profile
        on figures.kpi_code = profile.kpi_code
    left join assigned
        on
            figures.kpi_code = assigned.kpi_code
            and judged.entity_id = assigned.entity_id
            and figures.period_grain = assigned.period_grain
            and figures.period_start = assigned.period_start
    where
        coalesce(profile.kpi_code, assigned.kpi_code) is not null
        and {{ may_judge('kpis.level', 'figures.entity_level') }}

),

-- Plans for later have their time to come, and what was planned before the first figures has none.
covered as (

    select
        min(day) as first_day,
        max(day) as last_day
    from {{ ref('dim_period_day') }}

),

planned as (

    select
        targets.kpi_code,
        targets.period_grain,
        targets.period_start,
        targets.entity_level,
        targets.entity_key
    from targets
    cross join covered
    left join periods
        on targets.period_grain = periods.period_grain and targets.period_start = periods.period_start
    where
        targets.period_start <= covered.last_day
        and (targets.period_start >= covered.first_day or periods.period_start is not null)

),

due as (

    select * from chosen
    union
    select * from planned

),

---------- what is known of it

measured as (

    select
        due.kpi_code,
        due.period_grain,
        due.period_start,
        periods.period_end,
        coalesce(figures.is_complete, periods.is_complete, false) as is_complete,
        due.entity_level,
        due.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name,
        -- a sum over nothing is 0, even where nobody was there to have a row
        case
            when figures.kpi_code is null and kpis.is_additive and periods.period_end is not null and entities.entity_id is not null
                then 0
            else figures.value
        end as value,
        replace(kpis.unit, 'currency', '{{ base_currency }}') as unit,
        coalesce(figures.sample_size, 0) as sample_size,
        kpis.better,
        targets.set_value,
        targets.set_at,
        targets.is_summed,
        targets.target_value,
        case
            when presence.working_days = 0 then 1
            else round(presence.days_there / presence.working_days, 6)
        end as employed_share,
        presence.days_there = presence.working_days as is_there_throughout,
        case
            when kpis.is_additive and not periods.is_complete
                then cast(round(presence.days_there_so_far / nullif(presence.days_there, 0), 6) as decimal(9, 6))
        end as working_day_share,
        usual.usual_share
    from due
    left join kpis
        on due.kpi_code = kpis.kpi_code
    left join periods
        on due.period_grain = periods.period_grain and due.period_start = periods.period_start
    left join entities
        on due.entity_level = entities.entity_level and due.entity_key = entities.entity_key
    left join presence
        on
            entities.entity_id = presence.entity_id
            and due.period_grain = presence.period_grain
            and due.period_start = presence.period_start
    left join figures
        on
            due.kpi_code = figures.kpi_code
            and due.period_grain = figures.period_grain
            and due.period_start = figures.period_start
            and due.entity_level = figures.entity_level
            and due.entity_key = figures.entity_key
    left join targets
        on
            due.kpi_code = targets.kpi_code
            and due.period_grain = targets.period_grain
            and due.period_start = targets.period_start
            and due.entity_level = targets.entity_level
            and due.entity_key = targets.entity_key
    left join usual
        on
            due.kpi_code = usual.kpi_code
            and due.period_grain = usual.period_grain
            and due.period_start = usual.period_start

),

-- Whoever is there for a part of the period only goes by working days: the usual shape is that of a whole one.
paced as (

    select
        *,
        case when is_there_throughout then coalesce(usual_share, working_day_share) else working_day_share end as shape_share
    from measured

),

expected as (

    select
        *,
        cast(round(target_value * working_day_share, 8) as decimal(28, 8)) as expected_by_working_days,
        cast(round(target_value * shape_share, 8) as decimal(28, 8)) as expected_by_shape
    from paced

)

select
    ---------- which
    kpi_code,
    period_grain,
    period_start,
    period_end,
    is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,

    ---------- the figure
    cast(value as decimal(28, 8)) as value,
    unit,
    cast(sample_size as bigint) as sample_size,

    ---------- the target
    set_value,
    set_at,
    is_summed,
    cast(employed_share as decimal(9, 6)) as employed_share,
    target_value,
    cast({{ attainment('value', 'target_value', 'better') }} as decimal(28, 6)) as attainment,

    ---------- while the period goes on
    working_day_share,
    case when working_day_share is not null then shape_share end as shape_share,
    expected_by_working_days,
    expected_by_shape,
    cast({{ attainment('value', 'expected_by_shape', 'better') }} as decimal(28, 6)) as pace,
    cast(round(value / nullif(working_day_share, 0), 8) as decimal(28, 8)) as projected_by_working_days,
    cast(
        round(value / nullif(case when working_day_share is not null then shape_share end, 0), 8) as decimal(28, 8)
    ) as projected_by_shape
from expected
