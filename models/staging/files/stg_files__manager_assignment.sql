-- One row per stay of a manager in a department: as an export states it, else from the versions seen of the manager.
with

managers as (

    select * from {{ ref('stg_files__manager_version') }}

),

versions as (

    {{ raw_versions('files', 'manager_assignments') }}

),

{% for mapping in files_mappings('manager_assignments') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ files_id(mapping, 'manager') }} as manager_id,
        {{ files_id(mapping, 'department') }} as department_id,

        ---------- dates
        {{ files_date(mapping, 'valid_from') }} as valid_from,
        {{ files_date(mapping, 'valid_to') }} as valid_to

    from rows_{{ loop.index }}
    where is_latest and not is_deleted

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('manager_assignments') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

seen as (

    select
        manager_id,
        department_id,
        case when version_number > 1 then {{ business_date('effective_at') }} end as valid_from,
        lag(department_id) over (partition by manager_id order by version_number) as department_id_before,
        version_number
    from managers

),

moved as (

    select
        manager_id,
        department_id,
        valid_from,
        version_number
    from seen
    where version_number = 1 or department_id is distinct from department_id_before

),

derived as (

    select
        manager_id,
        department_id,
        valid_from,
        lead(valid_from) over (partition by manager_id order by version_number) as valid_to
    from moved

),

stays as (

    select * from mapped

    union all

    select derived.*
    from derived
    left join mapped
        on derived.manager_id = mapped.manager_id
    where mapped.manager_id is null

)

select * from stays
where department_id is not null
