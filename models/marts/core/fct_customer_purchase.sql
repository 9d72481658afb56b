-- One row per deal that was won from an account, numbered within the account over the whole company. A purchase keeps
-- its number when the deal is reopened later; one that turns out never to have been won is not there.
{%- set definitions = company().definitions %}

with

events as (

    select * from {{ ref('fct_deal_event') }}

),

-- A closing counts unless a correction took it back at its own moment.
standing as (

    select
        deal_id,
        account_id,
        manager_id,
        department_id,
        occurred_at as won_at,
        occurred_on as won_on
    from events
    where event_type = 'won'
    group by deal_id, account_id, manager_id, department_id, occurred_at, occurred_on
    having sum(sign) > 0

),

in_order as (

    select
        *,
        row_number() over (partition by deal_id order by won_at) as closing_number
    from standing

),

numbered as (

    select
        deal_id,
        account_id,
        manager_id,
        department_id,
        won_at,
        won_on,
        row_number() over account_purchases as purchase_number,
        lag(won_on, {{ definitions.regular_min_purchases - 1 }}) over account_purchases as earlier_purchase_on,
        lead(won_on) over account_purchases as next_purchase_on
    from in_order
    where closing_number = 1 and account_id is not null
    window account_purchases as (partition by account_id order by won_at, deal_id)

)

select
    deal_id,
    account_id,
    manager_id,
    department_id,
    won_at,
    won_on,
    cast(purchase_number as integer) as purchase_number,
    coalesce(earlier_purchase_on > won_on - {{ definitions.regular_window_days }}, false) as is_regular,
    -- the day on which the account has not bought for too long, unless it bought again
    case
        when next_purchase_on is null or next_purchase_on > won_on + {{ definitions.lost_after_days }}
            then won_on + {{ definitions.lost_after_days }}
    end as lapsed_on
from numbered
