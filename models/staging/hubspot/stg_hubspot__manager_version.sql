-- One row per version of an owner that was seen. A user who was deactivated left at the last change that HubSpot tells.
with

versions as (

    {{ parsed_versions('hubspot', 'owners', {
        'firstName': 'VARCHAR',
        'lastName': 'VARCHAR',
        'archived': 'BOOLEAN',
        'updatedAt': 'VARCHAR',
        'teams': [{'id': 'VARCHAR', 'primary': 'BOOLEAN'}],
    }) }}

)

select
    ---------- ids
    {{ crm_id('hubspot', 'id') }} as manager_id,
    {{ crm_id('hubspot', 'list_filter(source.teams, lambda team: team."primary")[1].id') }} as department_id,

    ---------- text
    coalesce(nullif(trim(concat_ws(' ', source.firstname, source.lastname)), ''), id) as manager_name,

    ---------- dates
    cast(null as date) as hired_on,
    case
        when source.archived then {{ business_date(iso_moment('source.updatedat')) }}
    end as left_on,

    ---------- flags
    is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from versions
