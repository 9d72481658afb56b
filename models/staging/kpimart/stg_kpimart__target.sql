-- One row per version of a target that was read from a budget workbook.
with

versions as (

    {{ parsed_versions('kpimart', 'target', {
        'kpi_code': 'VARCHAR',
        'entity_level': 'VARCHAR',
        'entity_key': 'VARCHAR',
        'period_grain': 'VARCHAR',
        'period_start': 'VARCHAR',
        'target_value': 'VARCHAR',
        'decided_by': 'VARCHAR',
        'note': 'VARCHAR'
    }) }}

)

select
    source.kpi_code,
    source.entity_level,
    source.entity_key,
    source.period_grain,
    cast(source.period_start as date) as period_start,
    version_number,
    effective_at as set_at,
    cast(source.target_value as decimal(28, 8)) as target_value,
    source.decided_by,
    source.note
from versions
