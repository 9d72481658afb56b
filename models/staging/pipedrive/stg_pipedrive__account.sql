-- One row per organization, and per person, as Pipedrive last told it: a deal without an organization is with a person.
with

organizations as (

    {{ parsed_versions('pipedrive', 'organizations', {
        'name': 'VARCHAR', 'address': {'country': 'VARCHAR'}
    }) }}

),

persons as (

    {{ parsed_versions('pipedrive', 'persons', {'name': 'VARCHAR', 'org_id': 'VARCHAR'}) }}

),

accounts as (

    select
        id as account_key,
        cast(null as varchar) as parent_key,
        nullif(source.name, '') as account_name,
        nullif(source.address.country, '') as country,
        is_deleted
    from organizations
    where is_latest

    union all

    select
        'person-' || id as account_key,
        source.org_id as parent_key,
        nullif(source.name, '') as account_name,
        cast(null as varchar) as country,
        is_deleted
    from persons
    where is_latest

)

select
    ---------- ids
    {{ crm_id('pipedrive', 'account_key') }} as account_id,
    {{ crm_id('pipedrive', 'parent_key') }} as parent_account_id,

    ---------- text
    coalesce(account_name, account_key) as account_name,
    cast(null as varchar) as segment,
    country,

    ---------- flags
    is_deleted
from accounts
