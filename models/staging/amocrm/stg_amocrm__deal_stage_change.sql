-- One row per version of a stage change: from changed_at on the deal is in this stage. The events tell of moves only;
-- the stage that a deal was created in is the one that its first move left, unless inquiries lie there.
with

events as (

    {{ amocrm_lead_events('lead_status_changed', 'lead_status') }}

),

first_events as (

    {{ amocrm_first_events('events') }}

),

incoming as (

    {{ amocrm_incoming_statuses() }}

),

deals as (

    select * from {{ ref('stg_amocrm__deal') }}

),

first_stages as (

    select
        first_events.deal_id || '|created' as event_id,
        first_events.deal_id,
        first_events.value_before as status,
        least(deals.created_at, first_events.changed_at) as changed_at,
        first_events.recorded_at,
        first_events.superseded_at
    from first_events
    inner join deals
        on first_events.deal_id = deals.deal_id and deals.created_at is not null
    left join incoming
        on
            first_events.value_before.pipeline_id = incoming.pipeline_id
            and first_events.value_before.id = incoming.status_id
    where incoming.status_id is null

),

changes as (

    select
        event_id,
        deal_id,
        value_after as status,
        changed_at,
        recorded_at,
        superseded_at
    from events

    union all

    select
        event_id,
        deal_id,
        status,
        changed_at,
        recorded_at,
        superseded_at
    from first_stages

)

select
    event_id as stage_change_id,
    deal_id,
    cast('amocrm:' || status.pipeline_id || ':' || status.id as varchar) as stage_id,
    status.id as stage_name,
    changed_at,
    recorded_at,
    superseded_at
from changes
where status.pipeline_id is not null and status.id is not null and changed_at is not null
