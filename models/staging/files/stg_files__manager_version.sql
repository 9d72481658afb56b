-- One row per version of a manager that an export brought.
with

versions as (

    {{ raw_versions('files', 'managers') }}

),

{% for mapping in files_mappings('managers') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as manager_id,
        {{ files_id(mapping, 'department') }} as department_id,

        ---------- text
        coalesce({{ files_text(mapping, 'name') }}, id) as manager_name,

        ---------- dates
        {{ files_date(mapping, 'hired_on') }} as hired_on,
        {{ files_date(mapping, 'left_on') }} as left_on,

        ---------- flags
        is_deleted or coalesce(cast({{ files_text(mapping, 'is_deleted') }} as boolean), false) as is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at

    from rows_{{ loop.index }}

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('managers') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
