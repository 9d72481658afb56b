-- One row per KPI, period and entity: the catalogue's formula over the measures at that grain, in the main cut. A ratio is
-- the quotient of sums; where its denominator is nothing it is null.
{%- set described = [
    'period_grain', 'period_start', 'period_end', 'entity_level', 'entity_key', 'department_id', 'manager_id',
    'entity_name', 'is_employed'
] %}

with

measures as (

    select
        measured.period_grain,
        measured.period_start,
        measured.is_employed,
        {{ whole_measures('measured') }},
        periods.period_end,
        periods.is_complete,
        build.as_of,
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_period') }} as periods
        on measured.period_grain = periods.period_grain and measured.period_start = periods.period_start
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    cross join {{ ref('build_moment') }} as build
    where measured.cut_id = {{ main_cut() }}

),

every_kpi as (

    {{ figures_of_catalogue('measures', described) }}

)

select
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
    numerator,
    denominator,
    value,
    unit,
    cast(sample_size as bigint) as sample_size
from every_kpi
-- a row where nothing is, is there to tell zero from absence
where is_employed or sample_size <> 0 or value <> 0
