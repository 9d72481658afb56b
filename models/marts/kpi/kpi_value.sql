-- One row per KPI, period and entity: the catalogue's formula over the measures at that grain. A ratio is the quotient of
-- sums; where its denominator is nothing it is null.
{%- set kpis = catalogue() %}
{%- set base_currency = company().base_currency %}

with

measures as (

    select
        measured.*,
        periods.period_end,
        periods.is_complete,
        build.as_of,
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_period') }} as periods
        on measured.period_grain = periods.period_grain and measured.period_start = periods.period_start
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    cross join {{ ref('build_moment') }} as build

),

{% for kpi in kpis %}
{%- set numerator, denominator = split_quotient(kpi.formula) %}
{{ kpi.kpi_code }} as (

    select
        '{{ kpi.kpi_code }}' as kpi_code,
        period_grain,
        period_start,
        period_end,
        is_complete{% if 'within_90_days' in kpi.formula %} and {{ start_of_day('period_end + 91') }} <= as_of{% endif %} as is_complete,
        entity_level,
        entity_key,
        department_id,
        manager_id,
        entity_name,
        {% if denominator -%}
        cast({{ numerator }} as decimal(38, 6)) as numerator,
        cast({{ denominator }} as decimal(38, 6)) as denominator,
        case when {{ denominator }} > 0 then cast(round(({{ numerator }}) / ({{ denominator }}), 8) as decimal(28, 8)) end as value,
        {%- else -%}
        cast(null as decimal(38, 6)) as numerator,
        cast(null as decimal(38, 6)) as denominator,
        cast({{ numerator }} as decimal(28, 8)) as value,
        {%- endif %}
        '{{ kpi.unit | replace("currency", base_currency) }}' as unit,
        cast({{ sample_of(denominator or numerator) }} as bigint) as sample_size,
        is_employed
    from measures
    where period_grain in {{ sql_list(grains()[grains().index(kpi.finest_grain):]) }}

),

{% endfor %}
every_kpi as (

    select
        cast(null as varchar) as kpi_code,
        cast(null as varchar) as period_grain,
        cast(null as date) as period_start,
        cast(null as date) as period_end,
        cast(null as boolean) as is_complete,
        cast(null as varchar) as entity_level,
        cast(null as varchar) as entity_key,
        cast(null as varchar) as department_id,
        cast(null as varchar) as manager_id,
        cast(null as varchar) as entity_name,
        cast(null as decimal(38, 6)) as numerator,
        cast(null as decimal(38, 6)) as denominator,
        cast(null as decimal(28, 8)) as value,
        cast(null as varchar) as unit,
        cast(null as bigint) as sample_size,
        cast(null as boolean) as is_employed
    -- the columns, where the catalogue is not there yet
    where false
    {% for kpi in kpis %}
        union all
        select * from {{ kpi.kpi_code }}
    {% endfor %}

)

select
    kpi_code,
    period_grain,
    period_start,
    period_end,
    is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    numerator,
    denominator,
    value,
    unit,
    sample_size
from every_kpi
-- a row where nothing is, is there to tell zero from absence
where is_employed or sample_size <> 0 or value <> 0
