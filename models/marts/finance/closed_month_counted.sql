-- One row per thing that counts for a closed month as it is known now.
with

counted as (

    {{ counted_rows({
        'months': ref('closed_month'),
        'events': ref('kpi_counted_event'),
        'intervals': ref('kpi_open_interval'),
        'next_steps': ref('kpi_next_step'),
        'purchases': ref('kpi_counted_purchase'),
        'leads': ref('kpi_counted_lead'),
        'activities': ref('kpi_counted_activity'),
        'closure': ref('dim_department_closure'),
        'targets': ref('fct_target_in_force'),
    }, counted_columns()) }}

)

select
    period_start,
    relation
    {%- for column in counted_columns() %},
    {{ column }}
    {%- endfor %}
from counted
