{#- Months that a forecast reaches beyond the last complete one: a budget that is made in summer covers the next year. -#}
{% macro forecast_horizon() -%}
    18
{%- endmacro %}
