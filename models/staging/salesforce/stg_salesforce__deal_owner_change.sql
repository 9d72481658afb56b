-- One row per owner that an opportunity got, by its field history; the first one from its creation on. An org that does
-- not track the field has none.
with

deals as (

    select * from {{ ref('stg_salesforce__deal') }}

),

versions as (

    {{ parsed_versions('salesforce', 'field_history', {
        'OpportunityId': 'VARCHAR', 'Field': 'VARCHAR', 'OldValue': 'VARCHAR', 'NewValue': 'VARCHAR',
        'CreatedDate': 'VARCHAR'
    }) }}

),

-- A change of owner has two entries: with the names of the owners, and with their ids.
changes as (

    select
        id,
        {{ crm_id('salesforce', 'source.opportunityid') }} as deal_id,
        {{ crm_id('salesforce', 'source.oldvalue') }} as old_manager_id,
        {{ crm_id('salesforce', 'source.newvalue') }} as new_manager_id,
        {{ iso_moment('source.createddate') }} as changed_at,
        is_latest,
        is_deleted,
        recorded_at,
        superseded_at
    from versions
    where source.field = 'Owner' and source.newvalue like '005%'

),

first_changes as (

    select
        *,
        row_number() over (partition by deal_id order by changed_at, id) as place
    from changes
    where is_latest and not is_deleted

),

-- Who had it before the first change that is known had it from its creation on, as far as is known.
from_creation as (

    select
        first_changes.deal_id || '|created' as owner_change_id,
        first_changes.deal_id,
        first_changes.old_manager_id as manager_id,
        deals.created_at as changed_at,
        first_changes.recorded_at,
        cast(null as timestamptz) as superseded_at
    from first_changes
    inner join deals
        on first_changes.deal_id = deals.deal_id
    where
        first_changes.place = 1
        and first_changes.old_manager_id is not null
        and deals.created_at < first_changes.changed_at

),

from_changes as (

    select
        {{ crm_id('salesforce', 'id') }} as owner_change_id,
        deal_id,
        new_manager_id as manager_id,
        changed_at,
        recorded_at,
        superseded_at
    from changes
    where not is_deleted and changed_at is not null

)

select * from from_creation
union all
select * from from_changes
