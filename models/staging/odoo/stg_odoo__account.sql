-- One row per company, and per person who belongs to none and has a deal or a lead. A contact stands for its company.
with

versions as (

    {{ parsed_versions('odoo', 'partners', {
        'name': 'VARCHAR',
        'person_name': 'VARCHAR',
        'is_company': 'VARCHAR',
        'commercial_partner_id': 'VARCHAR',
        'parent_id': 'VARCHAR',
        'country_id': ['VARCHAR'],
        'industry_id': ['VARCHAR'],
    }) }}

),

customers as (

    select account_id from {{ ref('stg_odoo__deal_version') }}
    union
    select account_id from {{ ref('stg_odoo__lead') }}

)

select
    ---------- ids
    {{ crm_id('odoo', 'versions.id') }} as account_id,
    case when versions.source.is_company = 'true' then {{ crm_id('odoo', 'versions.source.parent_id') }} end
        as parent_account_id,

    ---------- text
    coalesce(nullif(versions.source.name, ''), nullif(versions.source.person_name, ''), versions.id) as account_name,
    versions.source.industry_id[2] as segment,
    versions.source.country_id[2] as country,

    ---------- flags
    versions.is_deleted

from versions
left join customers
    on {{ crm_id('odoo', 'versions.id') }} = customers.account_id
where versions.is_latest and (versions.source.is_company = 'true' or customers.account_id is not null)
