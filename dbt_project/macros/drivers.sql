{#- What a driver input is told under where it is of all pipelines, products or stages. -#}
{% macro every_one() -%}
    '(all)'
{%- endmacro %}

{#-
    The part of a pipeline's lost deals that must have been seen in one of its stages for their conversions to be told: a
    deal without a history counts as lost in the first stage, and a few of them move that stage's conversion little.
-#}
{% macro known_stages_share() -%}
    0.9
{%- endmacro %}

{#-
    The additive measures that some formula without a quotient names beside others: a change of such a KPI is split among
    them. One that is all of its formula is the KPI itself.
-#}
{% macro measures_split() -%}
    {%- set found = [] -%}
    {%- for kpi in catalogue() if '/' not in kpi.formula and measures_in(kpi.formula) | length > 1 -%}
        {%- do found.extend(measures_in(kpi.formula) | map(attribute='name')) -%}
    {%- endfor -%}
    {{ return(found | unique | reject('equalto', 'created_deals') | list) }}
{%- endmacro %}
