-- One row per version of a role that was seen: the tree of roles is the sales organisation. The head of a role with
-- others below it is whoever alone has it now.
with

roles as (

    {{ parsed_versions('salesforce', 'roles', {'Name': 'VARCHAR', 'ParentRoleId': 'VARCHAR'}) }}

),

managers as (

    select * from {{ ref('stg_salesforce__manager') }}

),

role_versions as (

    select
        *,
        {{ crm_id('salesforce', 'id') }} as department_id,
        {{ crm_id('salesforce', 'source.parentroleid') }} as parent_department_id
    from roles

),

parents as (

    select distinct parent_department_id as department_id
    from role_versions
    where is_latest and parent_department_id is not null and not is_deleted

),

heads as (

    select
        managers.department_id,
        min(managers.manager_id) as manager_id,
        min(managers.manager_name) as manager_name
    from managers
    inner join parents
        on managers.department_id = parents.department_id
    where managers.left_on is null and not managers.is_deleted
    group by managers.department_id
    having count(*) = 1

)

select
    ---------- ids
    role_versions.department_id,
    role_versions.parent_department_id,
    heads.manager_id as head_manager_id,

    ---------- text
    coalesce(role_versions.source.name, role_versions.id) as department_name,
    heads.manager_name as head_name,

    ---------- flags
    role_versions.is_deleted,

    ---------- version
    role_versions.version_number,
    role_versions.is_latest,
    role_versions.has_source_time,
    role_versions.effective_at,
    role_versions.recorded_at

from role_versions
left join heads
    on role_versions.department_id = heads.department_id
