-- One row per activity that was done, as the message tells that Odoo leaves in its place, and per one that was planned.
-- Nothing links the two: what was planned ends when it is no longer there.
with

done as (

    {{ parsed_versions('odoo', 'done_activities', {
        'res_id': 'VARCHAR', 'date': 'VARCHAR', 'create_uid': 'VARCHAR', 'mail_activity_type_id': 'VARCHAR',
    }) }}

),

planned as (

    {{ parsed_versions('odoo', 'activities', {
        'res_id': 'VARCHAR', 'create_date': 'VARCHAR', 'date_deadline': 'VARCHAR', 'user_id': 'VARCHAR',
        'activity_type_id': 'VARCHAR',
    }) }}

),

activities as (

    select
        id,
        source.res_id,
        source.create_uid as user_id,
        source.mail_activity_type_id as type_id,
        cast(null as timestamptz) as created_at,
        cast(null as timestamptz) as due_at,
        {{ iso_moment("source.date || '+00:00'") }} as occurred_at,
        is_deleted,
        effective_at
    from done
    where is_latest

    union all

    select
        'planned:' || id as id,
        source.res_id,
        source.user_id,
        source.activity_type_id as type_id,
        {{ iso_moment("source.create_date || '+00:00'") }} as created_at,
        {{ start_of_day('try_cast(source.date_deadline as date)') }} as due_at,
        cast(null as timestamptz) as occurred_at,
        is_deleted,
        effective_at
    from planned
    where is_latest

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
    {{ crm_id('odoo', 'activities.id') }} as activity_id,
    {{ crm_id('odoo', 'activities.user_id') }} as manager_id,
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
    activities.created_at,
    activities.due_at,
    activities.occurred_at,

    ---------- flags
    activities.is_deleted,
    case when activities.is_deleted then activities.effective_at end as deleted_at

from activities
left join types
    on activities.type_id = types.id and types.is_latest
left join deals
    on {{ crm_id('odoo', 'activities.res_id') }} = deals.deal_id
left join leads
    on {{ crm_id('odoo', 'activities.res_id') }} = leads.lead_id
