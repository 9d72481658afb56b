-- One row per version of a group of users that was seen; groups are no tree, and have no heads.
with

versions as (

    {{ parsed_versions('amocrm', 'groups', {'name': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('amocrm', 'id') }} as department_id,
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
