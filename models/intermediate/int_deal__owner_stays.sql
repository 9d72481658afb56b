-- One row per stay of a deal with an owner, as its history of owners was known. Deals without such a history have none;
-- of the others the first owner has had it always, so that every moment has one.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

known as (

    select deal_id, knowledge_number, known_from from {{ ref('int_deal__knowledge') }}
    {{ rows_of('changed', 'is_last_version') }}

),

owner_changes as (

    select * from (
        {{ from_every_crm('deal_owner_change') }}
    ) as told
    {{ rows_of('changed') }}

),

believed as (

    select
        known.deal_id,
        known.knowledge_number,
        owner_changes.owner_change_id,
        owner_changes.manager_id,
        owner_changes.changed_at
    from known
    inner join owner_changes
        on
            known.deal_id = owner_changes.deal_id
            and known.known_from >= owner_changes.recorded_at
            and (owner_changes.superseded_at is null or known.known_from < owner_changes.superseded_at)

),

numbered as (

    select
        deal_id,
        knowledge_number,
        manager_id,
        changed_at,
        lead(changed_at) over change_order as owned_until,
        lag(manager_id) over change_order as manager_id_before,
        row_number() over change_order as stay_number
    from believed
    window change_order as (partition by deal_id, knowledge_number order by changed_at, owner_change_id)

)

select
    deal_id,
    knowledge_number,
    manager_id,
    case when stay_number = 1 then {{ always() }} else changed_at end as owned_from,
    owned_until,
    manager_id_before,
    stay_number
from numbered
