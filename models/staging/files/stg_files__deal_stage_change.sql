-- One row per version of a stage change: from changed_at on the deal is in this stage.
with

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

)

select
    stage_change_id,
    deal_id,
    cast(null as varchar) as stage_id,
    stage_name,
    changed_at,
    recorded_at,
    superseded_at
from mapped
where not is_deleted
