-- One row per stretch of days with one tree, seat (a manager in a department) and entity that the seat's figures of
-- those days count for.
with

entities as (

    select * from {{ ref('dim_entity') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

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
        organisations.organisation_id,
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
    cross join organisations

    union all

    select
        organisations.organisation_id,
        seats.manager_id,
        seats.department_id,
        entities.entity_id
    from seats
    inner join closure
        on seats.department_id = closure.department_id
    inner join organisations
        on closure.valid_from <= organisations.valid_from and closure.valid_to > organisations.valid_from
    inner join entities
        on entities.entity_level = 'department' and closure.ancestor_department_id = entities.department_id

)

select
    organisation_id,
    manager_id,
    department_id,
    entity_id
from counted
