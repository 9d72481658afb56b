with

deals as (

    select * from {{ ref('int_deal__knowledge') }}
    where is_last_version and known_until is null and not is_deleted

),

stages as (

    select * from {{ ref('dim_pipeline_stage') }}

)

select
    deals.pipeline_id,
    deals.stage_id,
    count(*) as deal_count,
    min(deals.deal_id) as example
from deals
left join stages
    on deals.stage_id = stages.stage_id
where stages.stage_id is null
group by deals.pipeline_id, deals.stage_id
order by deals.stage_id
