-- One row per entity and period (week and coarser, to the end of next year) in which the entity was there: the working
-- days of the period, and those of them on which it was. A department and the company are always there.
with

build as (

    select * from {{ ref('build_moment') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

managers as (

    select * from {{ ref('dim_manager') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

-- From the first day with figures on: a period that began earlier is measured by what is left of it.
days as (

    select
        *,
        sum(case when is_working_day then 1 else 0 end) over (order by day) as working_days_through
    from {{ ref('dim_day') }}
    where day >= (select min(covered.day) from {{ ref('dim_day') }} as covered where covered.is_covered)

),

periods as (

    {% for grain in ['week', 'month', 'quarter', 'year'] %}
    select
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        min(day) as first_day,
        max(day) as last_day,
        count(case when is_working_day then day end) as working_days
    from days
    group by {{ grain }}_start
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

---------- who is there from when to when

stays as (

    select
        entity_id,
        date '0001-01-01' as first_day,
        date '9999-12-31' as last_day
    from entities
    where entity_level in ('company', 'department')

    union all

    select
        entities.entity_id,
        coalesce(managers.hired_on, date '0001-01-01') as first_day,
        coalesce(managers.left_on, date '9999-12-31') as last_day
    from entities
    inner join managers
        on entities.manager_id = managers.manager_id
    where entities.entity_level = 'manager'

    union all

    select
        entities.entity_id,
        greatest(assignments.valid_from, coalesce(managers.hired_on, assignments.valid_from)) as first_day,
        least(assignments.valid_to - 1, coalesce(managers.left_on, assignments.valid_to - 1)) as last_day
    from entities
    inner join assignments
        on entities.manager_id = assignments.manager_id and entities.department_id = assignments.department_id
    inner join managers
        on entities.manager_id = managers.manager_id
    where entities.entity_level = 'manager_in_department'

),

shared as (

    select
        stays.entity_id,
        periods.period_grain,
        periods.period_start,
        periods.last_day as period_end,
        periods.working_days,
        greatest(stays.first_day, periods.first_day) as first_day,
        least(stays.last_day, periods.last_day) as last_day,
        least(stays.last_day, periods.last_day, build.last_day) as last_day_so_far
    from stays
    inner join periods
        on
            stays.first_day <= periods.last_day
            and stays.last_day >= periods.first_day
            and stays.first_day <= stays.last_day
    cross join build

),

-- Working days between two days: those through the last, less those before the first.
counted as (

    select
        shared.entity_id,
        shared.period_grain,
        shared.period_start,
        shared.period_end,
        shared.working_days,
        last_days.working_days_through - first_days.working_days_through
        + case when first_days.is_working_day then 1 else 0 end as days_there,
        case
            when shared.last_day_so_far < shared.first_day then 0
            else
                days_so_far.working_days_through - first_days.working_days_through
                + case when first_days.is_working_day then 1 else 0 end
        end as days_there_so_far
    from shared
    inner join days as first_days
        on shared.first_day = first_days.day
    inner join days as last_days
        on shared.last_day = last_days.day
    left join days as days_so_far
        on shared.last_day_so_far = days_so_far.day

)

select
    counted.entity_id,
    entities.entity_level,
    entities.entity_key,
    counted.period_grain,
    counted.period_start,
    counted.period_end,
    cast(counted.working_days as integer) as working_days,
    cast(sum(counted.days_there) as integer) as days_there,
    cast(sum(counted.days_there_so_far) as integer) as days_there_so_far
from counted
inner join entities
    on counted.entity_id = entities.entity_id
group by
    counted.entity_id,
    entities.entity_level,
    entities.entity_key,
    counted.period_grain,
    counted.period_start,
    counted.period_end,
    counted.working_days
