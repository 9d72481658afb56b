-- One row per KPI, closed month, entity and cause by which the figure is no longer as closed: what it was before the cause
-- was told, and what it is after it. The first row of a figure begins with the frozen one, each with what the row before
-- came to, the last ends with what kpi_value has.
{%- set described = ['period_start', 'period_end', 'entity_level', 'entity_key', 'step'] %}
{%- set figure = ['numerator', 'denominator', 'value'] %}

with

months as (

    select * from {{ ref('closed_month') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

frozen as (

    select figures.*
    from {{ ref('frozen_figure') }} as figures
    inner join months
        on figures.period_start = months.period_start

),

measures as (

    select
        restated.period_start,
        restated.entity_level,
        restated.entity_key,
        restated.step,
        'month' as period_grain,
        months.period_end,
        true as is_complete,
        months.as_of,
        {{ whole_measures('restated') }}
    from {{ ref('restated_measure') }} as restated
    inner join months
        on restated.period_start = months.period_start

),

every_kpi as (

    {{ figures_of_catalogue('measures', described) }}

),

-- Where a release has no row of an entity, there was nothing to tell of it.
nothing as (

    select
        'month' as period_grain,
        date '0001-01-31' as period_end,
        true as is_complete,
        as_of,
        {%- for measure in measures() %}
        cast({{ 'null' if measure.additivity in ('distribution', 'target') else '0' }} as {{ measure_type(measure) }}) as {{ measure.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('build_moment') }}

),

nothing_told as (

    {{ figures_of_catalogue('nothing', ['period_grain']) }}

),

-- A KPI that the release did not have has no frozen figure, nor one that is gone a current one.
frozen_kpis as (

    select
        period_start,
        kpi_code
    from frozen
    group by period_start, kpi_code

),

bridged as (

    select
        every_kpi.kpi_code,
        every_kpi.period_start,
        every_kpi.period_end,
        every_kpi.entity_level,
        every_kpi.entity_key,
        every_kpi.step,
        every_kpi.unit
        {%- for column in figure %},
        every_kpi.{{ column }} as {{ column }}_after,
        case
            when every_kpi.step > 1 then lag(every_kpi.{{ column }}) over causes_in_order
            when frozen.kpi_code is not null then frozen.{{ column }}
            -- a figure that nothing is behind is left out, like that of a release
            when every_kpi.sample_size = 0 and coalesce(every_kpi.value, 0) = 0 then every_kpi.{{ column }}
            else nothing_told.{{ column }}
        end as {{ column }}_before
        {%- endfor %}
    from every_kpi
    inner join frozen_kpis
        on every_kpi.period_start = frozen_kpis.period_start and every_kpi.kpi_code = frozen_kpis.kpi_code
    inner join nothing_told
        on every_kpi.kpi_code = nothing_told.kpi_code
    left join frozen
        on
            every_kpi.kpi_code = frozen.kpi_code
            and every_kpi.period_start = frozen.period_start
            and every_kpi.entity_level = frozen.entity_level
            and every_kpi.entity_key = frozen.entity_key
    window causes_in_order as (
        partition by every_kpi.kpi_code, every_kpi.period_start, every_kpi.entity_level, every_kpi.entity_key
        order by every_kpi.step
    )

),

frozen_entities as (

    select
        entity_level,
        entity_key,
        max(department_id) as department_id,
        max(manager_id) as manager_id,
        max_by(entity_name, period_start) as entity_name
    from frozen
    group by entity_level, entity_key

)

select
    bridged.kpi_code,
    'month' as period_grain,
    bridged.period_start,
    bridged.period_end,
    months.release_id,
    bridged.entity_level,
    bridged.entity_key,
    coalesce(entities.department_id, frozen_entities.department_id) as department_id,
    coalesce(entities.manager_id, frozen_entities.manager_id) as manager_id,
    coalesce(entities.entity_name, frozen_entities.entity_name) as entity_name,
    cast(bridged.step as integer) as step,
    case
        when months.is_whole then list_extract({{ restatement_causes() }}, bridged.step)
        else 'not_split'
    end as cause,
    coalesce(bridged.numerator_after, 0) - coalesce(bridged.numerator_before, 0) as numerator_change,
    coalesce(bridged.denominator_after, 0) - coalesce(bridged.denominator_before, 0) as denominator_change,
    bridged.value_before,
    cast(bridged.value_after - bridged.value_before as decimal(28, 8)) as value_change,
    bridged.value_after,
    bridged.unit
from bridged
inner join months
    on bridged.period_start = months.period_start
left join entities
    on bridged.entity_level = entities.entity_level and bridged.entity_key = entities.entity_key
left join frozen_entities
    on bridged.entity_level = frozen_entities.entity_level and bridged.entity_key = frozen_entities.entity_key
where
    bridged.value_after is distinct from bridged.value_before
    or coalesce(bridged.numerator_after, 0) <> coalesce(bridged.numerator_before, 0)
    or coalesce(bridged.denominator_after, 0) <> coalesce(bridged.denominator_before, 0)
