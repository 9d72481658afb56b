-- One row per entry in a deal's books: what is known of it for the first time, and what is no longer so. Whose
-- department has it and what it is worth is not told here; it may be told differently every night.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

facts as (

    select * from {{ ref('int_deal__facts') }}
    {{ rows_of('changed') }}

),

identified as (

    select
        *,
        md5(concat_ws(
            '|',
            deal_id, event_type, sign, epoch_us(occurred_at), epoch_us(credited_at), coalesce(manager_id, ''),
            coalesce(stage_id, ''), coalesce(stage_id_before, ''), coalesce(cast(native_amount as varchar), ''),
            currency_code, coalesce(cast(expected_close_on as varchar), ''),
            coalesce(cast(expected_close_on_before as varchar), ''), coalesce(account_id, ''), pipeline_id,
            coalesce(product, ''), coalesce(lead_source, ''), merged_into_deal_id
        )) as fact_id
    from facts

),

-- The same fact may happen twice at the same moment; both count.
told_apart as (

    select
        *,
        row_number() over (partition by deal_id, knowledge_number, fact_id) as repetition
    from identified

),

compared as (

    select
        *,
        lag(knowledge_number) over fact_history as knowledge_number_before,
        lead(knowledge_number) over fact_history as knowledge_number_after
    from told_apart
    window fact_history as (partition by deal_id, fact_id, repetition order by knowledge_number)

),

-- What is known for the first time enters the ledger; what is no longer known is reversed, where it had happened.
entries as (

    select
        *,
        false as is_reversal,
        sign as entry_sign,
        known_from as recorded_at
    from compared
    where knowledge_number_before is null or knowledge_number_before < knowledge_number - 1

    union all

    select
        *,
        true as is_reversal,
        -sign as entry_sign,
        known_until as recorded_at
    from compared
    where
        known_until is not null
        and (knowledge_number_after is null or knowledge_number_after > knowledge_number + 1)

),

dated as (

    select
        *,
        {{ business_date('occurred_at') }} as occurred_on,
        {{ business_date('credited_at') }} as credited_on,
        coalesce(manager_id, {{ unassigned('deal_id') }}) as credited_manager_id
    from entries

)

select
    md5(concat_ws('|', fact_id, repetition, epoch_us(recorded_at), is_reversal)) as deal_event_id,
    deal_id,
    credited_manager_id as manager_id,
    account_id,
    pipeline_id,
    stage_id,
    stage_id_before,
    merged_into_deal_id,
    event_type,
    entry_sign as sign,
    is_reversal or sign = -1 as is_reversal,
    product,
    lead_source,
    expected_close_on,
    expected_close_on_before,
    native_amount,
    currency_code,
    occurred_at,
    occurred_on,
    credited_at,
    credited_on,
    recorded_at
from dated
