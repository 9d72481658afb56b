-- One row per contact as HubSpot last told it. It became a deal with the first deal that it is linked to.
{% set lead_source = ((company().get('hubspot') or {}).get('fields') or {}).get('source') or 'hs_analytics_source' %}
with

versions as (

    {{ parsed_versions('hubspot', 'contacts', {'properties': {
        'hubspot_owner_id': 'VARCHAR',
        'associatedcompanyid': 'VARCHAR',
        lead_source: 'VARCHAR',
        'createdate': 'VARCHAR',
        'first_deal_created_date': 'VARCHAR',
        'hs_lifecyclestage_opportunity_date': 'VARCHAR',
    }}) }}

),

deals as (

    select
        deal_id,
        lead_id,
        created_at,
        row_number() over (partition by lead_id order by created_at nulls last, deal_id) as deal_number
    from {{ ref('stg_hubspot__deal') }}
    where lead_id is not null and not is_deleted

),

leads as (

    select
        ---------- ids
        {{ crm_id('hubspot', 'id') }} as lead_id,
        {{ crm_id('hubspot', "nullif(source.properties.hubspot_owner_id, '')") }} as manager_id,
        {{ crm_id('hubspot', "nullif(source.properties.associatedcompanyid, '')") }} as account_id,

        ---------- text
        nullif(source.properties."{{ lead_source }}", '') as lead_source,

        ---------- times
        {{ iso_moment('source.properties.createdate') }} as created_at,
        coalesce(
            {{ iso_moment('source.properties.first_deal_created_date') }},
            {{ iso_moment('source.properties.hs_lifecyclestage_opportunity_date') }}
        ) as converted_at,

        ---------- flags
        is_deleted

    from versions
    where is_latest

)

select
    leads.lead_id,
    leads.manager_id,
    leads.account_id,
    deals.deal_id,
    leads.lead_source,
    leads.created_at,
    coalesce(leads.converted_at, deals.created_at) as converted_at,
    leads.is_deleted
from leads
left join deals
    on leads.lead_id = deals.lead_id and deals.deal_number = 1
