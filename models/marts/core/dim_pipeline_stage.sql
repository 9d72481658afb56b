-- One row per stage of a pipeline, with what being in it means for a deal.
with

stages as (

    {{ from_every_crm('pipeline_stage') }}

)

select
    stage_id,
    pipeline_id,
    pipeline_name,
    stage_name,
    outcome,
    position,
    probability
from stages
