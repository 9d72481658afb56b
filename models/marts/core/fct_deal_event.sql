-- One row per event of a deal, and one per reversal: what was known before and is no longer so. A figure is a sum of
-- `sign` or of `amount` over events of a type, at any two moments.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('touched') }}"
) }}

with

entries as (

    select * from {{ ref('int_deal__entries') }}
    {{ rows_of('touched') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

rates as (

    select * from {{ ref('int_exchange_rate') }}

),

credited as (

    select
        entries.*,
        coalesce(assignments.department_id, {{ unassigned('entries.deal_id') }}) as department_id,
        {{ converted('entries.native_amount', 'rates.rate') }} as amount,
        {{ converted('entries.native_amount', 'rates.constant_rate') }} as constant_amount
    from entries
    left join assignments
        on
            entries.manager_id = assignments.manager_id
            and entries.credited_on >= assignments.valid_from
            and entries.credited_on < assignments.valid_to
    left join rates
        on
            entries.currency_code = rates.currency_code
            and entries.credited_on >= rates.valid_from
            and entries.credited_on < rates.valid_to

)

select
    ---------- ids
    deal_event_id,
    deal_id,
    manager_id,
    department_id,
    account_id,
    pipeline_id,
    stage_id,
    stage_id_before,
    merged_into_deal_id,

    ---------- what
    event_type,
    sign,
    is_reversal,
    product,
    lead_source,
    expected_close_on,
    expected_close_on_before,

    ---------- amounts
    amount,
    constant_amount,
    native_amount,
    currency_code,

    ---------- times
    occurred_at,
    occurred_on,
    credited_at,
    credited_on,
    recorded_at

from credited
