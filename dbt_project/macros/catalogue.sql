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

    Each row makes a list of all figures, which is unfolded then: a third of the time of a row for each KPI and a choice.
-#}
{% macro figures_of_catalogue(relation, described) -%}
    {%- set base_currency = company().base_currency -%}
    select
        unfolded.figure.kpi_code,
        {%- for column in described %}
        unfolded.{{ column }},
        {%- endfor %}
        unfolded.is_complete
        and {{ start_of_day('unfolded.period_end + 1 + unfolded.figure.maturity_days') }} <= unfolded.as_of as is_complete,
        unfolded.figure.unit,
        unfolded.figure.numerator,
        unfolded.figure.denominator,
        unfolded.figure.value,
        unfolded.figure.sample_size
    from (
        select
            *,
            unnest([
                {%- for kpi in catalogue() %}
                {{ figure_of(kpi, base_currency) }}{{ ',' if not loop.last }}
                {%- else %}
                -- the catalogue is not there yet
                {{ figure_of({'kpi_code': '', 'formula': '0', 'unit': '', 'finest_grain': 'day'}, base_currency) }}
                {%- endfor %}
            ]) as figure
        from {{ relation }}
    ) as unfolded
    where unfolded.figure.is_published and unfolded.figure.kpi_code <> ''
{%- endmacro %}

{#- What a KPI is in a row of measures. -#}
{% macro figure_of(kpi, base_currency) -%}
    {%- set numerator, denominator = split_quotient(kpi.formula) -%}
    {%- set maturity_days = measures_in(kpi.formula) | map(attribute='maturity_days', default=0) | max -%}
    {
        'kpi_code': '{{ kpi.kpi_code }}',
        'unit': '{{ kpi.unit | replace('currency', base_currency) }}',
        'maturity_days': {{ maturity_days or 0 }},
        'is_published': period_grain in {{ sql_list(grains()[grains().index(kpi.finest_grain):]) }},
        'numerator': cast({{ numerator if denominator else 'null' }} as decimal(38, 6)),
        'denominator': cast({{ denominator or 'null' }} as decimal(38, 6)),
        'value': cast(
            {%- if denominator -%}
                case when {{ denominator }} > 0 then round(({{ numerator }}) / ({{ denominator }}), 8) end
            {%- else -%}
                {{ numerator }}
            {%- endif %} as decimal(28, 8)),
        'sample_size': cast({{ sample_of(numerator, denominator) or 0 }} as decimal(38, 6))
    }
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
