-- One row per period (month, quarter, year) and entity: how many customers it had, who came and went, what they bought,
-- and how much of that was bought by the largest.
--
-- A customer is whoever bought within the last `lost_after_days`, and is held by whoever is credited with the last
-- purchase. So everybody is held by one manager, and managers add up to the company.
{%- set measured = [
    'new_customers', 'active_customers', 'repeat_customers', 'regular_customers', 'potential_customers', 'lost_customers'
] %}
{%- set amounts = ['won_amount', 'new_customer_amount', 'returning_amount'] %}
{%- set flows = ['net_change', 'net_lapsed', 'first_time_customers', 'returns', 'lapses'] %}

with

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain in {{ sql_list(grains_of_cuts()) }}

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level <> 'manager_in_department'

),

{{ customer_sources() }},

---------- who came and who went

-- A purchase holds its account until the next one, or until the account lapses.
changes as (

    select
        seat_id,
        month_start,
        1 as net_change,
        0 as net_lapsed,
        case when purchase_number = 1 then 1 else 0 end as first_time_customers,
        case when lapsed_on_before is not null then 1 else 0 end as returns,
        0 as lapses
    from purchases

    union all

    select
        purchases.seat_id,
        days.month_start,
        -1 as net_change,
        case when purchases.lapsed_on is not null then 1 else 0 end as net_lapsed,
        0 as first_time_customers,
        0 as returns,
        case when purchases.lapsed_on is not null then 1 else 0 end as lapses
    from purchases
    inner join {{ ref('dim_day') }} as days
        on coalesce(purchases.lapsed_on, purchases.next_won_on) = days.day

    union all

    -- whoever had lost it has it no longer among the lost
    select
        purchases.seat_id,
        days.month_start,
        0 as net_change,
        -1 as net_lapsed,
        0 as first_time_customers,
        0 as returns,
        0 as lapses
    from purchases
    inner join {{ ref('dim_day') }} as days
        on purchases.next_won_on = days.day
    where purchases.lapsed_on is not null

),

changes_of_months as (

    select
        {%- for flow in flows %}
        sum(changes.{{ flow }}) as {{ flow }},
        {%- endfor %}
        entities_of_seats.entity_id,
        changes.month_start
    from changes
    inner join entities_of_seats
        on changes.seat_id = entities_of_seats.seat_id
    group by entities_of_seats.entity_id, changes.month_start

),

changes_of_periods as (

    select
        {%- for flow in flows %}
        cast(sum(changes.{{ flow }}) as bigint) as {{ flow }},
        {%- endfor %}
        months.period_grain,
        months.period_start,
        changes.entity_id
    from changes_of_months as changes
    inner join months
        on changes.month_start = months.month_start
    group by months.period_grain, months.period_start, changes.entity_id

),

---------- who was taken over from whom: of an account that goes to and fro only what remains at the end of the period

moves as (

    select
        account_number,
        month_start,
        seat_id,
        seat_id_before
    from purchases
    where seat_id <> seat_id_before and lapsed_on_before is null

),

moves_of_months as (

    {% for seat, sign in [('seat_id', '1'), ('seat_id_before', '-1')] %}
    select
        moves.account_number,
        moves.month_start,
        entities_of_seats.entity_id,
        {{ sign }} as taken
    from moves
    inner join entities_of_seats
        on moves.{{ seat }} = entities_of_seats.seat_id
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

net_moves_of_months as (

    select
        account_number,
        month_start,
        entity_id,
        sum(taken) as taken
    from moves_of_months
    group by account_number, month_start, entity_id
    having sum(taken) <> 0

),

net_moves_of_periods as (

    select
        months.period_grain,
        months.period_start,
        moves.entity_id,
        sum(moves.taken) as taken
    from net_moves_of_months as moves
    inner join months
        on moves.month_start = months.month_start
    group by months.period_grain, months.period_start, moves.entity_id, moves.account_number

),

taken_over as (

    select
        period_grain,
        period_start,
        entity_id,
        cast(sum(greatest(taken, 0)) as bigint) as taken_over_customers,
        cast(sum(greatest(-taken, 0)) as bigint) as handed_over_customers
    from net_moves_of_periods
    group by period_grain, period_start, entity_id

),

---------- how much the largest bought

{{ won_amounts() }},

amounts_of_accounts as (

    select
        months.period_grain,
        months.period_start,
        entities_of_seats.entity_id,
        won_amounts.account_number,
        sum(won_amounts.amount) as amount
    from won_amounts
    inner join entities_of_seats
        on won_amounts.seat_id = entities_of_seats.seat_id
    inner join months
        on won_amounts.month_start = months.month_start
    group by months.period_grain, months.period_start, entities_of_seats.entity_id, won_amounts.account_number
    having sum(won_amounts.amount) > 0

),

by_size as (

    select
        period_grain,
        period_start,
        entity_id,
        amount,
        cast(
            round(amount / sum(amount) over (partition by period_grain, period_start, entity_id), 12) as decimal(13, 12)
        ) as share,
        row_number() over (
            partition by period_grain, period_start, entity_id order by amount desc, account_number asc
        ) as place
    from amounts_of_accounts

),

concentrations as (

    select
        {%- for places in [1, 5, 10] %}
        sum(amount) filter (where place <= {{ places }}) as top_{{ places }}_amount,
        {%- endfor %}
        period_grain,
        period_start,
        entity_id,
        count(*) as customers_with_amount,
        sum(amount) as amount_of_accounts,
        -- of shares, not of amounts: the square of a large amount has more digits than there are
        sum(share * share) as sum_of_squared_shares
    from by_size
    group by period_grain, period_start, entity_id

),

---------- together

together as (

    select
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        periods.is_complete,
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name,
        coalesce(measures.is_employed, false) as is_employed,
        coalesce(sum(changes.net_change) over history, 0) as closing_customers,
        coalesce(sum(changes.net_lapsed) over history, 0) as lapsed_customers,
        coalesce(changes.net_change, 0) as net_change,
        coalesce(changes.first_time_customers, 0) as first_time_customers,
        coalesce(changes.returns, 0) as returns,
        coalesce(changes.lapses, 0) as lapses,
        coalesce(taken_over.taken_over_customers, 0) as taken_over_customers,
        coalesce(taken_over.handed_over_customers, 0) as handed_over_customers,
        {%- for measure in measured %}
        coalesce(measures.{{ measure }}, 0) as {{ measure }},
        {%- endfor %}
        {%- for amount in amounts %}
        -- who is in no measure has won nothing
        case when measures.entity_id is null then 0 else measures.{{ amount }} end as {{ amount }},
        {%- endfor %}
        {%- for places in [1, 5, 10] %}
        concentrations.top_{{ places }}_amount,
        {%- endfor %}
        coalesce(concentrations.customers_with_amount, 0) as customers_with_amount,
        concentrations.amount_of_accounts,
        concentrations.sum_of_squared_shares
    from periods
    cross join entities
    left join changes_of_periods as changes
        on
            periods.period_grain = changes.period_grain
            and periods.period_start = changes.period_start
            and entities.entity_id = changes.entity_id
    left join {{ ref('kpi_measure') }} as measures
        on
            measures.cut_id = {{ main_cut() }}
            and periods.period_grain = measures.period_grain
            and periods.period_start = measures.period_start
            and entities.entity_id = measures.entity_id
    {%- for joined in ['taken_over', 'concentrations'] %}
    left join {{ joined }}
        on
            periods.period_grain = {{ joined }}.period_grain
            and periods.period_start = {{ joined }}.period_start
            and entities.entity_id = {{ joined }}.entity_id
    {%- endfor %}
    window history as (partition by periods.period_grain, entities.entity_id order by periods.period_start)

)

select
    ---------- whose, of when
    period_grain,
    period_start,
    period_end,
    is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,

    ---------- the base
    cast(closing_customers - net_change as bigint) as opening_customers,
    first_time_customers,
    -- an account that lapsed twice is lost once, as in the KPI, and what lies between counts as little
    cast(returns - (lapses - lost_customers) as bigint) as returned_customers,
    taken_over_customers,
    handed_over_customers,
    cast(lost_customers as bigint) as lost_customers,
    cast(closing_customers as bigint) as closing_customers,
    cast(lapsed_customers as bigint) as lapsed_customers,

    ---------- who bought in the period, and who may
    {%- for measure in measured if measure != 'lost_customers' %}
    cast({{ measure }} as bigint) as {{ measure }},
    {%- endfor %}

    ---------- what they bought
    {%- for amount in amounts %}
    cast({{ amount }} as decimal(38, 2)) as {{ amount }},
    {%- endfor %}
    customers_with_amount,
    {%- for places in [1, 5, 10] %}
    cast(round(top_{{ places }}_amount / amount_of_accounts, 8) as decimal(9, 8)) as top_{{ places }}_share,
    {%- endfor %}
    cast(round(sum_of_squared_shares, 8) as decimal(9, 8)) as herfindahl_index
from together
where
    is_employed
    or closing_customers <> 0
    or lapsed_customers <> 0
    or net_change <> 0
    or first_time_customers + returns + lapses + taken_over_customers + handed_over_customers > 0
    or won_amount is null
    or won_amount <> 0
    {%- for measure in measured %}
    or {{ measure }} <> 0
    {%- endfor %}
