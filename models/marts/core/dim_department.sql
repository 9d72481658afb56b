-- One row per department. A department that a manager or another department names without the CRM listing it is an
-- inferred member.
with

departments as (

    {{ from_every_crm('department') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

named as (

    select department_id from assignments
    union
    select parent_department_id as department_id from departments where parent_department_id is not null

),

inferred as (

    select named.department_id
    from named
    left join departments
        on named.department_id = departments.department_id
    where departments.department_id is null

)

select
    department_id,
    department_name,
    parent_department_id,
    head_name,
    false as is_inferred
from departments

union all

select
    department_id,
    case
        when department_id like '%:(unassigned)' then 'Unassigned'
        else 'Unknown department ' || substr(department_id, instr(department_id, ':') + 1)
    end as department_name,
    cast(null as varchar) as parent_department_id,
    cast(null as varchar) as head_name,
    true as is_inferred
from inferred
