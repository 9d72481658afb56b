-- One row per stay of a manager in a department: as the company tells by hand, else as the CRM does. The stays of a
-- manager cover all of time without a gap or an overlap: where nothing is known the manager sits in a visible inferred
-- department.
with

managers as (

    select manager_id from {{ ref('int_manager__known') }}

),

kept_by_hand as (

    select
        manager_id,
        department_id,
        valid_from,
        valid_to
    from {{ ref('manager_department') }}

),

told_by_crm as (

    select
        told.manager_id,
        told.department_id,
        told.valid_from,
        told.valid_to
    from ({{ from_every_crm('manager_assignment') }}) as told
    left join kept_by_hand
        on told.manager_id = kept_by_hand.manager_id
    where kept_by_hand.manager_id is null

),

stays as (

    select * from kept_by_hand
    union all
    select * from told_by_crm

),

-- Of two stays that overlap the later one wins from its start on.
bounded as (

    select
        stays.manager_id,
        stays.department_id,
        coalesce(stays.valid_from, date '0001-01-01') as valid_from,
        least(
            coalesce(stays.valid_to, date '9999-12-31'),
            coalesce(lead(stays.valid_from) over stay_order, date '9999-12-31')
        ) as valid_to
    from stays
    inner join managers
        on stays.manager_id = managers.manager_id
    window stay_order as (
        partition by stays.manager_id
        order by stays.valid_from nulls first, stays.valid_to nulls last, stays.department_id
    )

),

proper as (

    select * from bounded
    where valid_from < valid_to

),

gaps as (

    select
        managers.manager_id,
        proper.valid_to as valid_from,
        lead(proper.valid_from) over stay_order as valid_to
    from managers
    inner join proper
        on managers.manager_id = proper.manager_id
    window stay_order as (partition by proper.manager_id order by proper.valid_from)

    union all

    select
        managers.manager_id,
        date '0001-01-01' as valid_from,
        min(proper.valid_from) as valid_to
    from managers
    left join proper
        on managers.manager_id = proper.manager_id
    group by managers.manager_id

),

filled as (

    select
        manager_id,
        department_id,
        valid_from,
        valid_to
    from proper

    union all

    select
        manager_id,
        {{ unassigned('manager_id') }} as department_id,
        valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to
    from gaps
    where valid_from < coalesce(valid_to, date '9999-12-31')

)

select
    manager_id,
    department_id,
    valid_from,
    valid_to
from filled
