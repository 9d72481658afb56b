-- One row per version of a team that was seen. HubSpot does not tell which team is part of which, nor who leads it.
with

versions as (

    {{ parsed_versions('hubspot', 'teams', {'name': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('hubspot', 'id') }} as department_id,
    cast(null as varchar) as parent_department_id,
    cast(null as varchar) as head_manager_id,

    ---------- text
    coalesce(nullif(source.name, ''), id) as department_name,
    cast(null as varchar) as head_name,

    ---------- flags
    is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from versions
