-- One row per owner that a deal got, by the history of its property hubspot_owner_id. That it has none at times is not
-- told on: it stays with the one before.
with

versions as (

    {{ parsed_versions('hubspot', 'deals', {
        'propertiesWithHistory': {'hubspot_owner_id': [{'value': 'VARCHAR', 'timestamp': 'VARCHAR'}]},
    }) }}

),

told as (

    select
        id,
        version_number,
        recorded_at,
        unnest(source.propertieswithhistory.hubspot_owner_id) as change,
        generate_subscripts(source.propertieswithhistory.hubspot_owner_id, 1) as place
    from versions

),

dated as (

    select
        id,
        version_number,
        recorded_at,
        place,
        nullif(change.value, '') as owner_id,
        {{ iso_moment('change.timestamp') }} as changed_at
    from told

),

-- A history tells the last change first. Of those of one moment the last one stands.
changes as (

    select
        id,
        changed_at,
        recorded_at,
        arg_min(owner_id, place) as owner_id
    from dated
    group by id, version_number, recorded_at, changed_at

),

recorded as (

    {{ history_recorded('changes', ['id', 'owner_id', 'changed_at']) }}

)

select
    cast(
        'hubspot:' || id || '|' || strftime(timezone('UTC', changed_at), '%Y-%m-%dT%H:%M:%S.%gZ') || '|' || owner_id
        as varchar
    ) as owner_change_id,
    {{ crm_id('hubspot', 'id') }} as deal_id,
    {{ crm_id('hubspot', 'owner_id') }} as manager_id,
    changed_at,
    recorded_at,
    superseded_at
from recorded
where owner_id is not null and changed_at is not null
