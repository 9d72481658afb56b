-- One row per version of a stage change: from changed_at on the deal is in this stage.
with

deals as (

    select * from {{ ref('stg_files__deal') }}

),

versions as (

    {{ raw_versions('files', 'stage_changes') }}

),

{% for mapping in files_mappings('stage_changes') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as stage_change_id,
        {{ files_id(mapping, 'deal') }} as deal_id,

        ---------- text
        {{ files_text(mapping, 'stage') }} as stage_name,

        ---------- times
        {{ files_moment(mapping, 'changed_at') }} as changed_at,

        ---------- version
        is_deleted,
        recorded_at,
        superseded_at

    from rows_{{ loop.index }}

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('stage_changes') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- A stage is one of its deal's pipeline, which an export of changes does not repeat.
placed as (

    select
        mapped.stage_change_id,
        mapped.deal_id,
        deals.pipeline_id || ':' || mapped.stage_name as stage_id,
        mapped.changed_at,
        mapped.recorded_at,
        mapped.superseded_at
    from mapped
    inner join deals
        on mapped.deal_id = deals.deal_id
    where not mapped.is_deleted

)

select * from placed
