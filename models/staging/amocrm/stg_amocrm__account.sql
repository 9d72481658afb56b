-- One row per customer as amoCRM last told it: companies and contacts, whose names are kept only where the settings
-- allow personal data.
with

companies as (

    {{ parsed_versions('amocrm', 'companies', {'name': 'VARCHAR'}) }}

),

contacts as (

    {{ parsed_versions('amocrm', 'contacts', {
        'name': 'VARCHAR', '_embedded': {'companies': [{'id': 'VARCHAR'}]}
    }) }}

)

select
    ---------- ids
    {{ crm_id('amocrm', 'id') }} as account_id,
    cast(null as varchar) as parent_account_id,

    ---------- text
    coalesce(nullif(source.name, ''), id) as account_name,
    cast(null as varchar) as segment,
    cast(null as varchar) as country,

    ---------- flags
    is_deleted
from companies
where is_latest

union all

select
    {{ contact_id('amocrm', 'id') }} as account_id,
    {{ crm_id('amocrm', 'source._embedded.companies[1].id') }} as parent_account_id,
    coalesce(nullif(source.name, ''), 'contact:' || id) as account_name,
    cast(null as varchar) as segment,
    cast(null as varchar) as country,
    is_deleted
from contacts
where is_latest
