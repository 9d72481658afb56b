-- One row per day, manager and department in which something happened: the additive measures of the day, and the changes of
-- the snapshots. Nothing at or after `as_of` is in it.
{%- set relations = ['events', 'leads', 'open_changes', 'stale_changes'] %}
{%- set daily = measures_where('additivity', 'additive') + measures_where('additivity', 'snapshot') %}

with

build as (

    select * from {{ ref('build_moment') }}

),

events as (

    select
        *,
        occurred_on as day
    from {{ ref('kpi_counted_event') }}

),

leads as (

    select
        leads.created_on as day,
        leads.manager_id,
        leads.department_id,
        coalesce(leads.converted_at < build.as_of, false) as is_converted
    from {{ ref('fct_lead') }} as leads
    cross join build
    where leads.created_at < build.as_of

),

---------- open deals, as what enters and what leaves

open_intervals as (

    select * from {{ ref('kpi_open_interval') }}

),

open_changes as (

    select *, started_on as day, 1 as sign from open_intervals
    union all
    select *, ended_on as day, -1 as sign from open_intervals where ended_on is not null

),

stale_intervals as (

    select
        open_intervals.manager_id,
        open_intervals.department_id,
        greatest(open_intervals.started_on, open_intervals.stale_on) as started_on,
        open_intervals.ended_on
    from open_intervals
    cross join build
    where
        open_intervals.stale_on <= build.last_day
        and (open_intervals.ended_on is null or open_intervals.stale_on < open_intervals.ended_on)

),

stale_changes as (

    select *, started_on as day, 1 as sign from stale_intervals
    union all
    select *, ended_on as day, -1 as sign from stale_intervals where ended_on is not null

),

---------- one row a day and seat, of each

{% for relation in relations %}
of_{{ relation }} as (

    select
        day,
        manager_id,
        department_id
        {%- for measure in daily %},
        {% if measure.relation == relation -%}
            sum({{ measure.sql }}){% if measure.filter %} filter (where {{ measure.filter }}){% endif %}
        {%- else -%}
            null
        {%- endif %} as {{ measure.name }}
        {%- endfor %}
    from {{ relation }}
    group by day, manager_id, department_id

),

{% endfor %}
cells as (

    {% for relation in relations %}
        select * from of_{{ relation }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    day,
    manager_id,
    department_id
    {%- for measure in daily %},
    cast(sum({{ measure.name }}) as {{ measure_type(measure) }}) as {{ measure.name }}
    {%- endfor %}
from cells
group by day, manager_id, department_id
