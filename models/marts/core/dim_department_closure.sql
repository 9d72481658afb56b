-- One row per department, department above it (itself included) and stretch of days on which it lay there: a
-- department's figures include those of its sub-departments, as the tree was on that day.
with recursive

departments as (

    select * from {{ ref('dim_department') }}

),

stays as (

    select * from {{ ref('int_department__stays') }}
    where parent_department_id is not null

),

closure as (

    select
        department_id,
        department_id as ancestor_department_id,
        0 as depth,
        date '0001-01-01' as valid_from,
        date '9999-12-31' as valid_to
    from departments

    union all

    select
        closure.department_id,
        stays.parent_department_id as ancestor_department_id,
        closure.depth + 1 as depth,
        greatest(closure.valid_from, stays.valid_from) as valid_from,
        least(closure.valid_to, stays.valid_to) as valid_to
    from closure
    inner join stays
        on
            closure.ancestor_department_id = stays.department_id
            and closure.valid_from < stays.valid_to
            and closure.valid_to > stays.valid_from
    -- a tree of the CRM that runs in a circle ends here, and its test says so
    where closure.depth < {{ deepest_department() }}

)

select
    department_id,
    ancestor_department_id,
    depth,
    valid_from,
    valid_to
from closure
