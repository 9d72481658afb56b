-- One row per closing of a month, and per reopening, as somebody decided it.
with

versions as (

    {{ parsed_versions('kpimart', 'close', {
        'month': 'VARCHAR',
        'period_start': 'VARCHAR',
        'period_end': 'VARCHAR',
        'action': 'VARCHAR',
        'release_id': 'VARCHAR',
        'as_of': 'VARCHAR',
        'known_at': 'VARCHAR',
        'decided_by': 'VARCHAR',
        'note': 'VARCHAR'
    }) }}

)

select
    cast(source.period_start as date) as period_start,
    cast(source.period_end as date) as period_end,
    source.month as month_name,
    cast(version_number as integer) as decision_number,
    is_latest,
    source.action,
    source.release_id,
    cast(source.as_of as timestamptz) as as_of,
    cast(source.known_at as timestamptz) as known_at,
    source.decided_by,
    source.note,
    effective_at as decided_at
from versions
