-- One row per department as the exports last told it.
with

versions as (

    {{ raw_versions('files', 'departments') }}

),

{% for mapping in files_mappings('departments') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as department_id,
        {{ files_id(mapping, 'parent') }} as parent_department_id,

        ---------- text
        coalesce({{ files_text(mapping, 'name') }}, id) as department_name,
        {{ files_text(mapping, 'head') }} as head_name,

        ---------- flags
        is_deleted or coalesce(cast({{ files_text(mapping, 'is_deleted') }} as boolean), false) as is_deleted

    from rows_{{ loop.index }}
    where is_latest

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('departments') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
