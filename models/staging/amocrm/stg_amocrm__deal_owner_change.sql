-- One row per version of a change of owner: from changed_at on the deal is this user's. The events tell of changes
-- only; whoever a deal was created for is the one that its first change left.
with

events as (

    {{ amocrm_lead_events('entity_responsible_changed', 'responsible_user') }}

),

first_events as (

    {{ amocrm_first_events('events') }}

),

deals as (

    select * from {{ ref('stg_amocrm__deal') }}

),

first_owners as (

    select
        first_events.deal_id || '|created' as event_id,
        first_events.deal_id,
        first_events.value_before.id as user_id,
        least(deals.created_at, first_events.changed_at) as changed_at,
        first_events.recorded_at,
        first_events.superseded_at
    from first_events
    inner join deals
        on first_events.deal_id = deals.deal_id and deals.created_at is not null

),

changes as (

    select
        event_id,
        deal_id,
        value_after.id as user_id,
        changed_at,
        recorded_at,
        superseded_at
    from events

    union all

    select
        event_id,
        deal_id,
        user_id,
        changed_at,
        recorded_at,
        superseded_at
    from first_owners

)

select
    event_id as owner_change_id,
    deal_id,
    {{ crm_id('amocrm', 'user_id') }} as manager_id,
    changed_at,
    recorded_at,
    superseded_at
from changes
where user_id is not null and user_id <> '0' and changed_at is not null
