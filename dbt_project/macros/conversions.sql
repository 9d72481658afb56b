{#-
    The days after its creation at which a cohort's win rate is told: a curve that people read needs no point a day, and
    these are close where most deals close. 90 is that of win_rate_cohort_90d, so the two can be laid side by side.
-#}
{% macro curve_days() -%}
    {{ return([7, 14, 30, 60, 90, 120, 180, 270, 365]) }}
{%- endmacro %}

{#- The first of these days by which a number of days is over; null beyond the last. -#}
{% macro curve_day_of(days) -%}
    case {% for day in curve_days() %}when {{ days }} <= {{ day }} then {{ day }} {% endfor %}end
{%- endmacro %}

{#-
    CTEs, to stand after one called `tallied`: `month_start` (of the deals' creation), `seat_id` (whose), the columns in
    `by`, and counts. Give `of_cohorts`: period_grain, period_start, entity_id, the columns in `by`, and the sums of those
    counts, for every cohort of month, quarter and year, and for the company, departments and managers. Quarters and years
    are made of months in every calendar, so the deals themselves are gone through once.
-#}
{% macro in_every_cohort(by, counts) -%}
seats as (

    select
        seat_id,
        organisation_id,
        manager_id,
        department_id
    from {{ ref('kpi_cohort_deal') }}
    group by seat_id, organisation_id, manager_id, department_id

),

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

),

of_months as (

    select
        tallied.month_start,
        entities_of_seats.entity_id
        {%- for column in by %},
        tallied.{{ column }}
        {%- endfor %}
        {%- for count in counts %},
        sum(tallied.{{ count }}) as {{ count }}
        {%- endfor %}
    from tallied
    inner join entities_of_seats
        on tallied.seat_id = entities_of_seats.seat_id
    group by tallied.month_start, entities_of_seats.entity_id
    {%- for column in by %}, tallied.{{ column }}{% endfor %}

),

cohorts as (

    {% for grain in grains_of_cuts() %}
    select
        month_start,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start
    from {{ ref('dim_day') }}
    where is_covered
    {% if not loop.last %}union{% endif %}
    {%- endfor %}

),

of_cohorts as (

    select
        cohorts.period_grain,
        cohorts.period_start,
        of_months.entity_id
        {%- for column in by %},
        of_months.{{ column }}
        {%- endfor %}
        {%- for count in counts %},
        cast(sum(of_months.{{ count }}) as bigint) as {{ count }}
        {%- endfor %}
    from of_months
    inner join cohorts
        on of_months.month_start = cohorts.month_start
    group by cohorts.period_grain, cohorts.period_start, of_months.entity_id
    {%- for column in by %}, of_months.{{ column }}{% endfor %}

)
{%- endmacro %}
