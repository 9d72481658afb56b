{%- set counts = ['deals', 'deals_looked_at', 'deals_concerned', 'strict_deals'] %}

with

discipline as (

    select * from {{ ref('crm_discipline') }}

),

-- The parts of a company are its managers, whether or not they have a figure of the KPI.
parts as (

    select
        rule,
        period_grain,
        period_start,
        {%- for count in counts %}
        sum(case when entity_level = 'company' then {{ count }} else -{{ count }} end) as {{ count }}_apart,
        {%- endfor %}
        'company' as entity_key
    from discipline
    where entity_level in ('company', 'manager')
    group by rule, period_grain, period_start

),

measured as (

    select
        measured.period_grain,
        measured.period_start,
        entities.entity_level,
        entities.entity_key,
        measured.open_deals,
        measured.stale_open_deals,
        measured.won_deals
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where measured.cut_id = {{ main_cut() }}

),

{{ wins_taken_back() }},

faults as (

    select
        'managers do not add up to the company' as fault,
        rule,
        period_grain,
        period_start,
        entity_key
    from parts
    where
        false
        {%- for count in counts %}
        or {{ count }}_apart <> 0
        {%- endfor %}

    union all

    select
        'more are concerned than there are, or a strict figure flatters' as fault,
        rule,
        period_grain,
        period_start,
        entity_key
    from discipline
    where
        strict_deals > deals_concerned
        or deals_concerned > deals_looked_at
        or deals_looked_at > deals
        or (kpi_code = 'win_rate' and strict_kpi_value > kpi_value)

    union all

    select
        'not the stale deals of the KPIs' as fault,
        discipline.rule,
        discipline.period_grain,
        discipline.period_start,
        discipline.entity_key
    from discipline
    inner join measured
        on
            discipline.period_grain = measured.period_grain
            and discipline.period_start = measured.period_start
            and discipline.entity_level = measured.entity_level
            and discipline.entity_key = measured.entity_key
    where
        discipline.rule = 'stale_deal'
        and (
            discipline.deals <> measured.open_deals
            or coalesce(discipline.deals_concerned, 0) <> measured.stale_open_deals
        )

    union all

    select
        'not the wins of the KPIs' as fault,
        discipline.rule,
        discipline.period_grain,
        discipline.period_start,
        discipline.entity_key
    from discipline
    left join measured
        on
            discipline.period_grain = measured.period_grain
            and discipline.period_start = measured.period_start
            and discipline.entity_level = measured.entity_level
            and discipline.entity_key = measured.entity_key
    left join taken_back
        on
            discipline.period_grain = taken_back.period_grain
            and discipline.period_start = taken_back.period_start
            and discipline.entity_level = taken_back.entity_level
            and discipline.entity_key = taken_back.entity_key
    where
        discipline.rule = 'backdated_win'
        and (
            discipline.deals <> coalesce(measured.won_deals, 0) + coalesce(taken_back.deals, 0)
            or discipline.strict_kpi_value <> discipline.kpi_value - coalesce(discipline.amount_concerned, 0)
        )

)

select * from faults
order by fault, rule, period_grain, period_start, entity_key
