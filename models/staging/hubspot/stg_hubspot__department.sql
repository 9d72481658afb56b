-- One row per team as HubSpot last told it; it does not tell which team is part of which, nor who leads it.
with

versions as (

    {{ parsed_versions('hubspot', 'teams', {'name': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('hubspot', 'id') }} as department_id,
    cast(null as varchar) as parent_department_id,

    ---------- text
    coalesce(nullif(source.name, ''), id) as department_name,
    cast(null as varchar) as head_name,

    ---------- flags
    is_deleted
from versions
where is_latest
