-- One row per KPI that is forecast, entity, month, and month at whose end it was first known: what is added to the
-- figure of the month then. The figure as it was known at an origin is the sum over what was known by it; what was told
-- since the last month ended, no forecast knows yet.
with

months as (

    select * from {{ ref('forecast_month') }}
    where is_complete

),

bridge as (

    select
        bridge.organisation_id,
        bridge.manager_id,
        bridge.department_id,
        entities.entity_level,
        entities.entity_key
    from {{ ref('bridge_entity') }} as bridge
    inner join {{ ref('dim_entity') }} as entities
        on bridge.entity_id = entities.entity_id
    where entities.entity_level in ('company', 'department', 'manager')

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

won as (

    select
        events.deal_id,
        events.account_id,
        events.organisation_id,
        events.manager_id,
        events.department_id,
        events.sign,
        events.sign * events.amount as amount,
        events.occurred_at,
        happened.period_number,
        greatest(
            coalesce(happened.period_number, 0),
            coalesce(recorded.period_number, (select max(months.period_number) + 1 from months))
        ) as known_number
    from {{ ref('kpi_counted_event') }} as events
    left join months as recorded
        on events.recorded_at >= recorded.known_from and events.recorded_at < recorded.known_until
    -- purchases from before the first month tell who is no new customer
    left join months as happened
        on events.occurred_on between happened.period_start and happened.period_end
    where
        events.event_type = 'won'
        and events.occurred_on <= (select max(months.period_end) from months)

),

---------- who was a new customer, as it was known

learnt as (

    select
        account_id,
        known_number,
        lead(known_number) over (partition by account_id order by known_number) as next_known_number
    from won
    where account_id is not null
    group by account_id, known_number

),

-- The wins that stood, as fct_customer_purchase has them.
standing as (

    select
        learnt.account_id,
        learnt.known_number,
        won.deal_id,
        won.occurred_at
    from learnt
    inner join won
        on learnt.account_id = won.account_id and learnt.known_number >= won.known_number
    group by learnt.account_id, learnt.known_number, won.deal_id, won.occurred_at, won.manager_id, won.department_id
    having sum(won.sign) > 0

),

first_purchases as (

    select
        account_id,
        known_number,
        deal_id
    from standing
    qualify row_number() over (partition by account_id, known_number order by occurred_at, deal_id) = 1

),

-- What was known of a first purchase, until something else was known of the account.
new_customers as (

    select
        learnt.known_number,
        learnt.next_known_number,
        won.organisation_id,
        won.manager_id,
        won.department_id,
        won.period_number,
        won.sign
    from first_purchases
    inner join learnt
        on
            first_purchases.account_id = learnt.account_id
            and first_purchases.known_number = learnt.known_number
    inner join won
        on first_purchases.deal_id = won.deal_id and first_purchases.known_number >= won.known_number

),

leads as (

    select
        organisations.organisation_id,
        leads.manager_id,
        leads.department_id,
        months.period_number
    from {{ ref('kpi_counted_lead') }} as leads
    inner join organisations
        on leads.created_on >= organisations.valid_from and leads.created_on < organisations.valid_to
    inner join months
        on leads.created_on between months.period_start and months.period_end

),

changes as (

    select
        'won_amount' as kpi_code,
        organisation_id,
        manager_id,
        department_id,
        period_number,
        known_number,
        amount as change
    from won

    union all

    select
        'won_deals' as kpi_code,
        organisation_id,
        manager_id,
        department_id,
        period_number,
        known_number,
        sign as change
    from won

    union all

    select
        'new_customers' as kpi_code,
        organisation_id,
        manager_id,
        department_id,
        period_number,
        known_number,
        sign as change
    from new_customers

    union all

    select
        'new_customers' as kpi_code,
        organisation_id,
        manager_id,
        department_id,
        period_number,
        next_known_number as known_number,
        -sign as change
    from new_customers
    where next_known_number is not null

    union all

    -- a source does not tell when a lead was entered: it is taken to be known when it is created
    select
        'leads_created' as kpi_code,
        organisation_id,
        manager_id,
        department_id,
        period_number,
        period_number as known_number,
        1 as change
    from leads

),

summed as (

    select
        changes.kpi_code,
        bridge.entity_level,
        bridge.entity_key,
        changes.period_number,
        changes.known_number,
        cast(sum(changes.change) as decimal(38, 2)) as change
    from changes
    inner join bridge
        on
            changes.organisation_id = bridge.organisation_id
            and changes.manager_id = bridge.manager_id
            and changes.department_id = bridge.department_id
    where changes.period_number is not null
    group by changes.kpi_code, bridge.entity_level, bridge.entity_key, changes.period_number, changes.known_number

)

select
    kpi_code,
    entity_level,
    entity_key,
    period_number,
    known_number,
    change
from summed
where change <> 0
