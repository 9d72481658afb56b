-- One row per department, as it stands on the last day that the build covers. A department that a manager or another
-- department names without the CRM listing it is an inferred member.
with

build as (

    select * from {{ ref('build_moment') }}

),

stays as (

    select * from {{ ref('int_department__stays') }}

),

departments as (

    select
        known.department_id,
        known.department_name,
        stays.parent_department_id,
        known.head_manager_id,
        known.head_name
    from {{ ref('int_department__known') }} as known
    inner join build
        on known.valid_from <= build.last_day and known.valid_to > build.last_day
    inner join stays
        on
            known.department_id = stays.department_id
            and build.last_day >= stays.valid_from
            and build.last_day < stays.valid_to

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

named as (

    select department_id from assignments
    union
    select parent_department_id as department_id from stays
    where parent_department_id is not null

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
    head_manager_id,
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
    cast(null as varchar) as head_manager_id,
    cast(null as varchar) as head_name,
    true as is_inferred
from inferred
