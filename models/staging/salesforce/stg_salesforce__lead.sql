-- One row per lead as Salesforce last told it. A queue that has it is no manager.
with

versions as (

    {{ parsed_versions('salesforce', 'leads', {
        'OwnerId': 'VARCHAR', 'LeadSource': 'VARCHAR', 'CreatedDate': 'VARCHAR', 'ConvertedDate': 'VARCHAR',
        'ConvertedOpportunityId': 'VARCHAR', 'ConvertedAccountId': 'VARCHAR'
    }) }}

)

select
    ---------- ids
    {{ crm_id('salesforce', 'id') }} as lead_id,
    {{ crm_id('salesforce', "case when source.ownerid like '005%' then source.ownerid end") }} as manager_id,
    {{ crm_id('salesforce', 'source.convertedaccountid') }} as account_id,
    {{ crm_id('salesforce', 'source.convertedopportunityid') }} as deal_id,

    ---------- text
    source.leadsource as lead_source,

    ---------- times
    {{ iso_moment('source.createddate') }} as created_at,
    {{ start_of_day('try_cast(source.converteddate as date)') }} as converted_at,

    ---------- flags
    is_deleted
from versions
where is_latest
