-- One row per team as Pipedrive last told it; teams have none above them.
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

    ---------- text
    coalesce(versions.source.name, versions.id) as department_name,
    managers.manager_name as head_name,

    ---------- flags
    versions.is_deleted
from versions
left join managers
    on {{ crm_id('pipedrive', 'versions.source.manager_id') }} = managers.manager_id
where versions.is_latest
