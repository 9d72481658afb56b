-- One row per role as Salesforce last told it: the tree of roles is the sales organisation. The head of a role with
-- others below it is whoever alone has it.
with

roles as (

    {{ parsed_versions('salesforce', 'roles', {'Name': 'VARCHAR', 'ParentRoleId': 'VARCHAR'}) }}

),

managers as (

    select * from {{ ref('stg_salesforce__manager') }}

),

latest_roles as (

    select
        {{ crm_id('salesforce', 'id') }} as department_id,
        {{ crm_id('salesforce', 'source.parentroleid') }} as parent_department_id,
        coalesce(source.name, id) as department_name,
        is_deleted
    from roles
    where is_latest

),

parents as (

    select parent_department_id from latest_roles
    where parent_department_id is not null and not is_deleted

),

sole_holders as (

    select
        department_id,
        min(manager_name) as head_name
    from managers
    where department_id is not null and left_on is null and not is_deleted
    group by department_id
    having count(*) = 1

)

select
    latest_roles.department_id,
    latest_roles.parent_department_id,
    latest_roles.department_name,
    case
        when latest_roles.department_id in (select parents.parent_department_id from parents)
            then sole_holders.head_name
    end as head_name,
    latest_roles.is_deleted
from latest_roles
left join sole_holders
    on latest_roles.department_id = sole_holders.department_id
