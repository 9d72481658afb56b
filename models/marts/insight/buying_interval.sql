-- One row per entity (company, department, manager) and account: how many days lie between two days on which an account
-- buys. Medians and quartiles are those of all the intervals of each, never of others' medians.
--
-- An interval counts for whoever is credited with the purchase that ends it. Deals won on one day are one buying.
{%- set definitions = company().definitions %}

with

build as (

    select * from {{ ref('build_moment') }}

),

accounts as (

    select * from {{ ref('dim_account') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

{{ customer_sources() }},

buying_days as (

    select
        account_id,
        won_on,
        seat_id,
        won_on - lag(won_on) over (partition by account_id order by purchase_number) as days
    from purchases

),

-- The first deal of a day has days to the day before; the others have none, and the account's first has no day before.
intervals as (

    select
        account_id,
        seat_id,
        cast(days as integer) as days
    from buying_days
    where days > 0

),

---------- of entities

intervals_of_entities as (

    select
        entities_of_seats.entity_id,
        count(*) as intervals,
        {{ quartiles('intervals.days') }}
    from intervals
    inner join entities_of_seats
        on intervals.seat_id = entities_of_seats.seat_id
    group by entities_of_seats.entity_id

),

company as (

    select
        intervals_of_entities.median_days as company_median_days,
        intervals_of_entities.q3_days as company_q3_days
    from intervals_of_entities
    inner join entities
        on intervals_of_entities.entity_id = entities.entity_id
    where entities.entity_level = 'company'

),

---------- of accounts

intervals_of_accounts as (

    select
        account_id,
        count(*) as intervals,
        {{ quartiles('days') }}
    from intervals
    group by account_id

),

last_purchases as (

    select
        purchases.account_id,
        purchases.manager_id,
        purchases.department_id,
        purchases.seat_id,
        purchases.won_on as last_purchase_on,
        cast(build.last_day - purchases.won_on as integer) as days_since,
        purchases.won_on > build.last_day - {{ definitions.lost_after_days }} as is_customer
    from purchases
    cross join build
    where purchases.next_won_on is null

),

rhythms as (

    select
        last_purchases.*,
        coalesce(own.intervals, 0) as intervals,
        own.q1_days,
        own.median_days,
        own.q3_days,
        coalesce(own.intervals, 0) >= {{ min_intervals() }} as has_own_rhythm,
        case when own.intervals >= {{ min_intervals() }} then own.median_days else company.company_median_days end
            as usual_days,
        cast(
            1.5 * case when own.intervals >= {{ min_intervals() }} then own.q3_days else company.company_q3_days end
            as decimal(18, 2)
        ) as overdue_after_days
    from last_purchases
    left join company
        on true
    left join intervals_of_accounts as own
        on last_purchases.account_id = own.account_id

),

expected as (

    select
        *,
        -- whoever is lost is expected no more
        case when is_customer then last_purchase_on + cast(ceil(usual_days) as integer) end as expected_next_on,
        case when is_customer then days_since > overdue_after_days end as is_overdue
    from rhythms

),

held as (

    select
        entities_of_seats.entity_id,
        count(*) as customers,
        count(*) filter (where expected.is_overdue) as overdue_customers
    from expected
    inner join entities_of_seats
        on expected.seat_id = entities_of_seats.seat_id
    where expected.is_customer
    group by entities_of_seats.entity_id

),

together as (

    select
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name,
        coalesce(own.intervals, 0) as intervals,
        own.q1_days,
        own.median_days,
        own.q3_days,
        coalesce(held.customers, 0) as customers,
        coalesce(held.overdue_customers, 0) as overdue_customers,
        cast(null as date) as last_purchase_on,
        cast(null as integer) as days_since,
        cast(null as boolean) as has_own_rhythm,
        cast(null as date) as expected_next_on,
        cast(null as decimal(18, 2)) as overdue_after_days,
        cast(null as boolean) as is_overdue
    from entities
    left join intervals_of_entities as own
        on entities.entity_id = own.entity_id
    left join held
        on entities.entity_id = held.entity_id
    where own.intervals > 0 or held.customers > 0

    union all

    select
        'account' as entity_level,
        expected.account_id as entity_key,
        expected.department_id,
        expected.manager_id,
        coalesce(accounts.account_name, expected.account_id) as entity_name,
        expected.intervals,
        expected.q1_days,
        expected.median_days,
        expected.q3_days,
        case when expected.is_customer then 1 else 0 end as customers,
        case when expected.is_overdue then 1 else 0 end as overdue_customers,
        expected.last_purchase_on,
        expected.days_since,
        expected.has_own_rhythm,
        expected.expected_next_on,
        expected.overdue_after_days,
        expected.is_overdue
    from expected
    left join accounts
        on expected.account_id = accounts.account_id

)

select
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    intervals,
    q1_days,
    median_days,
    q3_days,
    cast(customers as bigint) as customers,
    cast(overdue_customers as bigint) as overdue_customers,
    last_purchase_on,
    days_since,
    has_own_rhythm,
    expected_next_on,
    overdue_after_days,
    is_overdue
from together
