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

{#- Numerator and denominator of a formula, which has at most one division, between the two. -#}
{% macro split_quotient(formula) -%}
    {%- set sides = formula.split('/') -%}
    {{ return((sides[0].strip(), sides[1].strip() if sides | length > 1 else none)) }}
{%- endmacro %}

{#-
    The catalogue's formulas over a relation of measures: a row for every KPI and row of it, with the columns in
    `described`, at the grains that the KPI is published at. A figure is complete when nothing can change it by time
    passing: its period is over, and so are the days that a measure of it takes to mature.
-#}
{% macro figures_of_catalogue(relation, described) -%}
    {%- set kpis = catalogue() -%}
    select
        kpis.kpi_code,
        {%- for column in described %}
        {{ relation }}.{{ column }},
        {%- endfor %}
        {{ relation }}.is_complete
        and {{ start_of_day(relation ~ '.period_end + 1 + kpis.maturity_days') }} <= {{ relation }}.as_of as is_complete,
        kpis.unit,
        {{ of_each_kpi(kpis, 'numerator') }} as numerator,
        {{ of_each_kpi(kpis, 'denominator') }} as denominator,
        {{ of_each_kpi(kpis, 'value') }} as value,
        {{ of_each_kpi(kpis, 'sample_size') }} as sample_size
    from {{ relation }}
    inner join (
        {%- if kpis %}
        values
        {%- for kpi in kpis %}
        {%- set maturity_days = measures_in(kpi.formula) | map(attribute='maturity_days', default=0) | max %}
        {%- set unit = kpi.unit | replace('currency', company().base_currency) %}
        {%- for grain in grains()[grains().index(kpi.finest_grain):] %}
        ('{{ kpi.kpi_code }}', '{{ unit }}', {{ maturity_days }}, '{{ grain }}'){{ ',' if not loop.last }}
        {%- endfor %}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- else %}
        -- the catalogue is not there yet
        select null, null, 0, null where false
        {%- endif %}
    ) as kpis (kpi_code, unit, maturity_days, period_grain)
        on {{ relation }}.period_grain = kpis.period_grain
{%- endmacro %}

{#- A part of each KPI's figure, as an expression over its measures. -#}
{% macro of_each_kpi(kpis, part) -%}
    {%- set type = 'decimal(28, 8)' if part == 'value' else 'decimal(38, 6)' -%}
    cast(case kpis.kpi_code
        {%- for kpi in kpis %}
        {%- set numerator, denominator = split_quotient(kpi.formula) %}
        when '{{ kpi.kpi_code }}' then cast(
            {%- if part == 'sample_size' -%}
                {{ sample_of(numerator, denominator) }}
            {%- elif part == 'value' and denominator -%}
                case when {{ denominator }} > 0 then round(({{ numerator }}) / ({{ denominator }}), 8) end
            {%- elif part == 'value' -%}
                {{ numerator }}
            {%- elif denominator -%}
                {{ numerator if part == 'numerator' else denominator }}
            {%- else -%}
                null
            {%- endif %} as {{ type }})
        {%- else %}
        when null then null
        {%- endfor %}
    end as {{ type }})
{%- endmacro %}

{#-
    How much is behind a formula: the counts below its line, or what its sums are over, each once, added up; above it where
    there is no line, or nothing but a target below.
-#}
{% macro sample_of(numerator, denominator) -%}
    {%- set below = measures_in(denominator or '') | rejectattr('additivity', 'equalto', 'target') | list -%}
    {%- set mentioned = below or measures_in(numerator) -%}
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
