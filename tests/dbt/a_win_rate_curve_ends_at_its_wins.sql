{%- set curve_key = 'period_grain, period_start, entity_level, entity_key' %}

with

followed as (

    select
        *,
        max(cumulative_win_rate) over (
            partition by {{ curve_key }} order by within_days rows between unbounded preceding and 1 preceding
        ) as rate_before
    from {{ ref('win_rate_curve') }}

)

select
    {{ curve_key }},
    within_days,
    created_deals,
    won_deals,
    lost_deals,
    open_deals,
    censored_deals,
    cumulative_win_rate,
    rate_before,
    mature_win_rate
from followed
where
    created_deals <> won_deals + lost_deals + open_deals + censored_deals
    or least(won_deals, lost_deals, open_deals, censored_deals) < 0
    or cumulative_win_rate < rate_before
    or (is_mature and censored_deals > 0)
    or is_mature <> (mature_win_rate is not null)
    or (censored_deals = 0 and cumulative_win_rate is distinct from round(won_deals / created_deals, 8))
    or (is_mature and mature_win_rate is distinct from cumulative_win_rate)
order by {{ curve_key }}, within_days
