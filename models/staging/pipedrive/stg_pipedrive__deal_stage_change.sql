-- One row per stage that a deal entered, by its changelog: stages, and won and lost, which stand apart from them there.
-- A deal whose changelog has neither has none.
with

deal_versions as (

    {{ parsed_versions('pipedrive', 'deals', {
        'pipeline_id': 'VARCHAR', 'stage_id': 'VARCHAR', 'add_time': 'VARCHAR'
    }) }}

),

deals as (

    select
        {{ crm_id('pipedrive', 'id') }} as deal_id,
        {{ crm_id('pipedrive', "coalesce(source.pipeline_id, 'default')") }} as pipeline_id,
        source.stage_id as stage_key,
        {{ iso_moment('source.add_time') }} as created_at
    from deal_versions
    where is_latest

),

stages as (

    select * from {{ ref('stg_pipedrive__pipeline_stage') }}

),

versions as (

    {{ parsed_versions('pipedrive', 'deal_changes', {
        'deal_id': 'VARCHAR', 'time': 'VARCHAR', 'field_key': 'VARCHAR', 'old_value': 'VARCHAR', 'new_value': 'VARCHAR'
    }) }}

),

changes as (

    select
        {{ crm_id('pipedrive', 'id') }} as stage_change_id,
        {{ crm_id('pipedrive', 'source.deal_id') }} as deal_id,
        {{ iso_moment('source.time') }} as changed_at,
        case when source.field_key = 'stage_id' then source.old_value end as old_stage,
        case when source.field_key = 'stage_id' then source.new_value end as new_stage,
        case when source.field_key = 'status' then source.new_value end as new_status,
        recorded_at
    from versions
    -- an entry of a changelog never changes
    where is_latest and source.field_key in ('stage_id', 'status') and {{ iso_moment('source.time') }} is not null

),

first_stages as (

    select
        deal_id,
        arg_min(old_stage, changed_at) as old_stage
    from changes
    where old_stage is not null
    group by deal_id

),

first_changes as (

    select
        deal_id,
        min(changed_at) as changed_at,
        min(recorded_at) as recorded_at
    from changes
    group by deal_id

),

-- The stage before the first change is the one that the deal was made in, open.
creations as (

    select
        first_changes.deal_id || '|created' as stage_change_id,
        first_changes.deal_id,
        least(deals.created_at, first_changes.changed_at) as changed_at,
        coalesce(first_stages.old_stage, deals.stage_key) as new_stage,
        'open' as new_status,
        first_changes.recorded_at,
        0 as place
    from first_changes
    inner join deals
        on first_changes.deal_id = deals.deal_id
    left join first_stages
        on first_changes.deal_id = first_stages.deal_id

),

story as (

    select * from creations

    union all

    select
        stage_change_id,
        deal_id,
        changed_at,
        new_stage,
        new_status,
        recorded_at,
        1 as place
    from changes

),

stood as (

    select
        *,
        last_value(new_stage ignore nulls) over story_order as stage_key,
        last_value(new_status ignore nulls) over story_order as status
    from story
    window story_order as (
        partition by deal_id order by changed_at, place, stage_change_id
    )

),

-- A stage that was taken away before it was ever read is taken to be of the pipeline that the deal is in.
entered as (

    select
        stood.stage_change_id,
        stood.deal_id,
        coalesce(stages.pipeline_id, deals.pipeline_id) || ':'
        || case when stood.status in ('won', 'lost') then stood.status else stood.stage_key end as stage_id,
        stood.changed_at,
        stood.place,
        stood.recorded_at
    from stood
    inner join deals
        on stood.deal_id = deals.deal_id
    left join stages
        on stood.stage_key = split_part(stages.stage_id, ':', 3)

),

changed as (

    select
        *,
        lag(stage_id) over (partition by deal_id order by changed_at, place, stage_change_id) as stage_id_before
    from entered

)

select
    changed.stage_change_id,
    changed.deal_id,
    changed.stage_id,
    coalesce(stages.stage_name, split_part(changed.stage_id, ':', 3)) as stage_name,
    changed.changed_at,
    changed.recorded_at,
    cast(null as timestamptz) as superseded_at
from changed
left join stages
    on changed.stage_id = stages.stage_id
where changed.stage_id is distinct from changed.stage_id_before
