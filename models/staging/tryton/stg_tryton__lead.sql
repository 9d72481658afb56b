-- One row per opportunity that was a lead; it was converted when it became more than that.
with

versions as (

    {{ parsed_versions('tryton', 'opportunities', {
        'state': 'VARCHAR',
        'employee': 'VARCHAR',
        'party': 'VARCHAR',
        'create_date': 'VARCHAR',
        'own': {'source': 'VARCHAR'},
    }) }}

),

told as (

    select
        *,
        bool_or(coalesce(source.state = 'lead', false)) over (partition by id) as was_lead,
        min(case when source.state in ('opportunity', 'converted', 'won') then effective_at end) over (
            partition by id
        ) as converted_at
    from versions

)

select
    ---------- ids
    {{ crm_id('tryton', 'id') }} as lead_id,
    {{ crm_id('tryton', 'source.employee') }} as manager_id,
    {{ crm_id('tryton', 'source.party') }} as account_id,
    case when converted_at is not null then {{ crm_id('tryton', 'id') }} end as deal_id,

    ---------- text
    source.own.source as lead_source,

    ---------- times
    {{ iso_moment('source.create_date') }} as created_at,
    converted_at,

    ---------- flags
    is_deleted or coalesce(source.state = 'cancelled', false) as is_deleted

from told
where is_latest and was_lead
