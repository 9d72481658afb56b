{#-
    The CTEs that tables of customers begin with.

    months              month_start, period_grain, period_start: the months, and the periods that each is a part of
    entities_of_seats   whom the purchases of a seat count for: the company, departments, the manager
    purchases           one row per purchase, with its seat, and of its account the purchase before and the one after;
                        accounts, seats and periods are numbered, because millions of rows are grouped by them
-#}
{% macro customer_sources() -%}
{{ periods_of_months('months') }},

{{ every_seat() }},

{{ entities_of_seats() }},

purchases as (

    select
        credited.deal_id,
        credited.account_id,
        cast(dense_rank() over (order by credited.account_id) as integer) as account_number,
        credited.won_on,
        credited.lapsed_on,
        credited.purchase_number,
        credited.manager_id,
        credited.department_id,
        seats.seat_id,
        days.month_start,
        lag(seats.seat_id) over account_purchases as seat_id_before,
        lag(credited.lapsed_on) over account_purchases as lapsed_on_before,
        lead(credited.won_on) over account_purchases as next_won_on
    from {{ ref('kpi_credited_purchase') }} as credited
    inner join seats
        on
            credited.organisation_id = seats.organisation_id
            and credited.manager_id = seats.manager_id
            and credited.department_id = seats.department_id
    inner join {{ ref('dim_day') }} as days
        on credited.won_on = days.day
    where credited.credit_lens = 'at_event'
    window account_purchases as (partition by credited.account_id order by credited.purchase_number)

)
{%- endmacro %}

{#-
    A CTE to stand after those: one row per account, month and seat, with what was won, less what was taken back. The
    amounts of a deal are those of the account whose purchase it is.
-#}
{% macro won_amounts() -%}
won_amounts as (

    select
        purchases.account_number,
        days.month_start,
        seats.seat_id,
        sum(events.sign * events.amount) as amount
    from {{ ref('kpi_counted_event') }} as events
    inner join purchases
        on events.deal_id = purchases.deal_id
    inner join seats
        on
            events.organisation_id = seats.organisation_id
            and events.manager_id = seats.manager_id
            and events.department_id = seats.department_id
    inner join {{ ref('dim_day') }} as days
        on events.occurred_on = days.day
    where events.event_type = 'won'
    group by purchases.account_number, days.month_start, seats.seat_id

)
{%- endmacro %}

{#- Of fewer customers than five in each fifth no scores are told. -#}
{% macro min_scored_customers() -%}
    {{ return(25) }}
{%- endmacro %}

{#-
    The segments of scored customers, the first whose condition holds: by how lately they bought, and by how often and
    for how much together. Where there are no scores, none holds. After Hughes (1994), who scores by fifths.
-#}
{% macro customer_segments() -%}
    {{ return([
        ('champions', 'recency_score >= 4 and frequency_score + monetary_score >= 8'),
        ('cannot_lose', 'recency_score <= 2 and frequency_score + monetary_score >= 8'),
        ('loyal', 'recency_score >= 3 and frequency_score + monetary_score >= 6'),
        ('at_risk', 'recency_score <= 2 and frequency_score + monetary_score >= 6'),
        ('promising', 'recency_score >= 4'),
        ('needs_attention', 'recency_score = 3'),
        ('hibernating', 'recency_score <= 2'),
    ]) }}
{%- endmacro %}

{#- A rhythm of fewer intervals than these is none. -#}
{% macro min_intervals() -%}
    {{ return(3) }}
{%- endmacro %}

{#- Quartiles of whole days, by linear interpolation between the two nearest (Hyndman and Fan's type 7). -#}
{% macro quartiles(days) -%}
    {% for name, share in [('q1_days', '0.25'), ('median_days', '0.5'), ('q3_days', '0.75')] -%}
    cast(percentile_cont({{ share }}) within group (order by {{ days }}) as decimal(18, 2)) as {{ name }}{% if not loop.last %},
    {% endif %}
    {%- endfor %}
{%- endmacro %}
