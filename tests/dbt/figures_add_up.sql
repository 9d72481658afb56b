{%- set measures = measures_where('additivity', 'additive') | rejectattr('unknown', 'defined') | list %}

with

entities as (

    select * from {{ ref('dim_entity') }}

),

measured as (

    select
        entities.entity_level,
        entities.entity_key,
        measured.*
    from {{ ref('kpi_measure') }} as measured
    inner join entities
        on measured.entity_id = entities.entity_id

),

days as (

    select
        cells.*,
        period_days.period_grain,
        period_days.period_start,
        organisations.valid_from
    from {{ ref('kpi_measure_day') }} as cells
    inner join {{ ref('dim_period_day') }} as period_days
        on cells.day = period_days.day and {{ has_grain(grains(), 'cells.cut_id', 'period_days.period_grain') }}
    inner join {{ ref('dim_organisation') }} as organisations
        on cells.organisation_id = organisations.organisation_id

),

-- The parts of a company are its managers, or their seats; those of a department are the days of the seats that were in
-- it or below it then.
parts as (

    select
        cut_id,
        period_grain,
        period_start,
        entity_level as made_of,
        {% for measure in measures %}
        coalesce(sum({{ measure.name }}), 0) as {{ measure.name }},
        {% endfor %}
        'company' as entity_key
    from measured
    where entity_level in ('manager', 'manager_in_department')
    group by cut_id, period_grain, period_start, entity_level

    union all

    select
        days.cut_id,
        days.period_grain,
        days.period_start,
        'day' as made_of,
        {% for measure in measures %}
        coalesce(sum(days.{{ measure.name }}), 0) as {{ measure.name }},
        {% endfor %}
        closure.ancestor_department_id as entity_key
    from days
    inner join {{ ref('dim_department_closure') }} as closure
        on
            days.department_id = closure.department_id
            and days.valid_from >= closure.valid_from
            and days.valid_from < closure.valid_to
    group by days.cut_id, days.period_grain, days.period_start, closure.ancestor_department_id

),

wholes as (

    select * from measured
    where entity_level in ('company', 'department')

)

select
    coalesce(wholes.cut_id, parts.cut_id) as cut_id,
    coalesce(wholes.period_grain, parts.period_grain) as period_grain,
    coalesce(wholes.period_start, parts.period_start) as period_start,
    coalesce(wholes.entity_key, parts.entity_key) as entity_key,
    {% for measure in measures %}
    coalesce(wholes.{{ measure.name }}, 0) - coalesce(parts.{{ measure.name }}, 0) as {{ measure.name }}_missing,
    {% endfor %}
    parts.made_of
from wholes
full outer join parts
    on
        wholes.cut_id = parts.cut_id
        and wholes.period_grain = parts.period_grain
        and wholes.period_start = parts.period_start
        and wholes.entity_key = parts.entity_key
where
    false
    {% for measure in measures %}
    or coalesce(wholes.{{ measure.name }}, 0) <> coalesce(parts.{{ measure.name }}, 0)
    {% endfor %}
