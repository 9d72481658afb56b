-- One row per thing that happened to a deal, as it was known. An amount or a closing that something took back has a
-- second row with sign −1, with the credit and the amount of the first.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

known as (

    select * from {{ ref('int_deal__knowledge') }}
    {{ rows_of('changed') }}

),

steps as (

    select * from {{ ref('int_deal__steps') }}
    {{ rows_of('changed') }}

),

closings as (

    select * from {{ ref('int_deal__closings') }}
    {{ rows_of('changed') }}

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}
    {{ rows_of('changed') }}

),

versions as (

    select
        known.*,
        lag(known.native_amount) over version_sequence as native_amount_before,
        lag(known.currency_code) over version_sequence as currency_code_before,
        lag(known.expected_close_on) over version_sequence as expected_close_on_before,
        lag(known.manager_id) over version_sequence as manager_id_before,
        coalesce(lag(known.is_deleted) over version_sequence, false) as was_deleted
    from known
    window version_sequence as (partition by known.deal_id, known.knowledge_number order by known.version_order)

),

last_versions as (

    select * from versions
    where is_last_version

),

created as (

    select
        last_versions.deal_id,
        last_versions.knowledge_number,
        'created' as event_type,
        1 as sign,
        last_versions.created_at as occurred_at,
        last_versions.created_at as credited_at,
        coalesce(owner_stays.manager_id, versions.manager_id) as manager_id,
        cast(null as varchar) as stage_id,
        cast(null as varchar) as stage_id_before,
        versions.native_amount,
        versions.currency_code,
        cast(null as date) as expected_close_on,
        cast(null as date) as expected_close_on_before
    from last_versions
    inner join versions
        on
            last_versions.deal_id = versions.deal_id
            and last_versions.knowledge_number = versions.knowledge_number
            and versions.version_order = 1
    left join owner_stays
        on
            last_versions.deal_id = owner_stays.deal_id
            and last_versions.knowledge_number = owner_stays.knowledge_number
            and last_versions.created_at >= owner_stays.owned_from
            and (owner_stays.owned_until is null or last_versions.created_at < owner_stays.owned_until)
    -- a deal without dates is never created
    where last_versions.created_at is not null

),

stage_entered as (

    select
        steps.deal_id,
        steps.knowledge_number,
        'stage_entered' as event_type,
        1 as sign,
        steps.entered_at as occurred_at,
        steps.entered_at as credited_at,
        coalesce(owner_stays.manager_id, versions.manager_id) as manager_id,
        steps.stage_id,
        steps.stage_id_before,
        versions.native_amount,
        versions.currency_code,
        cast(null as date) as expected_close_on,
        cast(null as date) as expected_close_on_before
    from steps
    inner join versions
        on
            steps.deal_id = versions.deal_id
            and steps.knowledge_number = versions.knowledge_number
            and steps.first_version = versions.version_order
    left join owner_stays
        on
            steps.deal_id = owner_stays.deal_id
            and steps.knowledge_number = owner_stays.knowledge_number
            and steps.entered_at >= owner_stays.owned_from
            and (owner_stays.owned_until is null or steps.entered_at < owner_stays.owned_until)
    where steps.entered_at is not null

),

reopened as (

    select
        deal_id,
        knowledge_number,
        'reopened' as event_type,
        sign,
        occurred_at,
        credited_at,
        manager_id,
        stage_id,
        stage_id_before,
        native_amount,
        currency_code,
        expected_close_on,
        expected_close_on_before
    from stage_entered
    where
        (deal_id, knowledge_number, stage_id, occurred_at) in (
            select
                steps.deal_id,
                steps.knowledge_number,
                steps.stage_id,
                steps.entered_at
            from steps
            where steps.outcome = 'open' and steps.outcome_before <> 'open'
        )

),

closed as (

    select
        deal_id,
        knowledge_number,
        outcome as event_type,
        1 as sign,
        counted_at as occurred_at,
        closed_at as credited_at,
        manager_id,
        stage_id,
        stage_id_before,
        native_amount,
        currency_code,
        cast(null as date) as expected_close_on,
        cast(null as date) as expected_close_on_before
    from closings

),

taken_back as (

    select
        deal_id,
        knowledge_number,
        outcome as event_type,
        -1 as sign,
        taken_back_at as occurred_at,
        closed_at as credited_at,
        manager_id,
        stage_id,
        stage_id_before,
        native_amount,
        currency_code,
        cast(null as date) as expected_close_on,
        cast(null as date) as expected_close_on_before
    from closings
    where taken_back_at is not null

),

edits as (

    select
        versions.*,
        kinds.event_type,
        case kinds.event_type when 'merged' then versions.merged_at else versions.effective_at end as occurred_at
    from versions
    inner join last_versions
        on
            versions.deal_id = last_versions.deal_id
            and versions.knowledge_number = last_versions.knowledge_number
    cross join (
        values
        ('amount_changed'), ('close_date_moved'), ('owner_changed'), ('deleted'), ('merged'), ('restored')
    ) as kinds (event_type)
    where
        case kinds.event_type
            when 'deleted'
                then versions.is_last_version and versions.is_deleted and versions.merged_into_deal_id is null
            when 'merged'
                then versions.merged_into_deal_id is not null
            when 'restored' then versions.was_deleted and not versions.is_deleted
            when 'amount_changed'
                then
                    versions.version_order > 1
                    and (
                        versions.native_amount is distinct from versions.native_amount_before
                        or versions.currency_code <> versions.currency_code_before
                    )
            when 'close_date_moved'
                then versions.expected_close_on <> versions.expected_close_on_before
            when 'owner_changed'
                then versions.version_order > 1 and versions.manager_id is distinct from versions.manager_id_before
        end
        and (kinds.event_type in ('deleted', 'merged') or not last_versions.is_deleted)

),

edited as (

    select
        edits.deal_id,
        edits.knowledge_number,
        edits.event_type,
        1 as sign,
        edits.occurred_at,
        edits.occurred_at as credited_at,
        coalesce(owner_stays.manager_id, edits.manager_id) as manager_id,
        edits.stage_id,
        cast(null as varchar) as stage_id_before,
        edits.native_amount,
        edits.currency_code,
        edits.expected_close_on,
        edits.expected_close_on_before
    from edits
    left join owner_stays
        on
            edits.deal_id = owner_stays.deal_id
            and edits.knowledge_number = owner_stays.knowledge_number
            and edits.occurred_at >= owner_stays.owned_from
            and (owner_stays.owned_until is null or edits.occurred_at < owner_stays.owned_until)
    -- a history of owners tells of the handovers itself
    where edits.event_type <> 'owner_changed' or owner_stays.manager_id is null

),

handed_over as (

    select
        owner_stays.deal_id,
        owner_stays.knowledge_number,
        'owner_changed' as event_type,
        1 as sign,
        owner_stays.owned_from as occurred_at,
        owner_stays.owned_from as credited_at,
        owner_stays.manager_id,
        cast(null as varchar) as stage_id,
        cast(null as varchar) as stage_id_before,
        last_versions.native_amount,
        last_versions.currency_code,
        cast(null as date) as expected_close_on,
        cast(null as date) as expected_close_on_before
    from owner_stays
    inner join last_versions
        on
            owner_stays.deal_id = last_versions.deal_id
            and owner_stays.knowledge_number = last_versions.knowledge_number
    where
        not last_versions.is_deleted
        and owner_stays.stay_number > 1
        and owner_stays.manager_id is distinct from owner_stays.manager_id_before

),

facts as (

    select * from created
    where (deal_id, knowledge_number) in (select deal_id, knowledge_number from last_versions where not is_deleted)
    union all
    select * from stage_entered
    union all
    select * from reopened
    union all
    select * from closed
    union all
    select * from taken_back
    union all
    select * from edited
    union all
    select * from handed_over

)

select
    facts.*,
    case when facts.event_type = 'merged' then last_versions.merged_into_deal_id end as merged_into_deal_id,
    last_versions.account_id,
    last_versions.pipeline_id,
    last_versions.product,
    last_versions.lead_source,
    last_versions.known_from,
    last_versions.known_until
from facts
inner join last_versions
    on facts.deal_id = last_versions.deal_id and facts.knowledge_number = last_versions.knowledge_number
