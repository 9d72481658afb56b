-- One row per activity as the exports last told it.
with

versions as (

    {{ raw_versions('files', 'activities') }}

),

{% for mapping in files_mappings('activities') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as activity_id,
        {{ files_id(mapping, 'manager') }} as manager_id,
        {{ files_id(mapping, 'deal') }} as deal_id,
        {{ files_id(mapping, 'lead') }} as lead_id,
        {{ files_id(mapping, 'account') }} as account_id,

        ---------- text
        {{ files_text(mapping, 'type') }} as activity_type,

        ---------- times
        {{ files_moment(mapping, 'occurred_at') }} as occurred_at,

        ---------- flags
        is_deleted or coalesce(cast({{ files_text(mapping, 'is_deleted') }} as boolean), false) as is_deleted

    from rows_{{ loop.index }}
    where is_latest

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('activities') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
