-- One row per activity that was done, as the message tells that Odoo leaves in its place. Planned ones have not taken
-- place, and are not here.
with

versions as (

    {{ parsed_versions('odoo', 'done_activities', {
        'res_id': 'VARCHAR', 'date': 'VARCHAR', 'create_uid': 'VARCHAR', 'mail_activity_type_id': 'VARCHAR',
    }) }}

),

types as (

    {{ parsed_versions('odoo', 'activity_types', {'category': 'VARCHAR', 'icon': 'VARCHAR'}) }}

),

deals as (

    select deal_id, account_id from {{ ref('stg_odoo__deal') }}

),

leads as (

    select lead_id, account_id from {{ ref('stg_odoo__lead') }}

)

select
    ---------- ids
    {{ crm_id('odoo', 'versions.id') }} as activity_id,
    {{ crm_id('odoo', 'versions.source.create_uid') }} as manager_id,
    deals.deal_id,
    leads.lead_id,
    coalesce(deals.account_id, leads.account_id) as account_id,

    ---------- text
    case
        when types.source.category = 'phonecall' then 'call'
        when types.source.category = 'meeting' then 'meeting'
        -- e-mails have no category of their own
        when types.source.icon = 'fa-envelope' then 'email'
        else 'task'
    end as activity_type,

    ---------- times
    {{ iso_moment("versions.source.date || '+00:00'") }} as occurred_at,

    ---------- flags
    versions.is_deleted

from versions
left join types
    on versions.source.mail_activity_type_id = types.id and types.is_latest
left join deals
    on {{ crm_id('odoo', 'versions.source.res_id') }} = deals.deal_id
left join leads
    on {{ crm_id('odoo', 'versions.source.res_id') }} = leads.lead_id
where versions.is_latest
