{%- set kpis = [
    'new_customers', 'active_customers', 'repeat_customers', 'regular_customers', 'potential_customers', 'lost_customers'
] %}
{%- set summed = [
    'opening_customers', 'first_time_customers', 'closing_customers', 'lapsed_customers', 'new_customers',
    'taken_over_customers - handed_over_customers'
] %}

with

base as (

    select
        *,
        lag(closing_customers, 1, 0) over (
            partition by period_grain, entity_level, entity_key order by period_start
        ) as closing_customers_before
    from {{ ref('customer_base') }}

),

accounted as (

    select
        'closing_customers' as counted,
        period_grain,
        period_start,
        entity_key,
        closing_customers as whole,
        opening_customers + first_time_customers + returned_customers + taken_over_customers - handed_over_customers
        - lost_customers as parts
    from base

    union all

    select
        'opening_customers' as counted,
        period_grain,
        period_start,
        entity_key,
        opening_customers as whole,
        closing_customers_before as parts
    from base

    union all

    -- nobody takes customers over from the company
    select
        'taken_over_customers' as counted,
        period_grain,
        period_start,
        entity_key,
        0 as whole,
        taken_over_customers + handed_over_customers as parts
    from base
    where entity_level = 'company'

    {% for count in summed %}
    union all

    select
        '{{ count }} of managers' as counted,
        period_grain,
        period_start,
        'company' as entity_key,
        coalesce(sum({{ count }}) filter (where entity_level = 'company'), 0) as whole,
        coalesce(sum({{ count }}) filter (where entity_level = 'manager'), 0) as parts
    from base
    where entity_level in ('company', 'manager')
    group by period_grain, period_start
    {% endfor %}

),

-- A KPI has no row where nothing is.
figures as (

    {% for kpi in kpis %}
    select
        '{{ kpi }}' as kpi_code,
        period_grain,
        period_start,
        entity_level,
        entity_key,
        {{ kpi }} as customers,
        0 as value
    from base
    union all
    {% endfor %}
    select
        kpi_code,
        period_grain,
        period_start,
        entity_level,
        entity_key,
        0 as customers,
        value
    from {{ ref('kpi_value') }}
    where
        kpi_code in {{ sql_list(kpis) }}
        and period_grain in {{ sql_list(grains_of_cuts()) }}
        and entity_level <> 'manager_in_department'

),

compared as (

    select
        kpi_code as counted,
        period_grain,
        period_start,
        entity_key,
        sum(value) as whole,
        sum(customers) as parts
    from figures
    group by kpi_code, period_grain, period_start, entity_level, entity_key

)

select * from accounted
where whole <> parts
union all
select * from compared
where whole <> parts
order by counted, period_grain, period_start, entity_key
