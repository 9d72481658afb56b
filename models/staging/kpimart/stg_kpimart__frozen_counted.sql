-- One row per thing that counted for a closed month in the release that it was closed on.
{{ config(materialized='view') }}

with

counted as (

    select * from {{ source('frozen', 'counted') }}

)

select
    release_id,
    period_start,
    relation,
    subject_id,
    occurred_on,
    what,
    sign,
    entity_keys,
    manager_id,
    department_id,
    account_id,
    amount,
    weighted_amount,
    native_amount,
    currency_code,
    cycle_days,
    days_to_win,
    has_slipped,
    purchase_number,
    is_regular,
    is_prospect,
    fields_filled,
    tells_next_steps,
    has_next_step,
    is_stale,
    is_converted,
    first_response_hours,
    target_amount
from counted
