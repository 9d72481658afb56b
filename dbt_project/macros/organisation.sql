{#- Steps up the tree of departments after which whoever still climbs is taken to run in a circle. -#}
{% macro deepest_department() -%}
    50
{%- endmacro %}
