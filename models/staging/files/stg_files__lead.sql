-- One row per lead as the exports last told it.
with

versions as (

    {{ raw_versions('files', 'leads') }}

),

{% for mapping in files_mappings('leads') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as lead_id,
        {{ files_id(mapping, 'manager') }} as manager_id,
        {{ files_id(mapping, 'account') }} as account_id,
        {{ files_id(mapping, 'deal') }} as deal_id,

        ---------- text
        {{ files_text(mapping, 'source') }} as lead_source,

        ---------- times
        {{ files_moment(mapping, 'created_at') }} as created_at,
        {{ files_moment(mapping, 'converted_at') }} as converted_at,

        ---------- flags
        is_deleted or coalesce(cast({{ files_text(mapping, 'is_deleted') }} as boolean), false) as is_deleted

    from rows_{{ loop.index }}
    where is_latest

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('leads') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
