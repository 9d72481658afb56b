{#-
    The catalogue's rows as dictionaries. It is read when a model runs, from the seed's own relation, so that a new KPI
    is a new row and nothing else; unit tests override this macro.
-#}
{% macro catalogue() -%}
    {%- set kpis = [] -%}
    {%- if execute and adapter.get_relation(target.database, 'seeds', 'kpi_catalogue') -%}
        {%- set rows = run_query('select kpi_code, formula, unit, finest_grain from seeds.kpi_catalogue order by kpi_code') -%}
        {%- for row in rows -%}
            {%- do kpis.append({'kpi_code': row[0], 'formula': row[1], 'unit': row[2], 'finest_grain': row[3]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kpis) }}
{%- endmacro %}

{#- Numerator and denominator of a formula: split at the last division that no parenthesis encloses. -#}
{% macro split_quotient(formula) -%}
    {%- set found = namespace(depth=0, at=none) -%}
    {%- for character in formula -%}
        {%- if character == '(' -%}{%- set found.depth = found.depth + 1 -%}
        {%- elif character == ')' -%}{%- set found.depth = found.depth - 1 -%}
        {%- elif character == '/' and found.depth == 0 -%}{%- set found.at = loop.index0 -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if found.at is none -%}
        {{ return((formula.strip(), none)) }}
    {%- else -%}
        {{ return((formula[:found.at].strip(), formula[found.at + 1:].strip())) }}
    {%- endif -%}
{%- endmacro %}

{#- How much is behind a formula: its counts, or what its sums are over, each once, added up. -#}
{% macro sample_of(formula) -%}
    {%- set mentioned = measures_in(formula) -%}
    {%- set counts = mentioned | rejectattr('sample', 'defined') | map(attribute='name') | list -%}
    {{ return((counts or mentioned | map(attribute='sample') | unique | list) | join(' + ')) }}
{%- endmacro %}

{% macro measures_in(formula) -%}
    {%- set names = modules.re.findall('[a-z_0-9]+', formula) -%}
    {{ return(measures() | selectattr('name', 'in', names) | list) }}
{%- endmacro %}

{#- The grains down to which some KPI asks for measures of an additivity. -#}
{% macro grains_that_need(additivity) -%}
    {%- set needed = [] -%}
    {%- for kpi in catalogue() if measures_in(kpi.formula) | selectattr('additivity', 'equalto', additivity) | list -%}
        {%- do needed.extend(grains()[grains().index(kpi.finest_grain):]) -%}
    {%- endfor -%}
    {{ return(needed | unique | list or ['year']) }}
{%- endmacro %}

{#- A list of texts, as SQL writes it. -#}
{% macro sql_list(texts) -%}
    ({% for text in texts %}'{{ text }}'{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro %}
