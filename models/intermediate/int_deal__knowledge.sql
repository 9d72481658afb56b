-- One row per deal, moment at which something new was recorded of it, and version of the deal known by then.
with

versions as (

    {{ from_every_crm('deal_version') }}

),

stage_changes as (

    {{ from_every_crm('deal_stage_change') }}

),

owner_changes as (

    {{ from_every_crm('deal_owner_change') }}

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
        deal_id,
        known_from,
        row_number() over (partition by deal_id order by known_from) as knowledge_number,
        lead(known_from) over (partition by deal_id order by known_from) as known_until
    from with_a_version

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
        versions.effective_at
    from numbered
    inner join versions
        on numbered.deal_id = versions.deal_id and numbered.known_from >= versions.recorded_at
    window known_order as (
        partition by numbered.deal_id, numbered.knowledge_number order by versions.version_number
    )

)

select * from known_versions
