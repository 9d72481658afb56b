-- One row per closed month, entity, and cause that changed something of it, and one for the first cause in any case: every
-- measure as it is once this cause and all before it are told. They are found backwards, from what is known now, so that
-- after the last cause each is what the month has now.
{%- set distinct_measures = measures_where('additivity', 'distinct') %}
{%- set medians = measures_where('additivity', 'distribution') %}
{%- set targets = measures_where('additivity', 'target') %}
{%- set summed = measures_where('additivity', 'additive') + measures_where('additivity', 'snapshot') %}
{%- set entity = ['period_start', 'entity_level', 'entity_key'] %}

with

months as (

    select * from {{ ref('closed_month') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

---------- now

-- A sum that is not known is empty in kpi_measure; where it is so because one part is unknown, the rest is not 0.
partly_known as (

    select
        months.period_start,
        bridge.entity_id
        {%- for measure in summed if measure.unknown %},
        coalesce(sum(cells.{{ measure.name }}), 0) as {{ measure.name }}
        {%- endfor %}
    from {{ ref('kpi_measure_day') }} as cells
    inner join months
        on cells.day between months.period_start and months.period_end
    inner join {{ ref('bridge_entity') }} as bridge
        on
            cells.organisation_id = bridge.organisation_id
            and cells.manager_id = bridge.manager_id
            and cells.department_id = bridge.department_id
    where cells.cut_id = {{ main_cut() }}
    group by months.period_start, bridge.entity_id

),

known_now as (

    select
        measured.period_start,
        entities.entity_level,
        entities.entity_key
        {%- for measure in summed + distinct_measures %},
        {% if measure.unknown -%}
            coalesce(partly_known.{{ measure.name }}, 0) as {{ measure.name }}
        {%- else -%}
            coalesce(measured.{{ measure.name }}, 0) as {{ measure.name }}
        {%- endif %}
        {%- endfor %}
        {%- for measure in medians + targets %},
        measured.{{ measure.name }}
        {%- endfor %}
    from {{ ref('kpi_measure') }} as measured
    inner join months
        on measured.period_start = months.period_start
    inner join entities
        on measured.entity_id = entities.entity_id
    left join partly_known
        on measured.period_start = partly_known.period_start and measured.entity_id = partly_known.entity_id
    where measured.cut_id = {{ main_cut() }} and measured.period_grain = 'month'

),

---------- what each cause changed

counted as (

    select
        *,
        what as event_type,
        what as activity_type,
        cast(1 as decimal(9, 6)) as share
    from {{ ref('restated_row') }}

),

of_entities as (

    select
        * exclude (entity_keys),
        unnest(entity_keys) as entity
    from counted

),

of_entity as (

    select
        * exclude (entity),
        split_part(entity, '|', 1) as entity_level,
        substr(entity, length(split_part(entity, '|', 1)) + 2) as entity_key
    from of_entities

),

turns as (

    select
        *,
        from_step as step,
        1 as direction
    from of_entity
    where from_step > 0

    union all

    select
        *,
        until_step as step,
        -1 as direction
    from of_entity
    where until_step < {{ no_step() }}

),

summed_changes as (

    select
        {{ entity | join(',\n        ') }},
        step
        {%- for measure in summed %},
        coalesce(sum(case when {{ counts_for(measure) }} then direction * ({{ measure.sql }}) end), 0) as {{ measure.name }}
        {%- endfor %}
    from turns
    group by {{ entity | join(', ') }}, step

),

-- A customer is counted once, however often there is a reason to.
customer_turns as (

    select
        {{ entity | join(',\n        ') }},
        relation,
        account_id,
        step
    from turns
    where account_id is not null
    group by {{ entity | join(', ') }}, relation, account_id, step

),

customers_at_turns as (

    select
        of_entity.*,
        customer_turns.step
    from of_entity
    inner join customer_turns
        on
            of_entity.relation = customer_turns.relation
            and of_entity.account_id = customer_turns.account_id
            {%- for column in entity %}
            and of_entity.{{ column }} = customer_turns.{{ column }}
            {%- endfor %}

),

customers as (

    select
        {{ entity | join(',
        ') }},
        step,
        account_id
        {%- for measure in distinct_measures %},
        cast(coalesce(bool_or({{ counts_for(measure) }} and from_step <= step and until_step > step), false) as integer)
        - cast(coalesce(bool_or({{ counts_for(measure) }} and from_step < step and until_step >= step), false) as integer)
            as {{ measure.name }}
        {%- endfor %}
    from customers_at_turns
    group by {{ entity | join(', ') }}, step, account_id, relation

),

distinct_changes as (

    select
        {{ entity | join(',\n        ') }},
        step
        {%- for measure in distinct_measures %},
        sum({{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from customers
    group by {{ entity | join(', ') }}, step

),

---------- the states between the causes

grid as (

    select
        {{ entity | join(',\n        ') }},
        step
    from turns
    union
    select
        {{ entity | join(',\n        ') }},
        1 as step
    from turns
    union
    select
        {{ entity | join(',\n        ') }},
        1 as step
    from known_now
    union
    select
        figures.period_start,
        figures.entity_level,
        figures.entity_key,
        1 as step
    from {{ ref('frozen_figure') }} as figures
    inner join months
        on figures.period_start = months.period_start

),

changed_later as (

    select
        grid.*
        {%- for measure in summed %},
        coalesce(sum(summed_changes.{{ measure.name }}) over later_steps, 0) as {{ measure.name }}
        {%- endfor %}
        {%- for measure in distinct_measures %},
        coalesce(sum(distinct_changes.{{ measure.name }}) over later_steps, 0) as {{ measure.name }}
        {%- endfor %}
    from grid
    {%- for changes in ['summed_changes', 'distinct_changes'] %}
    left join {{ changes }}
        on
            grid.step = {{ changes }}.step
            {%- for column in entity %}
            and grid.{{ column }} = {{ changes }}.{{ column }}
            {%- endfor %}
    {%- endfor %}
    window later_steps as (
        partition by grid.period_start, grid.entity_level, grid.entity_key
        order by grid.step desc rows between unbounded preceding and 1 preceding
    )

),

---------- what is computed anew in each state

replayed as (

    select {{ entity | join(', ') }} from grid
    group by {{ entity | join(', ') }}
    having count(*) > 1

),

alive as (

    select
        grid.step,
        of_entity.*
    from grid
    inner join replayed
        on
            grid.period_start = replayed.period_start
            and grid.entity_level = replayed.entity_level
            and grid.entity_key = replayed.entity_key
    inner join of_entity
        on
            grid.step >= of_entity.from_step
            and grid.step < of_entity.until_step
            {%- for column in entity %}
            and grid.{{ column }} = of_entity.{{ column }}
            {%- endfor %}

),

standing_cycles as (

    select
        step,
        {{ entity | join(',\n        ') }},
        subject_id,
        cycle_days,
        sum(sign) as win_count
    from alive
    where {{ counted_in('cycles') }}
    group by step, {{ entity | join(', ') }}, subject_id, cycle_days

),

cycles as (

    select
        step,
        {{ entity | join(',\n        ') }},
        max(cycle_days) filter (where win_count > 0) as cycle_days
    from standing_cycles
    group by step, {{ entity | join(', ') }}, subject_id
    having sum(win_count) > 0

),

distributed as (

    select
        step,
        {{ entity | join(',\n        ') }}
        {%- for measure in medians %},
        {{ measure.sql }} as {{ measure.name }}
        {%- endfor %}
    from cycles
    group by step, {{ entity | join(', ') }}

),

-- The months in which a win is told otherwise have all their wins in restated_row.
months_with_wins as (

    select period_start from counted
    where {{ counted_in('cycles') }}
    group by period_start

),

targets_changed as (

    select {{ entity | join(', ') }} from of_entity
    where {{ counted_in('targets') }}
    group by {{ entity | join(', ') }}

),

set_targets as (

    select
        step,
        {{ entity | join(',\n        ') }}
        {%- for measure in targets %},
        max({{ measure.sql }}) as {{ measure.name }}
        {%- endfor %}
    from alive
    where {{ counted_in('targets') }}
    group by step, {{ entity | join(', ') }}

),

together as (

    select
        changed_later.step,
        {%- for column in entity %}
        changed_later.{{ column }},
        {%- endfor %}
        {%- for measure in summed + distinct_measures %}
        coalesce(known_now.{{ measure.name }}, 0) - changed_later.{{ measure.name }} as {{ measure.name }},
        {%- endfor %}
        {%- for measure in medians %}
        case
            when replayed.period_start is not null and months_with_wins.period_start is not null
                then distributed.{{ measure.name }}
            else known_now.{{ measure.name }}
        end as {{ measure.name }},
        {%- endfor %}
        {%- for measure in targets %}
        case when targets_changed.period_start is not null then set_targets.{{ measure.name }} else known_now.{{ measure.name }} end
            as {{ measure.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from changed_later
    {%- for joined, keys in [
        ('known_now', entity), ('replayed', entity), ('distributed', ['step'] + entity), ('targets_changed', entity),
        ('set_targets', ['step'] + entity)
    ] %}
    left join {{ joined }}
        on
            {%- for column in keys %}
            {{ 'and ' if not loop.first }}changed_later.{{ column }} = {{ joined }}.{{ column }}
            {%- endfor %}
    {%- endfor %}
    left join months_with_wins
        on changed_later.period_start = months_with_wins.period_start

)

select
    period_start,
    entity_level,
    entity_key,
    cast(step as integer) as step
    {%- for measure in measures() %},
    {{ as_known(measure) }} as {{ measure.name }}
    {%- endfor %}
from together
