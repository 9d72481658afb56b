-- One row per version of a user that was read. Users are never deleted; one who is not active any more left on the day
-- of the first version that says so.
with

versions as (

    {{ parsed_versions('salesforce', 'users', {'Name': 'VARCHAR', 'IsActive': 'BOOLEAN', 'UserRoleId': 'VARCHAR'}) }}

),

spells as (

    select
        *,
        coalesce(source.isactive, true) as is_active,
        count(*) filter (where coalesce(source.isactive, true)) over (
            partition by id order by version_number
        ) as spell_number
    from versions

),

dated as (

    select
        *,
        min(effective_at) filter (where not is_active) over (partition by id, spell_number) as inactive_since
    from spells

)

select
    ---------- ids
    {{ crm_id('salesforce', 'id') }} as manager_id,
    {{ crm_id('salesforce', 'source.userroleid') }} as department_id,

    ---------- text
    coalesce(source.name, id) as manager_name,

    ---------- dates
    cast(null as date) as hired_on,
    case when not is_active then {{ business_date('inactive_since') }} end as left_on,

    ---------- flags
    is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from dated
