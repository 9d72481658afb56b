-- One row per thing that counted for a month that is closed, as closed.
with

closings as (

    select * from {{ ref('fct_period_close') }}
    where is_in_force

),

counted as (

    select * from {{ ref('stg_kpimart__frozen_counted') }}

)

select
    counted.period_start,
    counted.relation,
    counted.subject_id,
    counted.occurred_on,
    counted.what,
    counted.sign,
    counted.entity_keys,
    counted.manager_id,
    counted.department_id,
    counted.account_id,
    counted.amount,
    counted.weighted_amount,
    counted.native_amount,
    counted.currency_code,
    counted.cycle_days,
    counted.days_to_win,
    counted.has_slipped,
    counted.purchase_number,
    counted.is_regular,
    counted.is_prospect,
    counted.fields_filled,
    counted.tells_next_steps,
    counted.has_next_step,
    counted.is_stale,
    counted.is_converted,
    counted.first_response_hours,
    counted.target_amount
from counted
inner join closings
    on counted.period_start = closings.period_start and counted.release_id = closings.release_id
