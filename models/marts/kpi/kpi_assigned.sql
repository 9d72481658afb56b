-- One row per KPI, entity and period (month and coarser) to which seeds/kpi_assignment.csv assigns it on the last day of
-- the period that the build covers: the nearest assignment, of the person, of their department or of their role.
with

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain in ('month', 'quarter', 'year')

),

entities as (

    select * from {{ ref('dim_entity') }}

),

seats as (

    select * from {{ ref('manager_assignment') }}

),

closure as (

    select * from {{ ref('dim_department_closure') }}

),

in_force as (

    select
        assignments.*,
        periods.period_grain,
        periods.period_start,
        periods.last_day
    from {{ ref('kpi_assignment') }} as assignments
    inner join periods
        on
            (assignments.valid_from is null or assignments.valid_from <= periods.last_day)
            and (assignments.valid_to is null or assignments.valid_to > periods.last_day)

),

reached as (

    select
        in_force.*,
        entities.entity_id,
        0 as distance
    from in_force
    inner join entities
        on
            in_force.assigned_level = 'manager'
            and entities.entity_level = 'manager'
            and in_force.assigned_to = entities.manager_id

    union all

    select
        in_force.*,
        entities.entity_id,
        1 + closure.depth as distance
    from in_force
    inner join closure
        on
            in_force.assigned_level = 'department'
            and in_force.assigned_to = closure.ancestor_department_id
            and in_force.last_day >= closure.valid_from
            and in_force.last_day < closure.valid_to
    inner join entities
        on entities.entity_level = 'department' and closure.department_id = entities.department_id

    union all

    select
        in_force.*,
        entities.entity_id,
        1 + closure.depth as distance
    from in_force
    inner join closure
        on
            in_force.assigned_level = 'department'
            and in_force.assigned_to = closure.ancestor_department_id
            and in_force.last_day >= closure.valid_from
            and in_force.last_day < closure.valid_to
    inner join seats
        on
            closure.department_id = seats.department_id
            and in_force.last_day >= seats.valid_from
            and in_force.last_day < seats.valid_to
    inner join entities
        on entities.entity_level = 'manager' and seats.manager_id = entities.manager_id

    union all

    -- further than any tree is deep
    select
        in_force.*,
        entities.entity_id,
        1000 as distance
    from in_force
    inner join entities
        on
            in_force.assigned_level = 'role'
            and (
                (in_force.assigned_to = 'manager' and entities.entity_level = 'manager')
                or (in_force.assigned_to = 'head' and entities.entity_level in ('department', 'company'))
            )

),

-- Of two that are equally near, the one that began later.
ranked as (

    select
        *,
        row_number() over (
            partition by kpi_code, entity_id, period_grain, period_start
            order by
                distance asc, valid_from desc nulls last, valid_to asc nulls last, weight desc nulls last, threshold asc,
                cap asc
        ) as nearness
    from reached

)

select
    ranked.kpi_code,
    ranked.period_grain,
    ranked.period_start,
    ranked.entity_id,
    entities.entity_level,
    entities.entity_key,
    ranked.weight,
    ranked.threshold,
    ranked.cap
from ranked
inner join entities
    on ranked.entity_id = entities.entity_id
where ranked.nearness = 1
