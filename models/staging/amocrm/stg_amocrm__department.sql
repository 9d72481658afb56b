-- One row per group of users as amoCRM last told it; groups are no tree, and have no heads.
with

versions as (

    {{ parsed_versions('amocrm', 'groups', {'name': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('amocrm', 'id') }} as department_id,
    cast(null as varchar) as parent_department_id,

    ---------- text
    coalesce(nullif(source.name, ''), id) as department_name,
    cast(null as varchar) as head_name,

    ---------- flags
    is_deleted
from versions
where is_latest
