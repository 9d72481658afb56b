with

patterns as (

    select
        period_grain,
        period_start,
        entity_level,
        entity_key,
        max(won_deals) as won_deals
    from {{ ref('closing_pattern') }}
    group by period_grain, period_start, entity_level, entity_key

),

measured as (

    select
        measured.period_grain,
        measured.period_start,
        entities.entity_level,
        entities.entity_key,
        measured.won_deals
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where measured.cut_id = {{ main_cut() }}

),

{{ wins_taken_back() }},

{{ wins_taken_back(since=true) }}

select
    patterns.period_grain,
    patterns.period_start,
    patterns.entity_level,
    patterns.entity_key,
    patterns.won_deals
from patterns
left join measured
    on
        patterns.period_grain = measured.period_grain
        and patterns.period_start = measured.period_start
        and patterns.entity_level = measured.entity_level
        and patterns.entity_key = measured.entity_key
left join taken_back
    on
        patterns.period_grain = taken_back.period_grain
        and patterns.period_start = taken_back.period_start
        and patterns.entity_level = taken_back.entity_level
        and patterns.entity_key = taken_back.entity_key
left join taken_back_since
    on
        patterns.period_grain = taken_back_since.period_grain
        and patterns.period_start = taken_back_since.period_start
        and patterns.entity_level = taken_back_since.entity_level
        and patterns.entity_key = taken_back_since.entity_key
where
    patterns.won_deals
    <> coalesce(measured.won_deals, 0) + coalesce(taken_back.deals, 0) - coalesce(taken_back_since.deals, 0)
order by patterns.period_grain, patterns.period_start, patterns.entity_level, patterns.entity_key
