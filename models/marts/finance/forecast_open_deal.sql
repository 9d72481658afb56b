-- One row per complete month and deal that was open at its end, as it was known then: whose it was, in which stage, how
-- old, and for how much.
with

months as (

    select * from {{ ref('forecast_month') }}
    where is_complete

),

ledger as (

    select
        events.deal_id,
        events.account_id,
        events.manager_id,
        events.department_id,
        events.stage_id,
        events.event_type,
        events.sign,
        events.amount,
        events.occurred_at,
        coalesce(happened.period_number, -1) as period_number,
        greatest(coalesce(happened.period_number, 0), recorded.period_number) as known_number
    from {{ ref('kpi_counted_event') }} as events
    inner join months as recorded
        on events.recorded_at >= recorded.known_from and events.recorded_at < recorded.known_until
    left join months as happened
        on events.occurred_on between happened.period_start and happened.period_end
    where events.occurred_on <= (select max(months.period_end) from months)

),

-- From when on something is known of a deal, and until when anything of it may still be open.
spans as (

    select
        deal_id,
        min(known_number) as first_number,
        case
            when
                sum(case when event_type = 'created' then sign else 0 end) <= 0
                or sum(case when event_type in ('won', 'lost') then sign else 0 end) > 0
                then max(known_number) - 1
        end as last_number
    from ledger
    group by deal_id

),

---------- what stood at the end of each month

standing as (

    select
        months.period_number,
        ledger.deal_id,
        ledger.event_type,
        ledger.occurred_at,
        ledger.stage_id,
        ledger.manager_id,
        ledger.department_id,
        ledger.account_id,
        ledger.amount,
        min(ledger.period_number) as happened_number,
        sum(ledger.sign) as sign
    from spans
    inner join months
        on
            spans.first_number <= months.period_number
            and (spans.last_number is null or spans.last_number >= months.period_number)
    inner join ledger
        on spans.deal_id = ledger.deal_id and months.period_number >= ledger.known_number
    group by
        months.period_number, ledger.deal_id, ledger.event_type, ledger.occurred_at, ledger.stage_id, ledger.manager_id,
        ledger.department_id, ledger.account_id, ledger.amount
    having sum(ledger.sign) <> 0

),

open_deals as (

    select
        period_number,
        deal_id,
        min(case when event_type = 'created' then happened_number end) as created_number
    from standing
    group by period_number, deal_id
    having
        sum(case when event_type = 'created' then sign else 0 end) > 0
        and sum(case when event_type in ('won', 'lost') then sign else 0 end) <= 0

),

-- What stood last; of several things at one moment, the one whose words come last.
last_things as (

    select
        period_number,
        deal_id,
        manager_id,
        department_id,
        account_id,
        amount
    from standing
    where sign > 0
    qualify
        row_number() over (
            partition by period_number, deal_id
            order by
                occurred_at desc, event_type desc, manager_id desc, department_id desc, account_id desc, amount desc
        ) = 1

),

last_stages as (

    select
        period_number,
        deal_id,
        stage_id
    from standing
    where sign > 0 and stage_id is not null
    qualify
        row_number() over (
            partition by period_number, deal_id
            order by occurred_at desc, event_type desc, stage_id desc
        ) = 1

),

buyers as (

    select
        account_id,
        min(known_number) as bought_number
    from ledger
    where event_type = 'won' and sign > 0 and account_id is not null
    group by account_id

)

select
    open_deals.period_number,
    open_deals.deal_id,
    last_things.manager_id,
    last_things.department_id,
    coalesce(last_stages.stage_id, '') as stage_id,
    cast(open_deals.period_number - open_deals.created_number as integer) as months_open,
    last_things.amount,
    last_things.account_id is not null
    and coalesce(buyers.bought_number > open_deals.period_number, true) as is_of_prospect
from open_deals
inner join last_things
    on open_deals.period_number = last_things.period_number and open_deals.deal_id = last_things.deal_id
left join last_stages
    on open_deals.period_number = last_stages.period_number and open_deals.deal_id = last_stages.deal_id
left join buyers
    on last_things.account_id = buyers.account_id
