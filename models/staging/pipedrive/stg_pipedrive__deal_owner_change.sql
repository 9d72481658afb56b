-- One row per owner that a deal got, by its changelog; the first one from its creation on. A deal that always had the
-- same has none.
with

deal_versions as (

    {{ parsed_versions('pipedrive', 'deals', {'add_time': 'VARCHAR'}) }}

),

deals as (

    select
        {{ crm_id('pipedrive', 'id') }} as deal_id,
        {{ iso_moment('source.add_time') }} as created_at
    from deal_versions
    where is_latest

),

versions as (

    {{ parsed_versions('pipedrive', 'deal_changes', {
        'deal_id': 'VARCHAR', 'time': 'VARCHAR', 'field_key': 'VARCHAR', 'old_value': 'VARCHAR', 'new_value': 'VARCHAR'
    }) }}

),

changes as (

    select
        {{ crm_id('pipedrive', 'id') }} as owner_change_id,
        {{ crm_id('pipedrive', 'source.deal_id') }} as deal_id,
        {{ crm_id('pipedrive', 'source.old_value') }} as old_manager_id,
        {{ crm_id('pipedrive', 'source.new_value') }} as manager_id,
        {{ iso_moment('source.time') }} as changed_at,
        row_number() over (partition by source.deal_id order by source.time, id) as place,
        recorded_at,
        superseded_at
    from versions
    -- an entry of a changelog never changes
    where is_latest and source.field_key in ('user_id', 'owner_id')

),

from_creation as (

    select
        changes.deal_id || '|created' as owner_change_id,
        changes.deal_id,
        changes.old_manager_id as manager_id,
        deals.created_at as changed_at,
        changes.recorded_at,
        changes.superseded_at
    from changes
    inner join deals
        on changes.deal_id = deals.deal_id
    where
        changes.place = 1
        and changes.old_manager_id is not null
        and deals.created_at < changes.changed_at

)

select * from from_creation

union all

select
    owner_change_id,
    deal_id,
    manager_id,
    changed_at,
    recorded_at,
    superseded_at
from changes
where manager_id is not null and changed_at is not null
