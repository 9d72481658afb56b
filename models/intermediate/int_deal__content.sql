-- One row per deal: a hash of all that staging tells of it, and the build that found it new, changed or gone.
{%- set told_by = ['deal_version', 'deal_stage_change', 'deal_owner_change', 'deal_merge'] %}
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='deal_id', on_schema_change='fail'
) }}

with

{% for entity in told_by %}
{{ entity }} as (

    {{ from_every_crm(entity) }}

),

{% endfor %}
stages as (

    {{ from_every_crm('pipeline_stage') }}

),

-- What a stage means is told of every deal.
meanings as (

    select coalesce(sum(hash(stage_id, outcome, probability)), 0) as content
    from stages

),

told as (

    {% for entity in told_by %}
    select
        deal_id,
        hash('{{ entity }}', {{ entity }}) as content
    from {{ entity }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

summed as (

    select
        deal_id,
        sum(content) as content
    from told
    group by deal_id

),

deals as (

    select
        summed.deal_id,
        hash(summed.content, meanings.content) as content
    from summed
    cross join meanings

)

{{ what_changed('deals', ['deal_id']) }}
