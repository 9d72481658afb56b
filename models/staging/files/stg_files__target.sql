-- One row per target as the exports last told it.
with

versions as (

    {{ raw_versions('files', 'targets') }}

),

{% for mapping in files_mappings('targets') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ files_text(mapping, 'kpi_code') }} as kpi_code,
        {{ files_text(mapping, 'entity_level') }} as entity_level,
        {{ files_text(mapping, 'entity') }} as entity,
        {{ files_text(mapping, 'period_grain') }} as period_grain,

        ---------- dates
        {{ files_date(mapping, 'period_start') }} as period_start,
        {{ files_moment(mapping, 'set_at') }} as set_at,

        ---------- amounts
        {{ files_amount(mapping, 'value') }} as target_value,

        ---------- flags
        is_deleted

    from rows_{{ loop.index }}
    where is_latest

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('targets') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
