-- One row per stage of a deal pipeline, as HubSpot last told it; one that was removed stays, for deals were in it.
with

versions as (

    {{ parsed_versions('hubspot', 'pipelines', {
        'label': 'VARCHAR',
        'stages': [{
            'id': 'VARCHAR',
            'label': 'VARCHAR',
            'displayOrder': 'INTEGER',
            'metadata': {'isClosed': 'VARCHAR', 'probability': 'VARCHAR'},
        }],
    }) }}

),

listed as (

    select
        id as pipeline_id,
        source.label as pipeline_name,
        version_number,
        unnest(source.stages) as stage
    from versions

),

last_listed as (

    select
        *,
        try_cast(stage.metadata.probability as decimal(5, 4)) as probability,
        lower(stage.metadata.isclosed) = 'true' as is_closed,
        row_number() over (partition by pipeline_id, stage.id order by version_number desc) as recency
    from listed

)

select
    ---------- ids
    cast('hubspot:' || pipeline_id || ':' || stage.id as varchar) as stage_id,
    {{ crm_id('hubspot', 'pipeline_id') }} as pipeline_id,

    ---------- text
    coalesce(pipeline_name, pipeline_id) as pipeline_name,
    coalesce(stage.label, stage.id) as stage_name,
    -- a stage is closed with probability 1 or 0; where nothing says closed, these two do
    case
        when coalesce(is_closed, probability in (0, 1)) is not true then 'open'
        when probability = 1 then 'won'
        else 'lost'
    end as outcome,

    ---------- numbers
    coalesce(stage.displayorder, 0) as position,
    probability
from last_listed
where recency = 1
