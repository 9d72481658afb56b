-- One row per manager, with the department they sit in on the last day that the build covers. Whoever owns a deal or a
-- lead without being listed in the CRM is an inferred member.
with

managers as (

    select * from {{ ref('int_manager__known') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

build as (

    select * from {{ ref('build_moment') }}

)

select
    managers.manager_id,
    managers.manager_name,
    assignments.department_id,
    managers.hired_on,
    managers.left_on,
    managers.is_inferred
from managers
cross join build
inner join assignments
    on
        managers.manager_id = assignments.manager_id
        and build.last_day >= assignments.valid_from
        and build.last_day < assignments.valid_to
