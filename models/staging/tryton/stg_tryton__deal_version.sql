-- One row per revision of an opportunity since it was more than a lead. One that was cancelled is taken back.
with

versions as (

    {{ parsed_versions('tryton', 'opportunities', {
        'number': 'VARCHAR',
        'description': 'VARCHAR',
        'state': 'VARCHAR',
        'employee': 'VARCHAR',
        'party': 'VARCHAR',
        'amount': 'VARCHAR',
        'currency_code': 'VARCHAR',
        'lost_reason': 'VARCHAR',
        'create_date': 'VARCHAR',
        'end_date': 'VARCHAR',
        'own': {'product': 'VARCHAR', 'source': 'VARCHAR', 'loss_reason': 'VARCHAR'},
    }) }}

),

staged as (

    select
        *,
        min(case when source.state in ('opportunity', 'converted', 'won') then version_number end) over (
            partition by id
        ) as first_version,
        source.state in ('won', 'lost', 'cancelled') as is_closed,
        try_cast(source.end_date as date) as ends_on
    from versions

)

select
    ---------- ids
    {{ crm_id('tryton', 'id') }} as deal_id,
    {{ crm_id('tryton', 'source.employee') }} as manager_id,
    {{ crm_id('tryton', 'source.party') }} as account_id,
    {{ crm_id('tryton', 'id') }} as lead_id,
    'tryton:opportunity' as pipeline_id,
    cast('tryton:opportunity:' || source.state as varchar) as stage_id,

    ---------- text
    coalesce(nullif(source.description, ''), source.number) as deal_name,
    source.own.product,
    source.own.source as lead_source,
    coalesce(source.own.loss_reason, nullif(source.lost_reason, '')) as loss_reason,

    ---------- amounts
    {{ amount('source.amount') }} as native_amount,
    coalesce(nullif(source.currency_code, ''), {{ sql_text(company().base_currency) }}) as currency_code,

    ---------- times
    {{ iso_moment('source.create_date') }} as created_at,
    case when is_closed then {{ start_of_day('ends_on') }} end as closed_at,
    case when not is_closed then ends_on end as expected_close_on,

    ---------- flags
    is_deleted or coalesce(source.state = 'cancelled', false) as is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at

from staged
where version_number >= first_version
