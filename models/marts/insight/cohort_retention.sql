-- One row per cohort of customers (by the month, quarter or year of their first purchase), entity (who made that first
-- purchase) and period since: how many of them bought in it, from whomever, and for how much.
with

periods as (

    select
        *,
        cast(row_number() over (partition by period_grain order by period_start) as integer) as period_number
    from {{ ref('dim_period') }}
    where period_grain in {{ sql_list(grains_of_cuts()) }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

{{ customer_sources() }},

{{ won_amounts() }},

---------- an account is in one cohort of each grain

members as (

    select
        purchases.account_number,
        purchases.seat_id,
        months.period_grain,
        months.period_start as cohort_start
    from purchases
    inner join months
        on purchases.month_start = months.month_start
    where purchases.purchase_number = 1

),

sizes as (

    select
        members.period_grain,
        members.cohort_start,
        entities_of_seats.entity_id,
        count(*) as cohort_customers
    from members
    inner join entities_of_seats
        on members.seat_id = entities_of_seats.seat_id
    group by members.period_grain, members.cohort_start, entities_of_seats.entity_id

),

---------- what became of it

account_months as (

    select
        account_number,
        month_start,
        1 as purchases,
        0 as known_amounts,
        cast(null as decimal(38, 2)) as amount
    from purchases

    union all

    select
        account_number,
        month_start,
        0 as purchases,
        count(amount) as known_amounts,
        sum(amount) as amount
    from won_amounts
    group by account_number, month_start

),

account_periods as (

    select
        months.period_grain,
        months.period_start,
        account_months.account_number,
        case when sum(account_months.purchases) > 0 then 1 else 0 end as is_retained,
        sum(account_months.known_amounts) as known_amounts,
        sum(account_months.amount) as amount
    from account_months
    inner join months
        on account_months.month_start = months.month_start
    group by months.period_grain, months.period_start, account_months.account_number

),

by_seat as (

    select
        members.period_grain,
        members.cohort_start,
        members.seat_id,
        account_periods.period_start,
        sum(account_periods.is_retained) as retained_customers,
        sum(account_periods.known_amounts) as known_amounts,
        sum(account_periods.amount) as amount
    from members
    inner join account_periods
        on
            members.period_grain = account_periods.period_grain
            and members.account_number = account_periods.account_number
    group by members.period_grain, members.cohort_start, members.seat_id, account_periods.period_start

),

by_entity as (

    select
        by_seat.period_grain,
        by_seat.cohort_start,
        entities_of_seats.entity_id,
        by_seat.period_start,
        cast(sum(by_seat.retained_customers) as bigint) as retained_customers,
        sum(by_seat.known_amounts) as known_amounts,
        sum(by_seat.amount) as amount
    from by_seat
    inner join entities_of_seats
        on by_seat.seat_id = entities_of_seats.seat_id
    group by by_seat.period_grain, by_seat.cohort_start, entities_of_seats.entity_id, by_seat.period_start

),

---------- together: a period in which nobody bought is there, too

together as (

    select
        sizes.period_grain,
        sizes.cohort_start,
        first_periods.period_end as cohort_end,
        sizes.entity_id,
        sizes.cohort_customers,
        periods.period_number - first_periods.period_number as periods_since,
        periods.period_start,
        periods.period_end,
        periods.is_complete,
        coalesce(by_entity.retained_customers, 0) as retained_customers,
        -- bought, and nobody knows for how much, is not nothing
        case
            when by_entity.known_amounts > 0 or coalesce(by_entity.retained_customers, 0) = 0
                then coalesce(by_entity.amount, 0)
        end as won_amount,
        sum(by_entity.amount) over (
            partition by sizes.period_grain, sizes.cohort_start, sizes.entity_id order by periods.period_start
        ) as cumulative_won_amount
    from sizes
    inner join periods as first_periods
        on sizes.period_grain = first_periods.period_grain and sizes.cohort_start = first_periods.period_start
    inner join periods
        on sizes.period_grain = periods.period_grain and sizes.cohort_start <= periods.period_start
    left join by_entity
        on
            sizes.period_grain = by_entity.period_grain
            and sizes.cohort_start = by_entity.cohort_start
            and sizes.entity_id = by_entity.entity_id
            and periods.period_start = by_entity.period_start

)

select
    ---------- whose, of when
    together.period_grain,
    together.cohort_start,
    together.cohort_end,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,

    ---------- since when
    together.periods_since,
    together.period_start,
    together.period_end,
    together.is_complete,

    ---------- who came back
    together.cohort_customers,
    together.retained_customers,
    cast(round(together.retained_customers / together.cohort_customers, 8) as decimal(9, 8)) as retention_rate,

    ---------- for how much
    cast(together.won_amount as decimal(38, 2)) as won_amount,
    cast(together.cumulative_won_amount as decimal(38, 2)) as cumulative_won_amount
from together
inner join entities
    on together.entity_id = entities.entity_id
