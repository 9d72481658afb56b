with

curve as (

    select
        *,
        cast(within_days as varchar) as place
    from {{ ref('win_rate_curve') }}

),

funnel as (

    select
        *,
        stage_id as place
    from {{ ref('funnel_stage') }}

),

{% set counted = {
    'curve': ['created_deals', 'won_deals', 'lost_deals', 'open_deals', 'censored_deals'],
    'funnel': [
        'reached_deals', 'entered_deals', 'converted_deals', 'won_deals', 'lost_deals', 'open_deals', 'finished_stays',
        'open_stays'
    ],
} %}
-- The parts of a company are its managers.
parts as (

    {% for relation, counts in counted.items() %}
    {% for count in counts %}
    select
        '{{ relation }}' as found_in,
        '{{ count }}' as counted,
        period_grain,
        period_start,
        'company' as entity_key,
        place,
        coalesce(sum({{ count }}) filter (where entity_level = 'company'), 0) as whole,
        coalesce(sum({{ count }}) filter (where entity_level = 'manager'), 0) as parts
    from {{ relation }}
    where entity_level in ('company', 'manager')
    group by period_grain, period_start, place
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- The same deals are counted by the KPIs.
measured as (

    select
        entities.entity_level,
        entities.entity_key,
        measured.period_grain,
        measured.period_start,
        measured.created_deals,
        measured.created_deals_won_within_90_days
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where
        measured.cut_id = {{ main_cut() }}
        and measured.period_grain in {{ sql_list(grains_of_cuts()) }}
        and entities.entity_level <> 'manager_in_department'

),

counted_twice as (

    {% for count, measure in [('created_deals', 'created_deals'), ('won_deals', 'created_deals_won_within_90_days')] %}
    select
        'kpi_measure' as found_in,
        '{{ measure }}' as counted,
        measured.period_grain,
        measured.period_start,
        measured.entity_key,
        '90' as place,
        coalesce(measured.{{ measure }}, 0) as whole,
        coalesce(curve.{{ count }}, 0) as parts
    from measured
    left join curve
        on
            measured.entity_level = curve.entity_level
            and measured.entity_key = curve.entity_key
            and measured.period_grain = curve.period_grain
            and measured.period_start = curve.period_start
            and curve.place = '90'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from parts
where whole <> parts
union all
select * from counted_twice
where whole <> parts
order by found_in, counted, period_grain, period_start, entity_key
