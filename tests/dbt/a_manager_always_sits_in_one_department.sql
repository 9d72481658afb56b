with

stays as (

    select
        manager_id,
        department_id,
        valid_from,
        valid_to,
        lag(valid_to) over stay_order as ended_before,
        lead(valid_from) over stay_order as next_from
    from {{ ref('manager_assignment') }}
    window stay_order as (partition by manager_id order by valid_from, valid_to)

)

select
    manager_id,
    department_id,
    valid_from,
    valid_to
from stays
where
    valid_from >= valid_to
    or valid_from <> coalesce(ended_before, date '0001-01-01')
    or valid_to <> coalesce(next_from, date '9999-12-31')
