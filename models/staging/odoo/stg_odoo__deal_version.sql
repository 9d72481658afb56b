-- One row per version of an opportunity that was read, and per business day on which Odoo tracked that its amount,
-- stage or owner changed before: as it stood after the day's last change, which a reading every night would have found.
-- It is lost when it is archived with probability 0, whatever its stage; one that is archived otherwise is out of
-- sight, and open. An amount of 0 is one that nobody entered.
{% set properties = ['amount', 'stage', 'owner'] %}
with

leads as (

    {{ parsed_versions('odoo', 'leads_and_deals', {
        'name': 'VARCHAR',
        'type': 'VARCHAR',
        'active': 'VARCHAR',
        'probability': 'VARCHAR',
        'stage_id': 'VARCHAR',
        'user_id': 'VARCHAR',
        'partner_id': 'VARCHAR',
        'source_id': ['VARCHAR'],
        'lost_reason_id': 'VARCHAR',
        'expected_revenue': 'VARCHAR',
        'company_currency': 'VARCHAR',
        'create_date': 'VARCHAR',
        'date_conversion': 'VARCHAR',
        'date_closed': 'VARCHAR',
        'date_deadline': 'VARCHAR',
        'own': {'product': 'VARCHAR', 'source': 'VARCHAR', 'loss_reason': 'VARCHAR'},
    }) }}

),

tracking as (

    {{ parsed_versions('odoo', 'tracking', {
        'changed': 'VARCHAR',
        'lead_id': 'VARCHAR',
        'old_value_float': 'VARCHAR',
        'new_value_float': 'VARCHAR',
        'old_value_monetary': 'VARCHAR',
        'new_value_monetary': 'VARCHAR',
        'create_date': 'VARCHAR',
    }) }}

),

stages as (

    select * from {{ ref('stg_odoo__pipeline_stage') }}

),

stage_changes as (

    select * from {{ ref('stg_odoo__deal_stage_change') }}

),

owner_changes as (

    select * from {{ ref('stg_odoo__deal_owner_change') }}

),

partners as (

    {{ parsed_versions('odoo', 'partners', {'commercial_partner_id': 'VARCHAR'}) }}

),

currencies as (

    {{ parsed_versions('odoo', 'currencies', {'name': 'VARCHAR'}) }}

),

reasons as (

    {{ parsed_versions('odoo', 'lost_reasons', {'name': 'VARCHAR'}) }}

),

---------- what was seen

seen as (

    select
        ---------- ids
        {{ crm_id('odoo', 'leads.id') }} as deal_id,
        {{ crm_id('odoo', 'leads.source.user_id') }} as manager_id,
        {{ crm_id('odoo', 'coalesce(partners.source.commercial_partner_id, leads.source.partner_id)') }} as account_id,
        case when leads.source.date_conversion is not null then {{ crm_id('odoo', 'leads.id') }} end as lead_id,
        cast(
            'odoo:crm:' || case
                when leads.source.active = 'false' and try_cast(leads.source.probability as double) = 0 then 'lost'
                else leads.source.stage_id
            end as varchar
        ) as stage_id,

        ---------- text
        nullif(leads.source.name, '') as deal_name,
        leads.source.own.product,
        coalesce(leads.source.own.source, leads.source.source_id[2]) as lead_source,
        coalesce(leads.source.own.loss_reason, reasons.source.name) as loss_reason,

        ---------- amounts
        leads.source.expected_revenue as amount,
        coalesce(nullif(currencies.source.name, ''), {{ sql_text(company().base_currency) }}) as currency_code,

        ---------- times
        {{ iso_moment("leads.source.create_date || '+00:00'") }} as created_at,
        {{ iso_moment("leads.source.date_closed || '+00:00'") }} as closed_at,
        try_cast(leads.source.date_deadline as date) as expected_close_on,

        ---------- flags
        leads.is_deleted,

        ---------- version
        leads.version_number,
        leads.is_latest,
        leads.has_source_time,
        leads.effective_at,
        leads.recorded_at,
        true as is_seen

    from leads
    left join partners
        on leads.source.partner_id = partners.id and partners.is_latest
    left join currencies
        on leads.source.company_currency = currencies.id and currencies.is_latest
    left join reasons
        on leads.source.lost_reason_id = reasons.id and reasons.is_latest
    where leads.source.type = 'opportunity'

),

---------- what was tracked

-- A merge moves the history of one lead to another; where it was seen first it stays. Odoo 16 has a field of its own
-- for amounts of money.
amount_changes as (

    select
        {{ crm_id('odoo', 'source.lead_id') }} as deal_id,
        coalesce(source.old_value_monetary, source.old_value_float) as old_value,
        coalesce(source.new_value_monetary, source.new_value_float) as new_value,
        {{ iso_moment("source.create_date || '+00:00'") }} as changed_at,
        recorded_at,
        row_number() over (partition by source.lead_id order by cast(id as bigint)) as place,
        row_number() over (
            partition by source.lead_id, source.create_date order by cast(id as bigint) desc
        ) as from_the_end
    from tracking
    where version_number = 1 and source.changed = 'expected_revenue'

),

created as (

    select
        deal_id,
        min(created_at) as created_at
    from seen
    group by deal_id

),

entries as (

    select
        deal_id,
        'amount' as property,
        new_value as property_value,
        changed_at,
        recorded_at
    from amount_changes
    where from_the_end = 1

    union all

    select
        amount_changes.deal_id,
        'amount' as property,
        amount_changes.old_value as property_value,
        created.created_at as changed_at,
        amount_changes.recorded_at
    from amount_changes
    inner join created
        on amount_changes.deal_id = created.deal_id
    where amount_changes.place = 1 and created.created_at < amount_changes.changed_at

    union all

    select
        deal_id,
        'stage' as property,
        stage_id as property_value,
        changed_at,
        recorded_at
    from stage_changes

    union all

    select
        deal_id,
        'owner' as property,
        manager_id as property_value,
        changed_at,
        recorded_at
    from owner_changes

),

{{ evenings(properties) }},

remembered as (

    select
        seen.deal_id,
        coalesce(days.owner, seen.manager_id) as manager_id,
        seen.account_id,
        seen.lead_id,
        coalesce(days.stage, seen.stage_id) as stage_id,
        seen.deal_name,
        seen.product,
        seen.lead_source,
        seen.loss_reason,
        coalesce(days.amount, seen.amount) as amount,
        seen.currency_code,
        seen.created_at,
        case when stages.outcome <> 'open' then days.stage_entered_at end as closed_at,
        seen.expected_close_on,
        false as is_deleted,
        seen.version_number,
        false as is_latest,
        true as has_source_time,
        days.changed_at as effective_at,
        greatest(days.recorded_at, seen.recorded_at) as recorded_at,
        false as is_seen
    from days
    inner join seen
        on days.deal_id = seen.deal_id and days.told_by = seen.version_number
    left join stages
        on days.stage = stages.stage_id
    where days.place = 1

),

all_versions as (

    select * from seen
    union all
    select * from remembered

)

select
    deal_id,
    manager_id,
    account_id,
    lead_id,
    'odoo:crm' as pipeline_id,
    stage_id,
    deal_name,
    product,
    lead_source,
    loss_reason,
    nullif({{ amount('amount') }}, 0) as native_amount,
    currency_code,
    created_at,
    closed_at,
    expected_close_on,
    is_deleted,
    row_number() over (
        partition by deal_id order by is_latest, effective_at, is_seen, version_number, recorded_at
    ) as version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from all_versions
