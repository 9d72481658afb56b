-- One row per version of a user who sells: who was ever seen as the owner of a deal, a lead or an activity. The other
-- users of a portal are the rest of the company. Whoever is dismissed left on the day on which that was first seen.
with

versions as (

    {{ parsed_versions('bitrix24', 'users', {
        'ACTIVE': 'VARCHAR',
        'NAME': 'VARCHAR',
        'LAST_NAME': 'VARCHAR',
        'UF_DEPARTMENT': ['VARCHAR'],
        'UF_EMPLOYMENT_DATE': 'VARCHAR',
    }) }}

),

owners as (

    select manager_id from {{ ref('stg_bitrix24__deal_version') }}
    union
    select manager_id from {{ ref('stg_bitrix24__lead') }}
    union
    select manager_id from {{ ref('stg_bitrix24__activity') }}

),

seen as (

    select
        *,
        lower(source.active) in ('false', 'n', '0') as is_dismissed,
        max(version_number) filter (where lower(source.active) not in ('false', 'n', '0')) over (
            partition by id order by version_number
        ) as last_active_version
    from versions

),

renamed as (

    select
        ---------- ids
        {{ crm_id('bitrix24', 'id') }} as manager_id,
        -- of several departments, the first
        {{ crm_id('bitrix24', 'source.uf_department[1]') }} as department_id,

        ---------- text
        coalesce(nullif(trim(concat_ws(' ', source.name, source.last_name)), ''), id) as manager_name,

        ---------- dates
        try_cast(left(source.uf_employment_date, 10) as date) as hired_on,
        case
            when is_dismissed
                then {{ business_date('min(effective_at) over (partition by id, last_active_version, is_dismissed)') }}
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

)

select renamed.*
from renamed
inner join owners
    on renamed.manager_id = owners.manager_id
