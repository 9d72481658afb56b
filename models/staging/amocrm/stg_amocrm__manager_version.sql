-- One row per version of a user. Whoever was deactivated left on the day on which that was first seen.
with

versions as (

    {{ parsed_versions('amocrm', 'users', {
        'name': 'VARCHAR', 'rights': {'group_id': 'VARCHAR', 'is_active': 'BOOLEAN'}
    }) }}

),

seen as (

    select
        *,
        not source.rights.is_active as is_inactive,
        max(version_number) filter (where source.rights.is_active) over (
            partition by id order by version_number
        ) as last_active_version
    from versions

)

select
    ---------- ids
    {{ crm_id('amocrm', 'id') }} as manager_id,
    -- the first group of an account has no number, or 0
    {{ crm_id('amocrm', "coalesce(source.rights.group_id, '0')") }} as department_id,

    ---------- text
    coalesce(nullif(source.name, ''), id) as manager_name,

    ---------- dates
    cast(null as date) as hired_on,
    case
        when is_inactive
            then {{ business_date('min(effective_at) over (partition by id, last_active_version, is_inactive)') }}
    end as left_on,

    ---------- flags
    is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from seen
