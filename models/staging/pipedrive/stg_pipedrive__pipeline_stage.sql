-- One row per stage of a pipeline, and two more for won and lost, which Pipedrive keeps apart from the stages.
with

stages as (

    {{ parsed_versions('pipedrive', 'stages', {
        'name': 'VARCHAR', 'pipeline_id': 'VARCHAR', 'order_nr': 'INTEGER', 'deal_probability': 'VARCHAR'
    }) }}

),

pipelines as (

    {{ parsed_versions('pipedrive', 'pipelines', {'name': 'VARCHAR'}) }}

),

deals as (

    {{ parsed_versions('pipedrive', 'deals', {'pipeline_id': 'VARCHAR'}) }}

),

-- A pipeline that was taken away before it was ever read has its won and lost deals all the same.
latest_pipelines as (

    select
        {{ crm_id('pipedrive', 'id') }} as pipeline_id,
        coalesce(source.name, id) as pipeline_name
    from pipelines
    where is_latest

    union all

    select
        {{ crm_id('pipedrive', 'source.pipeline_id') }} as pipeline_id,
        source.pipeline_id as pipeline_name
    from deals
    where source.pipeline_id not in (select id from pipelines)
    group by source.pipeline_id

),

open_stages as (

    select
        {{ crm_id('pipedrive', "source.pipeline_id || ':' || id") }} as stage_id,
        {{ crm_id('pipedrive', 'source.pipeline_id') }} as pipeline_id,
        coalesce(source.name, id) as stage_name,
        'open' as outcome,
        coalesce(source.order_nr, 0) as position,
        cast(try_cast(source.deal_probability as decimal(7, 4)) / 100 as decimal(5, 4)) as probability
    from stages
    where is_latest and source.pipeline_id is not null

),

outcomes as (

    select
        'won' as outcome,
        'Won' as stage_name,
        1000 as position,
        1 as probability

    union all

    select
        'lost' as outcome,
        'Lost' as stage_name,
        1001 as position,
        0 as probability

),

closed_stages as (

    select
        latest_pipelines.pipeline_id || ':' || outcomes.outcome as stage_id,
        latest_pipelines.pipeline_id,
        outcomes.stage_name,
        outcomes.outcome,
        outcomes.position,
        cast(outcomes.probability as decimal(5, 4)) as probability
    from latest_pipelines
    cross join outcomes

),

all_stages as (

    select * from open_stages
    union all
    select * from closed_stages

)

select
    ---------- ids
    all_stages.stage_id,
    all_stages.pipeline_id,

    ---------- text
    coalesce(latest_pipelines.pipeline_name, all_stages.pipeline_id) as pipeline_name,
    all_stages.stage_name,
    all_stages.outcome,

    ---------- numbers
    all_stages.position,
    all_stages.probability
from all_stages
left join latest_pipelines
    on all_stages.pipeline_id = latest_pipelines.pipeline_id
