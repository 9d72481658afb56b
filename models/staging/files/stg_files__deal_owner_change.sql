-- One row per version of a change of owner: from changed_at on the deal is this manager's.
with

versions as (

    {{ raw_versions('files', 'owner_changes') }}

),

{% for mapping in files_mappings('owner_changes') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as owner_change_id,
        {{ files_id(mapping, 'deal') }} as deal_id,
        {{ files_id(mapping, 'manager') }} as manager_id,

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

    {% for mapping in files_mappings('owner_changes') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    owner_change_id,
    deal_id,
    manager_id,
    changed_at,
    recorded_at,
    superseded_at
from mapped
where not is_deleted
