-- One row per period (month, quarter, year), entity and input of it: what the factors of its won amount are made of.
-- Working days, days that managers were employed on, and deals created are of all; what was decided is told by pipeline
-- and product, and within a pipeline by the stages that the decided deals had reached.
--
-- A manager who was not in the same department all along is told within each department above them too: what moved
-- with them is no doing of the department.
with

days as (

    select * from {{ ref('dim_day') }}
    where is_covered

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

managers as (

    select * from {{ ref('dim_manager') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

bridge as (

    select * from {{ ref('bridge_entity') }}

),

stays as (

    select * from {{ ref('fct_deal_stage_interval') }}

),

events as (

    select * from {{ ref('kpi_counted_event') }}
    where event_type in ('created', 'won', 'lost')

),

measures as (

    select measured.*
    from {{ ref('kpi_measure') }} as measured
    where measured.cut_id = {{ main_cut() }} and measured.period_grain in {{ sql_list(grains_of_cuts()) }}

),

-- The stages that a deal runs through, in their order; won and lost are what it comes to.
stages as (

    select
        pipeline_id,
        stage_id,
        stage_name,
        cast(row_number() over (partition by pipeline_id order by position, stage_id) as integer) as stage_number
    from {{ ref('dim_pipeline_stage') }}
    where outcome = 'open'

),

periods as (

    {% for grain in grains_of_cuts() %}
    select
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        month_start,
        count(case when is_working_day then day end) as working_days
    from days
    group by {{ grain }}_start, month_start
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

---------- who was there

seats as (

    select
        assignments.manager_id,
        assignments.department_id,
        greatest(assignments.valid_from, coalesce(managers.hired_on, assignments.valid_from)) as employed_from,
        least(assignments.valid_to - 1, coalesce(managers.left_on, assignments.valid_to - 1)) as employed_to
    from assignments
    inner join managers
        on assignments.manager_id = managers.manager_id
    where
        not managers.is_inferred
        -- a time in which nothing is known of a manager is no employment, unless nothing ever is
        and (
            assignments.department_id <> {{ unassigned('assignments.manager_id') }}
            or (assignments.valid_from = date '0001-01-01' and assignments.valid_to = date '9999-12-31')
        )

),

seat_days as (

    select
        days.month_start,
        organisations.organisation_id,
        seats.manager_id,
        seats.department_id,
        count(case when days.is_working_day then days.day end) as head_days
    from seats
    inner join days
        on seats.employed_from <= days.day and seats.employed_to >= days.day
    inner join organisations
        on days.day >= organisations.valid_from and days.day < organisations.valid_to
    group by days.month_start, organisations.organisation_id, seats.manager_id, seats.department_id

),

---------- what was created, and what was decided

-- How far a deal had come when it was decided; a won one has come all the way.
furthest as (

    select
        events.deal_event_id,
        max(stages.stage_number) as stage_number
    from events
    inner join stays
        on events.deal_id = stays.deal_id and events.credited_at >= stays.entered_at
    inner join stages
        on stays.stage_id = stages.stage_id and events.pipeline_id = stages.pipeline_id
    where events.event_type = 'lost'
    group by events.deal_event_id

),

tallied as (

    select
        days.month_start,
        events.organisation_id,
        events.manager_id,
        events.department_id,
        events.pipeline_id,
        coalesce(events.product, {{ no_property() }}) as product,
        events.event_type,
        furthest.stage_number,
        sum(events.sign) as deals,
        sum(events.sign * events.amount) as amount,
        sum(events.sign * events.constant_amount) as constant_amount
    from events
    inner join days
        on events.occurred_on = days.day
    left join furthest
        on events.deal_event_id = furthest.deal_event_id
    group by
        days.month_start, events.organisation_id, events.manager_id, events.department_id, events.pipeline_id,
        coalesce(events.product, {{ no_property() }}), events.event_type, furthest.stage_number

),

-- Whether the stages of lost deals are known is one answer for the whole company, so that its parts compare alike.
told_pipelines as (

    select
        periods.period_grain,
        periods.period_start,
        tallied.pipeline_id
    from tallied
    inner join periods
        on tallied.month_start = periods.month_start
    where tallied.event_type <> 'created'
    group by periods.period_grain, periods.period_start, tallied.pipeline_id
    having
        sum(case when tallied.event_type = 'lost' and tallied.stage_number is not null then tallied.deals else 0 end)
        >= {{ known_stages_share() }} * sum(case when tallied.event_type = 'lost' then tallied.deals else 0 end)

),

---------- inputs, each of a month and a seat

inputs as (

    select
        month_start,
        organisation_id,
        manager_id,
        department_id,
        {{ every_one() }} as pipeline_id,
        {{ every_one() }} as product,
        'head_days' as input,
        cast(null as integer) as stage_number,
        cast(head_days as decimal(28, 2)) as value
    from seat_days

    union all

    select
        month_start,
        organisation_id,
        manager_id,
        department_id,
        {{ every_one() }} as pipeline_id,
        {{ every_one() }} as product,
        'created_deals' as input,
        cast(null as integer) as stage_number,
        cast(deals as decimal(28, 2)) as value
    from tallied
    where event_type = 'created'

    {% for input, value, of in [
        ('closed_deals', 'deals', ['won', 'lost']),
        ('won_deals', 'deals', ['won']),
        ('won_amount', 'amount', ['won']),
        ('constant_amount', 'constant_amount', ['won']),
    ] %}
    union all

    select
        month_start,
        organisation_id,
        manager_id,
        department_id,
        pipeline_id,
        product,
        '{{ input }}' as input,
        cast(null as integer) as stage_number,
        cast({{ value }} as decimal(28, 2)) as value
    from tallied
    where event_type in {{ sql_list(of) }} and {{ value }} is not null
    {% endfor %}

    union all

    select
        tallied.month_start,
        tallied.organisation_id,
        tallied.manager_id,
        tallied.department_id,
        tallied.pipeline_id,
        tallied.product,
        'reached' as input,
        stages.stage_number,
        cast(tallied.deals as decimal(28, 2)) as value
    from tallied
    inner join stages
        on
            tallied.pipeline_id = stages.pipeline_id
            and (tallied.event_type = 'won' or coalesce(tallied.stage_number, 1) >= stages.stage_number)
    where tallied.event_type <> 'created'

),

---------- whose they are

used_seats as (

    select distinct
        organisation_id,
        manager_id,
        department_id
    from inputs
    -- what was taken back leaves nothing, whether or not it was ever told
    where value <> 0

),

-- Every stretch of the organisation in which a manager sat somewhere, and every department above that.
above as (

    select
        used_seats.organisation_id,
        used_seats.manager_id,
        used_seats.department_id as seat_department_id,
        entities.department_id
    from used_seats
    inner join bridge
        on
            used_seats.organisation_id = bridge.organisation_id
            and used_seats.manager_id = bridge.manager_id
            and used_seats.department_id = bridge.department_id
    inner join entities
        on bridge.entity_id = entities.entity_id
    where entities.entity_level = 'department'

),

seats_of_managers as (

    select
        manager_id,
        count(*) as seats
    from used_seats
    group by manager_id

),

-- Of a manager who was always below a department there is nothing to tell apart.
passing as (

    select
        above.manager_id,
        above.department_id
    from above
    inner join seats_of_managers
        on above.manager_id = seats_of_managers.manager_id
    group by above.manager_id, above.department_id, seats_of_managers.seats
    having count(*) < seats_of_managers.seats

),

members as (

    select
        bridge.organisation_id,
        bridge.manager_id,
        bridge.department_id as seat_department_id,
        entities.entity_level,
        entities.entity_key,
        entities.department_id as node_department_id,
        entities.manager_id as node_manager_id,
        entities.entity_name
    from bridge
    inner join entities
        on bridge.entity_id = entities.entity_id
    where entities.entity_level in ('company', 'department', 'manager')

    union all

    select
        above.organisation_id,
        above.manager_id,
        above.seat_department_id,
        'manager_in_department' as entity_level,
        above.manager_id || '|' || above.department_id as entity_key,
        above.department_id as node_department_id,
        above.manager_id as node_manager_id,
        managers.manager_name as entity_name
    from above
    inner join passing
        on above.manager_id = passing.manager_id and above.department_id = passing.department_id
    inner join managers
        on above.manager_id = managers.manager_id

),

-- By months first: quarters and years are made of months in every calendar.
of_months as (

    select
        inputs.month_start,
        members.entity_level,
        members.entity_key,
        members.node_department_id,
        members.node_manager_id,
        members.entity_name,
        inputs.pipeline_id,
        inputs.product,
        inputs.input,
        inputs.stage_number,
        sum(inputs.value) as value
    from inputs
    inner join members
        on
            inputs.organisation_id = members.organisation_id
            and inputs.manager_id = members.manager_id
            and inputs.department_id = members.seat_department_id
    group by
        inputs.month_start, members.entity_level, members.entity_key, members.node_department_id,
        members.node_manager_id, members.entity_name, inputs.pipeline_id, inputs.product, inputs.input,
        inputs.stage_number

),

of_periods as (

    select
        periods.period_grain,
        periods.period_start,
        of_months.entity_level,
        of_months.entity_key,
        of_months.node_department_id,
        of_months.node_manager_id,
        of_months.entity_name,
        of_months.pipeline_id,
        of_months.product,
        of_months.input,
        of_months.stage_number,
        sum(of_months.value) as value
    from of_months
    inner join periods
        on of_months.month_start = periods.month_start
    group by
        periods.period_grain, periods.period_start, of_months.entity_level, of_months.entity_key,
        of_months.node_department_id, of_months.node_manager_id, of_months.entity_name, of_months.pipeline_id,
        of_months.product, of_months.input, of_months.stage_number
    having sum(of_months.value) <> 0

),

-- The calendar is everybody's, and is told once.
calendar as (

    select
        periods.period_grain,
        periods.period_start,
        entities.entity_level,
        entities.entity_key,
        cast(null as varchar) as node_department_id,
        cast(null as varchar) as node_manager_id,
        entities.entity_name,
        {{ every_one() }} as pipeline_id,
        {{ every_one() }} as product,
        'working_days' as input,
        cast(null as integer) as stage_number,
        cast(sum(periods.working_days) as decimal(28, 2)) as value
    from periods
    cross join entities
    where entities.entity_level = 'company'
    group by
        periods.period_grain, periods.period_start, entities.entity_level, entities.entity_key, entities.entity_name

),

{% set split = measures_split() %}
measured as (

    {% for measure in split or ['won_deals'] %}
    select
        measures.period_grain,
        measures.period_start,
        entities.entity_level,
        entities.entity_key,
        entities.department_id as node_department_id,
        entities.manager_id as node_manager_id,
        entities.entity_name,
        {{ every_one() }} as pipeline_id,
        {{ every_one() }} as product,
        '{{ measure }}' as input,
        cast(null as integer) as stage_number,
        cast(measures.{{ measure }} as decimal(28, 2)) as value
    from measures
    inner join entities
        on measures.entity_id = entities.entity_id
    where entities.entity_level in ('company', 'department', 'manager') and {{ 'true' if split else 'false' }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

every_input as (

    select * from of_periods
    union all
    select * from calendar
    union all
    select * from measured

)

select
    every_input.period_grain,
    every_input.period_start,
    every_input.entity_level,
    every_input.entity_key,
    every_input.node_department_id as department_id,
    every_input.node_manager_id as manager_id,
    every_input.entity_name,
    every_input.pipeline_id,
    every_input.product,
    every_input.input,
    coalesce(stages.stage_name, {{ every_one() }}) as stage_name,
    coalesce(every_input.stage_number, 0) as stage_number,
    cast(every_input.value as decimal(28, 2)) as value
from every_input
left join stages
    on every_input.pipeline_id = stages.pipeline_id and every_input.stage_number = stages.stage_number
left join told_pipelines
    on
        every_input.period_grain = told_pipelines.period_grain
        and every_input.period_start = told_pipelines.period_start
        and every_input.pipeline_id = told_pipelines.pipeline_id
where
    every_input.value <> 0
    and (every_input.input <> 'reached' or told_pipelines.pipeline_id is not null)
