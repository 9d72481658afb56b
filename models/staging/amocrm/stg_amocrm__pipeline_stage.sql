-- One row per stage of a pipeline, as amoCRM last told it; one that was removed stays, for deals were in it. Every
-- pipeline has the stages 142, won, and 143, lost. Where inquiries lie until they are accepted is no stage of deals.
with

versions as (

    {{ parsed_versions('amocrm', 'pipelines', {
        'name': 'VARCHAR',
        '_embedded': {'statuses': [{'id': 'VARCHAR', 'name': 'VARCHAR', 'sort': 'INTEGER', 'type': 'VARCHAR'}]},
    }) }}

),

listed as (

    select
        id as pipeline_id,
        source.name as pipeline_name,
        version_number,
        unnest(source._embedded.statuses) as status
    from versions

),

last_listed as (

    select
        *,
        row_number() over (partition by pipeline_id, status.id order by version_number desc) as recency
    from listed

)

select
    ---------- ids
    cast('amocrm:' || pipeline_id || ':' || status.id as varchar) as stage_id,
    {{ crm_id('amocrm', 'pipeline_id') }} as pipeline_id,

    ---------- text
    coalesce(nullif(pipeline_name, ''), pipeline_id) as pipeline_name,
    coalesce(nullif(status.name, ''), status.id) as stage_name,
    case status.id when '142' then 'won' when '143' then 'lost' else 'open' end as outcome,

    ---------- numbers
    coalesce(status.sort, 0) as position,
    cast(null as decimal(5, 4)) as probability
from last_listed
where recency = 1 and status.type is distinct from '1'
