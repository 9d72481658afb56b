-- One row per stage that the mapping names, with its outcome.
with

stages as (

    select
        cast(null as varchar) as pipeline_name,
        cast(null as varchar) as stage_name,
        cast(null as varchar) as outcome,
        cast(null as integer) as position,
        cast(null as decimal(5, 4)) as probability
    -- the columns, where no stage is mapped
    where false
    {% for stage in company().files.get('stages') or [] %}
        union all
        select
            {{ sql_text(stage.pipeline) }} as pipeline_name,
            {{ sql_text(stage.name) }} as stage_name,
            {{ sql_text(stage.outcome) }} as outcome,
            {{ stage.position }} as position,
            cast({{ 'null' if stage.probability is none else stage.probability }} as decimal(5, 4)) as probability
    {% endfor %}

)

select
    ---------- ids
    'files:' || pipeline_name || ':' || stage_name as stage_id,
    'files:' || pipeline_name as pipeline_id,

    ---------- text
    pipeline_name,
    stage_name,
    outcome,

    ---------- numbers
    position,
    probability
from stages
