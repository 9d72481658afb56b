-- One row per version of a team that was seen, with its manager; the manager's name is the one of now. Teams have none
-- above them.
with

versions as (

    {{ parsed_versions('pipedrive', 'teams', {'name': 'VARCHAR', 'manager_id': 'VARCHAR'}) }}

),

managers as (

    select * from {{ ref('stg_pipedrive__manager') }}

)

select
    ---------- ids
    {{ crm_id('pipedrive', 'versions.id') }} as department_id,
    cast(null as varchar) as parent_department_id,
    {{ crm_id('pipedrive', 'versions.source.manager_id') }} as head_manager_id,

    ---------- text
    coalesce(versions.source.name, versions.id) as department_name,
    managers.manager_name as head_name,

    ---------- flags
    versions.is_deleted,

    ---------- version
    versions.version_number,
    versions.is_latest,
    versions.has_source_time,
    versions.effective_at,
    versions.recorded_at

from versions
left join managers
    on {{ crm_id('pipedrive', 'versions.source.manager_id') }} = managers.manager_id
