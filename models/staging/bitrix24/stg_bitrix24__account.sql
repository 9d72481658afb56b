-- One row per customer: each company that is not the portal's own, and each contact that a deal or lead names without a
-- company. Contacts are not read, for they are people: all that is known of one is its id.
with

companies as (

    {{ parsed_versions('bitrix24', 'companies', {
        'title': 'VARCHAR', 'industry': 'VARCHAR', 'isMyCompany': 'VARCHAR'
    }) }}

),

statuses as (

    {{ parsed_versions('bitrix24', 'statuses', {'ENTITY_ID': 'VARCHAR', 'STATUS_ID': 'VARCHAR', 'NAME': 'VARCHAR'}) }}

),

industries as (

    select
        source.status_id,
        max(source.name) as industry_name
    from statuses
    where is_latest and source.entity_id = 'INDUSTRY'
    group by source.status_id

),

named as (

    select account_id from {{ ref('stg_bitrix24__deal') }}
    union
    select account_id from {{ ref('stg_bitrix24__lead') }}

)

select
    ---------- ids
    {{ crm_id('bitrix24', 'companies.id') }} as account_id,
    cast(null as varchar) as parent_account_id,

    ---------- text
    coalesce(nullif(companies.source.title, ''), companies.id) as account_name,
    coalesce(industries.industry_name, nullif(companies.source.industry, '')) as segment,
    cast(null as varchar) as country,

    ---------- flags
    companies.is_deleted

from companies
left join industries
    on companies.source.industry = industries.status_id
where companies.is_latest and companies.source.ismycompany is distinct from 'Y'

union all

select
    account_id,
    cast(null as varchar) as parent_account_id,
    substr(account_id, length('bitrix24:') + 1) as account_name,
    cast(null as varchar) as segment,
    cast(null as varchar) as country,
    false as is_deleted
from named
where starts_with(account_id, 'bitrix24:contact:')
