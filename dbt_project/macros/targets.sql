{#- The KPIs that are a sum over events: their targets may be divided by days, and added up. -#}
{% macro additive_kpis() -%}
    {%- set found = [] -%}
    {%- for kpi in catalogue() -%}
        {%- set not_additive = measures_in(kpi.formula) | rejectattr('additivity', 'equalto', 'additive') | list -%}
        {%- if not not_additive and '*' not in kpi.formula and '/' not in kpi.formula -%}
            {%- do found.append(kpi.kpi_code) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found or ['']) }}
{%- endmacro %}
