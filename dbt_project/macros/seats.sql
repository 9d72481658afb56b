{#-
    A CTE, `seats`: the seats, each a manager in a department in one shape of the organisation. Numbered, because millions of
    rows are grouped and compared by them.
-#}
{% macro every_seat() -%}
seats as (

    select
        organisation_id,
        manager_id,
        department_id,
        cast(row_number() over (order by organisation_id, manager_id, department_id) as integer) as seat_id
    from {{ ref('bridge_entity') }}
    group by organisation_id, manager_id, department_id

)
{%- endmacro %}

{#- A CTE to stand after one called `seats`: for each `seat_id` the company, the departments and the manager that it counts for. -#}
{% macro entities_of_seats() -%}
entities_of_seats as (

    select
        seats.seat_id,
        bridge.entity_id
    from seats
    inner join {{ ref('bridge_entity') }} as bridge
        on
            seats.organisation_id = bridge.organisation_id
            and seats.manager_id = bridge.manager_id
            and seats.department_id = bridge.department_id
    inner join {{ ref('dim_entity') }} as entities
        on bridge.entity_id = entities.entity_id
    where entities.entity_level <> 'manager_in_department'

)
{%- endmacro %}

{#- A CTE of this name: for each `month_start` the month, the quarter and the year that it is a part of. -#}
{% macro periods_of_months(name) -%}
{{ name }} as (

    {% for grain in grains_of_cuts() %}
    select
        month_start,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start
    from {{ ref('dim_day') }}
    where is_covered
    group by month_start, {{ grain }}_start
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

)
{%- endmacro %}
