{%- set funnel_key = 'period_grain, period_start, entity_level, entity_key, pipeline_id' %}

with

followed as (

    select
        *,
        lead(reached_deals, 1, won_deals) over (
            partition by {{ funnel_key }} order by stage_number
        ) as reached_next_deals
    from {{ ref('funnel_stage') }}

)

select
    {{ funnel_key }},
    stage_id,
    reached_deals,
    entered_deals,
    converted_deals,
    won_deals,
    lost_deals,
    open_deals,
    reached_next_deals
from followed
where
    reached_deals <> converted_deals + lost_deals + open_deals
    or converted_deals <> reached_next_deals
    or converted_deals < won_deals
    or reached_deals < entered_deals
    or least(won_deals, lost_deals, open_deals, entered_deals) < 0
    or (finished_stays > 0) <> (mean_stay_days is not null and median_stay_days is not null)
    or (open_stays > 0) <> (median_open_days is not null)
order by {{ funnel_key }}, stage_number
