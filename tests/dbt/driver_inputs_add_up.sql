with

inputs as (

    select * from {{ ref('driver_input') }}

),

measured as (

    select
        entities.entity_level,
        entities.entity_key,
        measured.period_grain,
        measured.period_start,
        measured.won_amount,
        measured.won_deals,
        measured.won_deals + measured.lost_deals as closed_deals,
        measured.created_deals
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where
        measured.cut_id = {{ main_cut() }}
        and measured.period_grain in {{ sql_list(grains_of_cuts()) }}
        and entities.entity_level in ('company', 'department', 'manager')

),

told as (

    select
        period_grain,
        period_start,
        entity_level,
        entity_key,
        coalesce(sum(value) filter (where input = 'won_amount' and pipeline_id <> '(all)'), 0) as won_amount,
        coalesce(sum(value) filter (where input = 'won_deals' and pipeline_id <> '(all)'), 0) as won_deals,
        coalesce(sum(value) filter (where input = 'closed_deals' and pipeline_id <> '(all)'), 0) as closed_deals,
        coalesce(sum(value) filter (where input = 'created_deals' and pipeline_id = '(all)'), 0) as created_deals
    from inputs
    where entity_level in ('company', 'department', 'manager')
    group by period_grain, period_start, entity_level, entity_key

),

-- Every node and period of either: what one of them does not have is 0.
compared as (

    {% for input in ['won_amount', 'won_deals', 'closed_deals', 'created_deals'] %}
    select
        '{{ input }}' as input,
        coalesce(measured.period_grain, told.period_grain) as period_grain,
        coalesce(measured.period_start, told.period_start) as period_start,
        coalesce(measured.entity_key, told.entity_key) as entity_key,
        coalesce(measured.{{ input }}, 0) as measured,
        coalesce(told.{{ input }}, 0) as told
    from measured
    full outer join told
        on
            measured.period_grain = told.period_grain
            and measured.period_start = told.period_start
            and measured.entity_level = told.entity_level
            and measured.entity_key = told.entity_key
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from compared
where measured <> told
order by input, period_grain, period_start, entity_key
