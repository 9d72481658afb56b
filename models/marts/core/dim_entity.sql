-- One row per entity that has figures: the company, a department, a manager, a manager within a department.
with

assignments as (

    select * from {{ ref('manager_assignment') }}

),

managers as (

    select * from {{ ref('dim_manager') }}

),

departments as (

    select * from {{ ref('dim_department') }}

),

seats as (

    select
        manager_id,
        department_id
    from assignments
    group by manager_id, department_id

),

entities as (

    select
        'company' as entity_level,
        'company' as entity_key,
        cast(null as varchar) as department_id,
        cast(null as varchar) as manager_id,
        'Company' as entity_name

    union all

    select
        'department' as entity_level,
        department_id as entity_key,
        department_id,
        cast(null as varchar) as manager_id,
        department_name as entity_name
    from departments

    union all

    select
        'manager' as entity_level,
        manager_id as entity_key,
        cast(null as varchar) as department_id,
        manager_id,
        manager_name as entity_name
    from managers

    union all

    select
        'manager_in_department' as entity_level,
        seats.manager_id || '|' || seats.department_id as entity_key,
        seats.department_id,
        seats.manager_id,
        managers.manager_name || ', ' || departments.department_name as entity_name
    from seats
    inner join managers
        on seats.manager_id = managers.manager_id
    inner join departments
        on seats.department_id = departments.department_id

)

select
    cast(row_number() over (order by entity_level, entity_key) as integer) as entity_id,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name
from entities
