-- One row per department and department above it, itself included: a department's figures include its sub-departments.
with recursive

departments as (

    select * from {{ ref('dim_department') }}

),

closure as (

    select
        department_id,
        department_id as ancestor_department_id,
        0 as depth
    from departments

    union all

    select
        closure.department_id,
        departments.parent_department_id as ancestor_department_id,
        closure.depth + 1 as depth
    from closure
    inner join departments
        on closure.ancestor_department_id = departments.department_id
    -- a tree of the CRM that runs in a circle ends here, and its test says so
    where departments.parent_department_id is not null and closure.depth < 50

)

select
    department_id,
    ancestor_department_id,
    depth
from closure
