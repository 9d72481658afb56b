-- One row per period and entity in which something is, or in which someone was employed (month and coarser): every measure
-- at that grain. Sums are summed from days; everything else is computed anew for each period and entity.
{%- set additive = measures_where('additivity', 'additive') %}
{%- set snapshots = measures_where('additivity', 'snapshot') %}
{%- set distinct_relations = ['purchases', 'lapses', 'prospects'] %}
{%- set distinct_grains = sql_list(grains_that_need('distinct')) %}
{%- set distribution_grains = sql_list(grains_that_need('distribution')) %}

with

build as (

    select * from {{ ref('build_moment') }}

),

periods as (

    select * from {{ ref('dim_period') }}

),

period_days as (

    select * from {{ ref('dim_period_day') }}

),

entities as (

    select * from {{ ref('bridge_entity') }}

),

cells as (

    select * from {{ ref('kpi_measure_day') }}

),

---------- sums

summed as (

    select
        period_days.period_grain,
        period_days.period_start,
        entities.entity_id
        {%- for measure in additive + snapshots %},
        sum(cells.{{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from cells
    inner join period_days
        on cells.day = period_days.day
    inner join entities
        on cells.manager_id = entities.manager_id and cells.department_id = entities.department_id
    group by period_days.period_grain, period_days.period_start, entities.entity_id

),

---------- who has a row in which period

seats as (

    select
        assignments.manager_id,
        assignments.department_id,
        greatest(assignments.valid_from, coalesce(managers.hired_on, assignments.valid_from)) as employed_from,
        least(assignments.valid_to - 1, coalesce(managers.left_on, assignments.valid_to - 1)) as employed_to
    from {{ ref('manager_assignment') }} as assignments
    inner join {{ ref('dim_manager') }} as managers
        on assignments.manager_id = managers.manager_id
    where
        not managers.is_inferred
        -- a time in which nothing is known of a manager is no employment, unless nothing ever is
        and (
            assignments.department_id <> {{ unassigned('assignments.manager_id') }}
            or (assignments.valid_from = date '0001-01-01' and assignments.valid_to = date '9999-12-31')
        )

),

employed as (

    select
        periods.period_grain,
        periods.period_start,
        entities.entity_id
    from seats
    inner join entities
        on seats.manager_id = entities.manager_id and seats.department_id = entities.department_id
    inner join periods
        on
            seats.employed_from <= periods.period_end
            and seats.employed_to >= periods.period_start
            and seats.employed_from <= seats.employed_to
    where periods.period_grain in ('month', 'quarter', 'year')

    union

    select
        periods.period_grain,
        periods.period_start,
        company.entity_id
    from {{ ref('dim_entity') }} as company
    cross join periods
    where company.entity_level = 'company' and periods.period_grain in ('month', 'quarter', 'year')

),

-- A state goes on while nothing happens: whoever ever had an open deal has a row from then on.
holders as (

    select
        entity_id,
        min(period_start) as held_from
    from summed
    where period_grain = 'day' and ({% for measure in snapshots %}{{ measure.name }} <> 0{% if not loop.last %} or {% endif %}{% endfor %})
    group by entity_id

),

held as (

    select
        periods.period_grain,
        periods.period_start,
        holders.entity_id
    from holders
    inner join periods
        on holders.held_from <= periods.period_end
    where periods.period_grain in {{ sql_list(grains_that_need('snapshot')) }}

),

grid as (

    select period_grain, period_start, entity_id from summed
    union
    select period_grain, period_start, entity_id from employed
    union
    select period_grain, period_start, entity_id from held

),

---------- counted anew

purchases as (

    select
        purchases.*,
        purchases.won_on as day
    from {{ ref('fct_customer_purchase') }} as purchases
    cross join build
    where purchases.won_at < build.as_of

),

lapses as (

    select
        purchases.*,
        purchases.lapsed_on as day
    from {{ ref('fct_customer_purchase') }} as purchases
    cross join build
    where purchases.lapsed_on <= build.last_day

),

first_purchases as (

    select
        account_id,
        min(won_on) as first_won_on
    from purchases
    group by account_id

),

-- Open on the last evening of a period, with an account that has not bought by then.
prospects as (

    select
        intervals.account_id,
        intervals.manager_id,
        intervals.department_id,
        periods.period_grain,
        periods.period_start
    from {{ ref('kpi_open_interval') }} as intervals
    inner join periods
        on
            intervals.started_on <= periods.last_day
            and (intervals.ended_on is null or intervals.ended_on > periods.last_day)
    left join first_purchases
        on intervals.account_id = first_purchases.account_id
    where
        intervals.account_id is not null
        and (first_purchases.first_won_on is null or first_purchases.first_won_on > periods.last_day)
        and periods.period_grain in {{ distinct_grains }}

),

{% for relation in distinct_relations %}
distinct_{{ relation }} as (

    select
        {{ relation if relation == 'prospects' else 'period_days' }}.period_grain,
        {{ relation if relation == 'prospects' else 'period_days' }}.period_start,
        entities.entity_id
        {%- for measure in measures_where('relation', relation) %},
        count(distinct {{ relation }}.{{ measure.sql }})
        {%- if measure.filter %} filter (where {{ measure.filter }}){% endif %} as {{ measure.name }}
        {%- endfor %}
    from {{ relation }}
    {%- if relation != 'prospects' %}
    inner join period_days
        on {{ relation }}.day = period_days.day and period_days.period_grain in {{ distinct_grains }}
    {%- endif %}
    inner join entities
        on {{ relation }}.manager_id = entities.manager_id and {{ relation }}.department_id = entities.department_id
    group by
        {{ relation if relation == 'prospects' else 'period_days' }}.period_grain,
        {{ relation if relation == 'prospects' else 'period_days' }}.period_start,
        entities.entity_id

),

{% endfor %}
-- A deal that was won, reopened and won again within the period is one win.
cycles as (

    select
        period_days.period_grain,
        period_days.period_start,
        entities.entity_id,
        events.deal_id,
        max(events.cycle_days) as cycle_days
    from {{ ref('kpi_counted_event') }} as events
    inner join period_days
        on events.occurred_on = period_days.day and period_days.period_grain in {{ distribution_grains }}
    inner join entities
        on events.manager_id = entities.manager_id and events.department_id = entities.department_id
    where events.event_type = 'won' and events.cycle_days is not null
    group by period_days.period_grain, period_days.period_start, entities.entity_id, events.deal_id
    having sum(events.sign) > 0

),

distributed as (

    select
        period_grain,
        period_start,
        entity_id
        {%- for measure in measures_where('relation', 'cycles') %},
        {{ measure.sql }} as {{ measure.name }}
        {%- endfor %}
    from cycles
    group by period_grain, period_start, entity_id

),

---------- together

together as (

    select
        grid.period_grain,
        grid.period_start,
        grid.entity_id,
        employed.entity_id is not null as is_employed
        {%- for measure in additive %},
        {% if measure.sample -%}summed.{{ measure.name }}{%- else -%}coalesce(summed.{{ measure.name }}, 0){%- endif %} as {{ measure.name }}
        {%- endfor %}
        {%- for measure in snapshots %},
        coalesce(sum(summed.{{ measure.name }}) over entity_history, 0) as {{ measure.name }}
        {%- endfor %}
        {%- for relation in distinct_relations %}{% for measure in measures_where('relation', relation) %},
        coalesce(distinct_{{ relation }}.{{ measure.name }}, 0) as {{ measure.name }}
        {%- endfor %}{% endfor %}
        {%- for measure in measures_where('relation', 'cycles') %},
        distributed.{{ measure.name }}
        {%- endfor %}
    from grid
    left join summed
        on
            grid.period_grain = summed.period_grain
            and grid.period_start = summed.period_start
            and grid.entity_id = summed.entity_id
    left join employed
        on
            grid.period_grain = employed.period_grain
            and grid.period_start = employed.period_start
            and grid.entity_id = employed.entity_id
    {%- for relation in distinct_relations %}
    left join distinct_{{ relation }}
        on
            grid.period_grain = distinct_{{ relation }}.period_grain
            and grid.period_start = distinct_{{ relation }}.period_start
            and grid.entity_id = distinct_{{ relation }}.entity_id
    {%- endfor %}
    left join distributed
        on
            grid.period_grain = distributed.period_grain
            and grid.period_start = distributed.period_start
            and grid.entity_id = distributed.entity_id
    window entity_history as (partition by grid.period_grain, grid.entity_id order by grid.period_start)

)

select
    period_grain,
    period_start,
    entity_id,
    is_employed
    {%- for measure in measures() %},
    cast(
        {% if not measure.sample or measure.additivity == 'distribution' -%}
            {{ measure.name }}
        {%- elif measure.unknown -%}
            case when {{ measure.unknown }} = 0 then coalesce({{ measure.name }}, 0) end
        {%- elif measure.known -%}
            case when {{ measure.sample }} = 0 or {{ measure.known }} > 0 then {{ measure.name }} end
        {%- else -%}
            case when {{ measure.sample }} = 0 then coalesce({{ measure.name }}, 0) else {{ measure.name }} end
        {%- endif %} as {{ measure_type(measure) }}
    ) as {{ measure.name }}
    {%- endfor %}
from together
