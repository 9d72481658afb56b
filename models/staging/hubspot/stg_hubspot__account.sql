-- One row per company as HubSpot last told it.
with

versions as (

    {{ parsed_versions('hubspot', 'companies', {'properties': {
        'name': 'VARCHAR',
        'industry': 'VARCHAR',
        'country': 'VARCHAR',
        'hs_parent_company_id': 'VARCHAR',
    }}) }}

)

select
    ---------- ids
    {{ crm_id('hubspot', 'id') }} as account_id,
    {{ crm_id('hubspot', "nullif(source.properties.hs_parent_company_id, '')") }} as parent_account_id,

    ---------- text
    coalesce(nullif(source.properties.name, ''), id) as account_name,
    nullif(source.properties.industry, '') as segment,
    nullif(source.properties.country, '') as country,

    ---------- flags
    is_deleted
from versions
where is_latest
