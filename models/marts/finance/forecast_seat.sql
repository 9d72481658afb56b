-- One row per complete month, manager who was employed on its last day, and entity that the manager's figures count for
-- then: the manager, the department and those above it, the company.
with

months as (

    select * from {{ ref('forecast_month') }}
    where is_complete

),

managers as (

    select * from {{ ref('dim_manager') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

bridge as (

    select * from {{ ref('bridge_entity') }}

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level in ('company', 'department', 'manager')

),

seated as (

    select
        months.period_number,
        managers.manager_id,
        assignments.department_id,
        organisations.organisation_id
    from months
    inner join managers
        on
            (months.period_end >= managers.hired_on or managers.hired_on is null)
            and (months.period_end < managers.left_on or managers.left_on is null)
    inner join assignments
        on
            managers.manager_id = assignments.manager_id
            and months.period_end >= assignments.valid_from
            and months.period_end < assignments.valid_to
    inner join organisations
        on months.period_end >= organisations.valid_from and months.period_end < organisations.valid_to

)

select
    seated.period_number,
    seated.manager_id,
    seated.department_id,
    entities.entity_level,
    entities.entity_key
from seated
inner join bridge
    on
        seated.organisation_id = bridge.organisation_id
        and seated.manager_id = bridge.manager_id
        and seated.department_id = bridge.department_id
inner join entities
    on bridge.entity_id = entities.entity_id
