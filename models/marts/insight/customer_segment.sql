-- One row per account that has bought: what it is to the company on the build's last day. Customers, who bought within
-- the last `lost_after_days`, are scored from 1 to 5 by recency, frequency and amount of these days, beside each other.
{%- set definitions = company().definitions %}
{%- set scores = ['recency_score', 'frequency_score', 'monetary_score'] %}

with

build as (

    select * from {{ ref('build_moment') }}

),

accounts as (

    select * from {{ ref('dim_account') }}

),

managers as (

    select * from {{ ref('dim_manager') }}

),

departments as (

    select * from {{ ref('dim_department') }}

),

purchases as (

    select purchases.*
    from {{ ref('kpi_credited_purchase') }} as purchases
    where purchases.credit_lens = 'at_event'

),

won as (

    select
        purchases.account_id,
        sum(events.sign * events.amount) as won_amount,
        sum(events.sign * events.amount) filter (
            where events.occurred_on > build.last_day - {{ definitions.lost_after_days }}
        ) as monetary_amount
    from {{ ref('kpi_counted_event') }} as events
    inner join purchases
        on events.deal_id = purchases.deal_id
    cross join build
    where events.event_type = 'won'
    group by purchases.account_id

),

bought as (

    select
        purchases.account_id,
        min(purchases.won_on) as first_purchase_on,
        max(purchases.won_on) as last_purchase_on,
        max(purchases.purchase_number) as purchases,
        count(*) filter (where purchases.won_on > build.last_day - {{ definitions.lost_after_days }}) as frequency,
        count(*) filter (where purchases.won_on > build.last_day - {{ definitions.regular_window_days }})
            as purchases_of_regular
    from purchases
    cross join build
    group by purchases.account_id

),

described as (

    select
        bought.*,
        last_purchases.manager_id,
        last_purchases.department_id,
        won.won_amount,
        won.monetary_amount,
        cast(build.last_day - bought.last_purchase_on as integer) as recency_days,
        bought.frequency > 0 as is_customer
    from bought
    cross join build
    inner join purchases as last_purchases
        on bought.account_id = last_purchases.account_id and bought.purchases = last_purchases.purchase_number
    left join won
        on bought.account_id = won.account_id

),

-- A score is the fifth of the customers that an account begins in: equal ones share it.
scored as (

    select
        {%- for score, order in [
            ('recency_score', 'recency_days desc'), ('frequency_score', 'frequency'),
            ('monetary_score', 'coalesce(monetary_amount, 0)')
        ] %}
        case
            when is_customer and count(*) over (partition by is_customer) >= {{ min_scored_customers() }}
                then cast(
                    1 + floor(
                        5 * (rank() over (partition by is_customer order by {{ order }}) - 1)
                        / count(*) over (partition by is_customer)
                    ) as integer
                )
        end as {{ score }},
        {%- endfor %}
        *,
        count(*) over (partition by is_customer) as customers
    from described

)

select
    ---------- who, and whose
    scored.account_id,
    coalesce(accounts.account_name, scored.account_id) as account_name,
    scored.manager_id,
    managers.manager_name,
    scored.department_id,
    departments.department_name,

    ---------- what it bought
    scored.first_purchase_on,
    scored.last_purchase_on,
    cast(scored.purchases as bigint) as purchases,
    cast(scored.won_amount as decimal(38, 2)) as won_amount,

    ---------- what it is
    case
        when not scored.is_customer then 'lost'
        when scored.purchases = 1 then 'new'
        when scored.purchases_of_regular >= {{ definitions.regular_min_purchases }} then 'regular'
        else 'repeat'
    end as customer_state,
    scored.recency_days,
    scored.frequency,
    cast(
        case when not scored.is_customer then coalesce(scored.monetary_amount, 0) else scored.monetary_amount end
        as decimal(38, 2)
    ) as monetary_amount,
    case when scored.is_customer then scored.customers else 0 end as scored_customers,
    {%- for score in scores %}
    scored.{{ score }},
    {%- endfor %}
    case
        when not scored.is_customer then 'lost'
        {%- for segment, condition in customer_segments() %}
        when {{ condition }} then '{{ segment }}'
        {%- endfor %}
    end as segment
from scored
left join accounts
    on scored.account_id = accounts.account_id
inner join managers
    on scored.manager_id = managers.manager_id
inner join departments
    on scored.department_id = departments.department_id
