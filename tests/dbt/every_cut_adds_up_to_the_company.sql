{%- set measures = measures_where('additivity', 'additive') | rejectattr('unknown', 'defined') | list %}

with

measured as (

    select
        cuts.credit_lens,
        cuts.amount_basis,
        cuts.cut_by,
        measured.*
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('kpi_cut') }} as cuts
        on measured.cut_id = cuts.cut_id
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where entities.entity_level = 'company' and measured.period_grain in {{ sql_list(grains_of_cuts()) }}

),

main as (

    select * from measured
    where cut_id = {{ main_cut() }}

),

-- What is credited on top is in no total, and amounts at another rate are others.
parts as (

    select
        credit_lens,
        cut_by,
        {%- for measure in measures %}
        coalesce(sum({{ measure.name }}), 0) as {{ measure.name }},
        {%- endfor %}
        period_grain,
        period_start
    from measured
    where cut_id <> {{ main_cut() }} and amount_basis = 'booking' and credit_lens <> 'overlay'
    group by credit_lens, cut_by, period_grain, period_start

)

select
    parts.credit_lens,
    parts.cut_by,
    {%- for measure in measures %}
    coalesce(main.{{ measure.name }}, 0) - parts.{{ measure.name }} as {{ measure.name }}_missing,
    {%- endfor %}
    parts.period_grain,
    parts.period_start
from parts
inner join main
    on parts.period_grain = main.period_grain and parts.period_start = main.period_start
where
    false
    {% for measure in measures %}
    or coalesce(main.{{ measure.name }}, 0) <> parts.{{ measure.name }}
    {% endfor %}
