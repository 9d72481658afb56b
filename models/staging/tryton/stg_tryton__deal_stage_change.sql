-- One row per stage that an opportunity entered, by its revisions, from when it was a lead on.
with

versions as (

    {{ parsed_versions('tryton', 'opportunities', {'state': 'VARCHAR'}) }}

),

deals as (

    select deal_id from {{ ref('stg_tryton__deal') }}

),

stages as (

    select * from {{ ref('stg_tryton__pipeline_stage') }}

),

told as (

    select
        id,
        source.state,
        lag(source.state) over (partition by id order by version_number) as state_before,
        effective_at,
        recorded_at
    from versions
    where not is_deleted and source.state is not null

)

select
    cast(
        'tryton:' || told.id || '|' || strftime(timezone('UTC', told.effective_at), '%Y-%m-%dT%H:%M:%S.%fZ') as varchar
    ) as stage_change_id,
    deals.deal_id,
    stages.stage_id,
    coalesce(stages.stage_name, told.state) as stage_name,
    told.effective_at as changed_at,
    told.recorded_at,
    cast(null as timestamptz) as superseded_at
from told
inner join deals
    on {{ crm_id('tryton', 'told.id') }} = deals.deal_id
left join stages
    on 'tryton:opportunity:' || told.state = stages.stage_id
where told.state is distinct from told.state_before
