{%- set fact = [
    'deal_id', 'event_type', 'manager_id', 'department_id', 'account_id', 'stage_id', 'stage_id_before', 'native_amount',
    'currency_code', 'expected_close_on'
] | join(', ') %}

with

standing as (

    select
        *,
        sum(sign) over (
            partition by {{ fact }} order by recorded_at range between unbounded preceding and current row
        ) as known_count,
        sum(sign) over (
            partition by {{ fact }} order by occurred_at range between unbounded preceding and current row
        ) as occurred_count
    from {{ ref('fct_deal_event') }}

)

select
    deal_id,
    event_type,
    sign,
    occurred_at,
    recorded_at
from standing
where known_count < 0 or occurred_count < 0
order by deal_id, recorded_at, occurred_at
