-- One row per lead, whether it was converted or not. Who works without leads begins with opportunities, and has none.
with

versions as (

    {{ parsed_versions('odoo', 'leads_and_deals', {
        'type': 'VARCHAR',
        'user_id': 'VARCHAR',
        'partner_id': 'VARCHAR',
        'source_id': ['VARCHAR'],
        'create_date': 'VARCHAR',
        'date_conversion': 'VARCHAR',
        'own': {'source': 'VARCHAR'},
    }) }}

),

partners as (

    {{ parsed_versions('odoo', 'partners', {'commercial_partner_id': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('odoo', 'versions.id') }} as lead_id,
    {{ crm_id('odoo', 'versions.source.user_id') }} as manager_id,
    {{ crm_id('odoo', 'coalesce(partners.source.commercial_partner_id, versions.source.partner_id)') }} as account_id,
    case when versions.source.type = 'opportunity' then {{ crm_id('odoo', 'versions.id') }} end as deal_id,

    ---------- text
    coalesce(versions.source.own.source, versions.source.source_id[2]) as lead_source,

    ---------- times
    {{ iso_moment("versions.source.create_date || '+00:00'") }} as created_at,
    case
        when versions.source.type = 'opportunity' then {{ iso_moment("versions.source.date_conversion || '+00:00'") }}
    end as converted_at,

    ---------- flags
    versions.is_deleted

from versions
left join partners
    on versions.source.partner_id = partners.id and partners.is_latest
where versions.is_latest and (versions.source.type = 'lead' or versions.source.date_conversion is not null)
