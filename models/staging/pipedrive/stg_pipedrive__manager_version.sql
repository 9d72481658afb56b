-- One row per version of a user that was read. Of several teams the oldest counts.
with

versions as (

    {{ parsed_versions('pipedrive', 'users', {
        'name': 'VARCHAR', 'active_flag': 'BOOLEAN', 'modified': 'VARCHAR', 'team_ids': ['BIGINT']
    }) }}

)

select
    ---------- ids
    {{ crm_id('pipedrive', 'id') }} as manager_id,
    {{ crm_id('pipedrive', 'list_min(source.team_ids)') }} as department_id,

    ---------- text
    coalesce(source.name, id) as manager_name,

    ---------- dates
    cast(null as date) as hired_on,
    case
        when not source.active_flag
            then {{ business_date("coalesce(try_cast(source.modified || '+00' as timestamptz), effective_at)") }}
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
