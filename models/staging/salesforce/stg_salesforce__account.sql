-- One row per account as Salesforce last told it. The loser of a merge is deleted.
with

versions as (

    {{ parsed_versions('salesforce', 'accounts', {
        'Name': 'VARCHAR', 'Industry': 'VARCHAR', 'BillingCountry': 'VARCHAR', 'ParentId': 'VARCHAR'
    }) }}

)

select
    ---------- ids
    {{ crm_id('salesforce', 'id') }} as account_id,
    {{ crm_id('salesforce', 'source.parentid') }} as parent_account_id,

    ---------- text
    coalesce(source.name, id) as account_name,
    source.industry as segment,
    source.billingcountry as country,

    ---------- flags
    is_deleted
from versions
where is_latest
