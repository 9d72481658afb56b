{#-
    An amount in the base currency, converted once and rounded to cents. The amount is cast wide, because DuckDB
    multiplies decimal(18, 2) by decimal(18, 8) within 18 digits, and a billion overflows.
-#}
{% macro converted(native_amount, rate) -%}
    cast(round(cast({{ native_amount }} as decimal(20, 2)) * {{ rate }}, 2) as decimal(18, 2))
{%- endmacro %}
