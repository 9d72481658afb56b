-- One row per version of a target: what was set for a KPI, an entity and a period, by hand in seeds/, in a budget
-- workbook, or in a source.
-- One that was taken back has a last version without a value.
with

told as (

    select
        kpi_code,
        entity_level,
        entity_key,
        period_grain,
        period_start,
        timezone('{{ company().time_zone }}', set_at) as set_at,
        target_value,
        true as is_by_hand,
        cast(0 as bigint) as version_number
    from {{ ref('kpi_target') }}

    union all

    select
        kpi_code,
        entity_level,
        entity_key,
        period_grain,
        period_start,
        set_at,
        target_value,
        false as is_by_hand,
        version_number
    from {{ ref('stg_kpimart__target') }}

    {% for crm in var('crms') if crm in ('files', 'sql') %}
    union all

    select
        kpi_code,
        entity_level,
        entity_key,
        period_grain,
        period_start,
        set_at,
        case when not is_deleted then target_value end as target_value,
        false as is_by_hand,
        version_number
    from {{ ref('stg_' ~ crm ~ '__target') }}
    {% endfor %}

)

select
    kpi_code,
    entity_level,
    entity_key,
    period_grain,
    period_start,
    -- of two that were set at once the one in seeds/ counts
    cast(
        row_number() over (
            partition by kpi_code, entity_level, entity_key, period_grain, period_start
            order by set_at nulls first, is_by_hand, version_number, target_value
        ) as integer
    ) as version_number,
    set_at,
    target_value
from told
