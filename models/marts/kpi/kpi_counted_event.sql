-- One row per ledger row that had occurred by `as_of`, with what the measures need to know of its deal.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('counted') }}"
) }}

with

build as (

    select * from {{ ref('build_moment') }}

),

ledger as (

    select events.*
    from {{ ref('fct_deal_event') }} as events
    cross join build
    {{ rows_of('counted', 'events.occurred_at < build.as_of') }}

),

-- The days on which deals are, and were, expected to close: some lie years beyond those of dim_day.
days as (

    select expected_close_on as day
    from ledger
    where event_type = 'close_date_moved' and expected_close_on is not null

    union

    select expected_close_on_before as day
    from ledger
    where event_type = 'close_date_moved' and expected_close_on_before is not null

),

{{ calendar_of_days() }},

purchases as (

    select * from {{ ref('fct_customer_purchase') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

-- Where a creation was corrected, the one that stands.
creations as (

    select
        deal_id,
        max(created_on) as created_on
    from (
        select
            deal_id,
            occurred_on as created_on
        from ledger
        where event_type = 'created'
        group by deal_id, occurred_on
        having sum(sign) > 0
    ) as standing
    group by deal_id

),

-- The win that nothing took back, of a deal that was won, reopened and won again the last.
won as (

    select
        deal_id,
        max(won_on) as won_on
    from (
        select
            deal_id,
            credited_on as won_on
        from ledger
        where event_type = 'won'
        group by deal_id, credited_on
        having sum(sign) > 0
    ) as standing
    group by deal_id

)

select
    ledger.*,
    -- a reversal is taken back where it was counted, whatever became of the departments since
    organisations.organisation_id,
    purchases.purchase_number,
    cast(won.won_on - creations.created_on as integer) as days_to_win,
    -- a reversal has the cycle of what it reverses
    cast(ledger.credited_on - creations.created_on as integer) as cycle_days,
    ledger.event_type = 'close_date_moved' and closes.month_start > closed_before.month_start as has_slipped
from ledger
inner join organisations
    on ledger.credited_on >= organisations.valid_from and ledger.credited_on < organisations.valid_to
left join purchases
    on ledger.deal_id = purchases.deal_id
left join creations
    on ledger.deal_id = creations.deal_id
left join won
    on ledger.deal_id = won.deal_id
left join calendar as closes
    on ledger.expected_close_on = closes.day
left join calendar as closed_before
    on ledger.expected_close_on_before = closed_before.day
