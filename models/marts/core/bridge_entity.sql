-- One row per seat (a manager in a department) and entity that the seat's figures count for.
with

entities as (

    select * from {{ ref('dim_entity') }}

),

closure as (

    select * from {{ ref('dim_department_closure') }}

),

seats as (

    select
        manager_id,
        department_id
    from entities
    where entity_level = 'manager_in_department'

),

counted as (

    select
        seats.manager_id,
        seats.department_id,
        entities.entity_id
    from seats
    inner join entities
        on
            entities.entity_level = 'company'
            or (entities.entity_level = 'manager' and seats.manager_id = entities.manager_id)
            or (
                entities.entity_level = 'manager_in_department'
                and seats.manager_id = entities.manager_id
                and seats.department_id = entities.department_id
            )

    union all

    select
        seats.manager_id,
        seats.department_id,
        entities.entity_id
    from seats
    inner join closure
        on seats.department_id = closure.department_id
    inner join entities
        on entities.entity_level = 'department' and closure.ancestor_department_id = entities.department_id

)

select
    manager_id,
    department_id,
    entity_id
from counted
