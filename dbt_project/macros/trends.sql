{#- How many periods of a grain lie between a period and the one of the year before. A year has 52 weeks or 53: 52 keeps weekdays. -#}
{% macro periods_a_year() -%}
    {{ return({'week': 52, 'month': 12, 'quarter': 4, 'year': 1}) }}
{%- endmacro %}

{#- KPIs that are a quotient of two sums of additive measures: over several periods they are the quotient of both sums. -#}
{% macro quotients_of_sums() -%}
    {%- set found = [] -%}
    {%- for kpi in catalogue() -%}
        {%- set not_additive = measures_in(kpi.formula) | rejectattr('additivity', 'equalto', 'additive') | list -%}
        {%- if not not_additive and '*' not in kpi.formula and '/' in kpi.formula -%}
            {%- do found.append(kpi.kpi_code) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found or ['']) }}
{%- endmacro %}

{#- Those of the two kinds that have a figure of any days together: a sum, and published by day. -#}
{% macro kpis_summed_by_day() -%}
    {%- set by_day = catalogue() | selectattr('finest_grain', 'equalto', 'day') | map(attribute='kpi_code') | list -%}
    {%- set summed = (additive_kpis() + quotients_of_sums()) | select('in', by_day) | list -%}
    {{ return(summed or ['']) }}
{%- endmacro %}

{#- What is summed of a KPI, beside the columns of kpi_value: is_flow, above, below, and whether both are known. -#}
{% macro parts_of_figures() -%}
    kpi_code in {{ sql_list(additive_kpis()) }} as is_flow,
        case
            when kpi_code in {{ sql_list(additive_kpis()) }} then value
            when kpi_code in {{ sql_list(quotients_of_sums()) }} then numerator
        end as above,
        case when kpi_code in {{ sql_list(quotients_of_sums()) }} then denominator end as below,
        case
            when kpi_code in {{ sql_list(additive_kpis()) }} then value is not null
            when kpi_code in {{ sql_list(quotients_of_sums()) }} then numerator + denominator is not null
            else false
        end as is_known
{%- endmacro %}

{#- The figure of several rows with these parts; where a part is unknown, so is the figure. `over`: a window. -#}
{% macro figure_of_parts(is_flow, over='') -%}
    case
        when not bool_and(is_known) {{ over }} then null
        when {{ is_flow }} then sum(above) {{ over }}
        when sum(below) {{ over }} > 0 then round(sum(above) {{ over }} / sum(below) {{ over }}, 8)
    end
{%- endmacro %}

{#- The number of the period that lies a year before. -#}
{% macro number_a_year_before(relation) -%}
    {{ relation }}.period_number
    - case {{ relation }}.period_grain
        {%- for grain, count in periods_a_year().items() %} when '{{ grain }}' then {{ count }}{% endfor %} end
{%- endmacro %}
