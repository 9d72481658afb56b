-- One row per stage that an opportunity entered, by its history. The history does not name the pipeline, and has an
-- entry for every change of amount or date too.
with

versions as (

    {{ parsed_versions('salesforce', 'opportunity_history', {
        'OpportunityId': 'VARCHAR', 'StageName': 'VARCHAR', 'CreatedDate': 'VARCHAR'
    }) }}

),

entries as (

    select
        id,
        source.opportunityid as opportunity_id,
        source.stagename as stage_name,
        {{ iso_moment('source.createddate') }} as changed_at,
        is_latest,
        is_deleted,
        recorded_at,
        superseded_at
    from versions

),

in_order as (

    select
        id,
        stage_name,
        lag(stage_name) over (partition by opportunity_id order by changed_at, id) as stage_name_before
    from entries
    where is_latest and changed_at is not null

)

select
    {{ crm_id('salesforce', 'entries.id') }} as stage_change_id,
    {{ crm_id('salesforce', 'entries.opportunity_id') }} as deal_id,
    cast(null as varchar) as stage_id,
    entries.stage_name,
    entries.changed_at,
    entries.recorded_at,
    entries.superseded_at
from entries
inner join in_order
    on entries.id = in_order.id
where
    not entries.is_deleted
    and in_order.stage_name is not null
    and in_order.stage_name is distinct from in_order.stage_name_before
