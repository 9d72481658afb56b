{%- set measures = measures_where('additivity', 'additive') | rejectattr('unknown', 'defined') | list %}

with

entities as (

    select * from {{ ref('dim_entity') }}

),

measured as (

    select
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        measured.*
    from {{ ref('kpi_measure') }} as measured
    inner join entities
        on measured.entity_id = entities.entity_id

),

-- The parts of a company are its managers, or their seats; those of a department are the seats in it and below it.
parts as (

    select
        period_grain,
        period_start,
        entity_level as made_of,
        {% for measure in measures %}
        coalesce(sum({{ measure.name }}), 0) as {{ measure.name }},
        {% endfor %}
        'company' as entity_key
    from measured
    where entity_level in ('manager', 'manager_in_department')
    group by period_grain, period_start, entity_level

    union all

    select
        measured.period_grain,
        measured.period_start,
        measured.entity_level as made_of,
        {% for measure in measures %}
        coalesce(sum(measured.{{ measure.name }}), 0) as {{ measure.name }},
        {% endfor %}
        closure.ancestor_department_id as entity_key
    from measured
    inner join {{ ref('dim_department_closure') }} as closure
        on measured.department_id = closure.department_id
    where measured.entity_level = 'manager_in_department'
    group by measured.period_grain, measured.period_start, measured.entity_level, closure.ancestor_department_id

),

wholes as (

    select * from measured
    where entity_level in ('company', 'department')

)

select
    wholes.period_grain,
    wholes.period_start,
    wholes.entity_key,
    {% for measure in measures %}
    coalesce(wholes.{{ measure.name }}, 0) - coalesce(parts.{{ measure.name }}, 0) as {{ measure.name }}_missing,
    {% endfor %}
    parts.made_of
from wholes
full outer join parts
    on
        wholes.period_grain = parts.period_grain
        and wholes.period_start = parts.period_start
        and wholes.entity_key = parts.entity_key
where
    false
    {% for measure in measures %}
    or coalesce(wholes.{{ measure.name }}, 0) <> coalesce(parts.{{ measure.name }}, 0)
    {% endfor %}
