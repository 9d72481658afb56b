-- One row per stage and pipeline. A record type is a pipeline, and so is having none; stages are shared by all, because
-- which of them a sales process has is not told.
with

stages as (

    {{ parsed_versions('salesforce', 'stages', {
        'ApiName': 'VARCHAR', 'MasterLabel': 'VARCHAR', 'IsClosed': 'BOOLEAN', 'IsWon': 'BOOLEAN',
        'SortOrder': 'INTEGER', 'DefaultProbability': 'VARCHAR'
    }) }}

),

record_types as (

    {{ parsed_versions('salesforce', 'record_types', {'Name': 'VARCHAR'}) }}

),

deals as (

    {{ parsed_versions('salesforce', 'opportunities', {
        'StageName': 'VARCHAR', 'IsClosed': 'BOOLEAN', 'IsWon': 'BOOLEAN'
    }) }}

),

pipelines as (

    select
        'default' as pipeline_key,
        'default' as pipeline_name

    union all

    select
        id as pipeline_key,
        coalesce(source.name, id) as pipeline_name
    from record_types
    where is_latest

),

told_stages as (

    select
        coalesce(source.apiname, source.masterlabel) as stage_key,
        source.masterlabel as stage_name,
        source.iswon as is_won,
        source.isclosed as is_closed,
        source.sortorder as position,
        try_cast(source.defaultprobability as decimal(7, 4)) / 100 as probability,
        is_deleted,
        effective_at,
        id
    from stages
    where is_latest

    union all

    -- a stage that was taken away before it was ever read still says in its deals what it means
    select
        source.stagename as stage_key,
        source.stagename as stage_name,
        source.iswon as is_won,
        source.isclosed as is_closed,
        null as position,
        null as probability,
        true as is_deleted,
        timestamptz '1970-01-01 00:00:00+00' as effective_at,
        id
    from deals
    where is_latest

),

-- A stage that was taken away and made anew has two ids.
named_stages as (

    select
        *,
        row_number() over (partition by stage_key order by is_deleted asc, effective_at desc, id asc) as choice
    from told_stages
    where stage_key is not null

)

select
    ---------- ids
    {{ crm_id('salesforce', "pipelines.pipeline_key || ':' || named_stages.stage_key") }} as stage_id,
    {{ crm_id('salesforce', 'pipelines.pipeline_key') }} as pipeline_id,

    ---------- text
    pipelines.pipeline_name,
    coalesce(named_stages.stage_name, named_stages.stage_key) as stage_name,
    case
        when named_stages.is_won then 'won'
        when named_stages.is_closed then 'lost'
        else 'open'
    end as outcome,

    ---------- numbers
    coalesce(named_stages.position, 0) as position,
    cast(named_stages.probability as decimal(5, 4)) as probability
from pipelines
cross join named_stages
where named_stages.choice = 1
