-- One row per uninterrupted stay of a deal in a stage, as it is known now. A stage entered twice has two rows; a stay
-- that goes on has no left_at; a deal without dates has no entered_at.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('touched') }}"
) }}

with

steps as (

    select * from {{ ref('int_deal__steps') }}
    {{ rows_of('touched', 'known_until is null') }}

)

select
    deal_id,
    cast(step_order as integer) as step_number,
    stage_id,
    stage_id_before,
    outcome,
    outcome_before,
    entered_at,
    left_at
from steps
