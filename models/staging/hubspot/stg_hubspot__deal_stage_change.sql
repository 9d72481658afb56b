-- One row per stage that a deal entered, by the history of its property dealstage. A stage is of one pipeline only.
with

stages as (

    select * from {{ ref('stg_hubspot__pipeline_stage') }}

),

versions as (

    {{ parsed_versions('hubspot', 'deals', {
        'properties': {'pipeline': 'VARCHAR'},
        'propertiesWithHistory': {'dealstage': [{'value': 'VARCHAR', 'timestamp': 'VARCHAR'}]},
    }) }}

),

told as (

    select
        id,
        {{ crm_id('hubspot', "coalesce(nullif(source.properties.pipeline, ''), 'default')") }} as pipeline_id,
        version_number,
        recorded_at,
        unnest(source.propertieswithhistory.dealstage) as change,
        generate_subscripts(source.propertieswithhistory.dealstage, 1) as place
    from versions

),

dated as (

    select
        id,
        pipeline_id,
        version_number,
        recorded_at,
        place,
        nullif(change.value, '') as dealstage,
        {{ iso_moment('change.timestamp') }} as changed_at
    from told

),

-- A history tells the last change first. Of those of one moment the last one stands.
last_of_moment as (

    select
        id,
        pipeline_id,
        version_number,
        recorded_at,
        changed_at,
        arg_min(dealstage, place) as dealstage
    from dated
    group by id, pipeline_id, version_number, recorded_at, changed_at

),

changes as (

    select
        id,
        dealstage,
        changed_at,
        -- the pipeline that the deal was in when the change was told first
        arg_min(pipeline_id, version_number) as pipeline_id,
        min(recorded_at) as recorded_at
    from last_of_moment
    where dealstage is not null and changed_at is not null
    group by id, dealstage, changed_at

),

found as (

    select
        changes.id,
        changes.dealstage,
        changes.changed_at,
        changes.recorded_at,
        coalesce(stages.stage_id, changes.pipeline_id || ':' || changes.dealstage) as stage_id,
        coalesce(stages.stage_name, changes.dealstage) as stage_name,
        row_number() over (
            partition by changes.id, changes.dealstage, changes.changed_at
            order by (stages.pipeline_id = changes.pipeline_id) desc nulls last, stages.stage_id
        ) as choice
    from changes
    left join stages
        on changes.dealstage = split_part(stages.stage_id, ':', 3)

)

select
    cast(
        'hubspot:' || id || '|' || strftime(timezone('UTC', changed_at), '%Y-%m-%dT%H:%M:%S.%gZ') || '|' || dealstage
        as varchar
    ) as stage_change_id,
    {{ crm_id('hubspot', 'id') }} as deal_id,
    stage_id,
    stage_name,
    changed_at,
    recorded_at,
    cast(null as timestamptz) as superseded_at
from found
where choice = 1
