-- One row per lead as Pipedrive last told it, and per lead that became a deal before it was ever read. A lead that
-- becomes a deal leaves the list of leads, which is no deletion.
with

versions as (

    {{ parsed_versions('pipedrive', 'leads', {
        'owner_id': 'VARCHAR', 'person_id': 'VARCHAR', 'organization_id': 'VARCHAR', 'source_name': 'VARCHAR',
        'add_time': 'VARCHAR'
    }) }}

),

leads as (

    select
        {{ crm_id('pipedrive', 'id') }} as lead_id,
        {{ crm_id('pipedrive', 'source.owner_id') }} as manager_id,
        {{ crm_id('pipedrive', "coalesce(source.organization_id, 'person-' || source.person_id)") }} as account_id,
        nullif(source.source_name, '') as lead_source,
        {{ iso_moment('source.add_time') }} as created_at,
        is_deleted
    from versions
    where is_latest

),

converted as (

    select
        *,
        row_number() over (partition by lead_id order by is_deleted, created_at, deal_id) as choice
    from {{ ref('stg_pipedrive__deal') }}
    where lead_id is not null

)

select
    ---------- ids
    coalesce(leads.lead_id, converted.lead_id) as lead_id,
    coalesce(leads.manager_id, converted.manager_id) as manager_id,
    coalesce(leads.account_id, converted.account_id) as account_id,
    converted.deal_id,

    ---------- text
    coalesce(leads.lead_source, converted.lead_source) as lead_source,

    ---------- times
    leads.created_at,
    converted.created_at as converted_at,

    ---------- flags
    converted.deal_id is null and coalesce(leads.is_deleted, false) as is_deleted
from leads
full outer join converted
    on leads.lead_id = converted.lead_id
where converted.choice is null or converted.choice = 1
