-- One row per stage of a deal pipeline, as Bitrix24 last told it; one that was removed stays, for deals were in it.
with

categories as (

    {{ parsed_versions('bitrix24', 'categories', {'name': 'VARCHAR'}) }}

),

statuses as (

    {{ parsed_versions('bitrix24', 'statuses', {
        'ENTITY_ID': 'VARCHAR', 'STATUS_ID': 'VARCHAR', 'NAME': 'VARCHAR', 'SORT': 'VARCHAR', 'SEMANTICS': 'VARCHAR'
    }) }}

),

-- The stages of the first pipeline are DEAL_STAGE, those of the others DEAL_STAGE_<id>. One that was removed and made
-- again has another id, but the same code.
stages as (

    select
        coalesce(nullif(regexp_extract(source.entity_id, '^DEAL_STAGE_(\d+)$', 1), ''), '0') as category_id,
        source.status_id as stage_code,
        source.name as stage_name,
        source.semantics,
        try_cast(source.sort as integer) as position,
        row_number() over (
            partition by source.entity_id, source.status_id order by is_deleted asc, recorded_at desc, id desc
        ) as recency
    from statuses
    where is_latest and regexp_full_match(source.entity_id, 'DEAL_STAGE(_\d+)?')

)

select
    ---------- ids
    cast('bitrix24:' || stages.category_id || ':' || stages.stage_code as varchar) as stage_id,
    {{ crm_id('bitrix24', 'stages.category_id') }} as pipeline_id,

    ---------- text
    coalesce(nullif(categories.source.name, ''), stages.category_id) as pipeline_name,
    coalesce(nullif(stages.stage_name, ''), stages.stage_code) as stage_name,
    case stages.semantics when 'S' then 'won' when 'F' then 'lost' else 'open' end as outcome,

    ---------- numbers
    coalesce(stages.position, 0) as position,
    cast(null as decimal(5, 4)) as probability
from stages
left join categories
    on stages.category_id = categories.id and categories.is_latest
where stages.recency = 1
