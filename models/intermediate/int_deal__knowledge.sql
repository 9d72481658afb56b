-- One row per deal, moment at which something new was recorded of it, and version of the deal known by then.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

versions as (

    select * from (
        {{ from_every_crm('deal_version') }}
    ) as told
    {{ rows_of('changed') }}

),

stage_changes as (

    select * from (
        {{ from_every_crm('deal_stage_change') }}
    ) as told
    {{ rows_of('changed') }}

),

owner_changes as (

    select * from (
        {{ from_every_crm('deal_owner_change') }}
    ) as told
    {{ rows_of('changed') }}

),

mergers as (

    select * from (
        {{ from_every_crm('deal_merge') }}
    ) as told
    {{ rows_of('changed') }}

),

moments as (

    select deal_id, recorded_at as known_from from versions
    union
    select deal_id, recorded_at as known_from from stage_changes
    union
    select deal_id, superseded_at as known_from from stage_changes where superseded_at is not null
    union
    select deal_id, recorded_at as known_from from owner_changes
    union
    select deal_id, superseded_at as known_from from owner_changes where superseded_at is not null
    union
    select deal_id, recorded_at as known_from from mergers
    union
    select deal_id, superseded_at as known_from from mergers where superseded_at is not null

),

-- A deal that its changes came before is known from its first version on.
with_a_version as (

    select
        moments.deal_id,
        moments.known_from
    from moments
    inner join versions
        on moments.deal_id = versions.deal_id and moments.known_from >= versions.recorded_at
    group by moments.deal_id, moments.known_from

),

numbered as (

    select
        with_a_version.deal_id,
        with_a_version.known_from,
        row_number() over moment_order as knowledge_number,
        lead(with_a_version.known_from) over moment_order as known_until,
        mergers.merged_into_deal_id,
        mergers.merged_at
    from with_a_version
    left join mergers
        on
            with_a_version.deal_id = mergers.deal_id
            and with_a_version.known_from >= mergers.recorded_at
            and (mergers.superseded_at is null or with_a_version.known_from < mergers.superseded_at)
    window moment_order as (partition by with_a_version.deal_id order by with_a_version.known_from)

),

known_versions as (

    select
        numbered.knowledge_number,
        numbered.known_from,
        numbered.known_until,
        row_number() over known_order as version_order,
        lead(versions.deal_id) over known_order is null as is_last_version,
        versions.deal_id,
        versions.manager_id,
        versions.account_id,
        versions.lead_id,
        versions.pipeline_id,
        versions.stage_id,
        versions.deal_name,
        versions.product,
        versions.lead_source,
        versions.loss_reason,
        versions.native_amount,
        versions.currency_code,
        versions.created_at,
        versions.closed_at,
        versions.expected_close_on,
        versions.is_deleted,
        versions.has_source_time,
        versions.effective_at,
        numbered.merged_into_deal_id,
        numbered.merged_at
    from numbered
    inner join versions
        on numbered.deal_id = versions.deal_id and numbered.known_from >= versions.recorded_at
    window known_order as (
        partition by numbered.deal_id, numbered.knowledge_number order by versions.version_number
    )

)

select
    knowledge_number,
    known_from,
    known_until,
    version_order,
    is_last_version,
    deal_id,
    manager_id,
    account_id,
    lead_id,
    pipeline_id,
    stage_id,
    deal_name,
    product,
    lead_source,
    loss_reason,
    native_amount,
    currency_code,
    created_at,
    closed_at,
    expected_close_on,
    -- what was merged into another deal is no longer there, whatever its own record says
    is_deleted or (is_last_version and merged_into_deal_id is not null) as is_deleted,
    has_source_time,
    effective_at,
    case when is_last_version then merged_into_deal_id end as merged_into_deal_id,
    case
        when is_last_version and merged_into_deal_id is not null then coalesce(merged_at, effective_at)
    end as merged_at
from known_versions
