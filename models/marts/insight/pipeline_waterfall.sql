-- One row per scope, period and entity: the pipeline on the evening before the period, what moved it, and the pipeline
-- on the evening of its last day.
--
-- What became of a deal in the pipeline of the company decides what moves it: it stayed, left or came. What left is
-- taken from whoever had it at the opening, what came is given to whoever has it at the closing. Only one that stayed
-- can have changed hands, at the amount that it had; so transfers net to zero in whatever holds both, and all else adds
-- up.
{%- set buckets = waterfall_buckets() %}
{%- set told = buckets.keys() | list + buckets_within() %}
{%- set levels = ['deals', 'deals_with_amount', 'amount', 'undated_deals'] %}

with

---------- whose

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level <> 'manager_in_department'

),

{{ every_seat() }},

{{ entities_of_seats() }},

-- Whose a seat's deals are; 0 stands for all seats, as by days it does.
holders as (

    select
        seat_id,
        entity_id
    from entities_of_seats

    union all

    select
        0 as seat_id,
        entity_id
    from entities
    where entity_level = 'company'

),

---------- of when

periods as (

    select
        *,
        cast(row_number() over (order by period_grain, period_start) as integer) as period_number
    from {{ ref('dim_period') }}

),

quarters as (

    select
        period_start,
        period_end
    from periods
    where period_grain = 'quarter'

),

-- What is due by the end of a quarter is followed through its days, weeks and months; what is due in a year, by years.
scopes as (

    select
        'open' as scope,
        period_number,
        period_grain,
        period_start,
        last_day,
        cast(null as date) as due_by
    from periods

    union all

    select
        'due' as scope,
        periods.period_number,
        periods.period_grain,
        periods.period_start,
        periods.last_day,
        case when periods.period_grain = 'year' then periods.period_end else quarters.period_end end as due_by
    from periods
    inner join quarters
        on periods.last_day between quarters.period_start and quarters.period_end

),

period_days as (

    select
        period_days.day,
        periods.period_number
    from {{ ref('dim_period_day') }} as period_days
    inner join periods
        on period_days.period_grain = periods.period_grain and period_days.period_start = periods.period_start

),

first_days as (

    select min(day) as day
    from period_days

),

---------- deals on evenings, without the steps that leave a pipeline as it was

evenings as (

    select
        intervals.deal_id,
        seats.seat_id,
        intervals.amount,
        intervals.expected_close_on,
        -- what was open before all else was so on the evening before the first day
        case
            when intervals.started_at is null and intervals.started_on = first_days.day then date '0001-01-01'
            else intervals.started_on
        end as started_on,
        coalesce(intervals.ended_on, date '9999-12-31') as ended_on
    from {{ ref('kpi_open_interval') }} as intervals
    inner join seats
        on
            intervals.organisation_id = seats.organisation_id
            and intervals.manager_id = seats.manager_id
            and intervals.department_id = seats.department_id
    cross join first_days
    where intervals.ended_on is null or intervals.ended_on > intervals.started_on

),

preceded as (

    select
        *,
        lag(ended_on) over evening_order as ended_before_on,
        lag(seat_id) over evening_order as seat_before,
        lag(amount) over evening_order as amount_before,
        lag(expected_close_on) over evening_order as close_before_on
    from evenings
    window evening_order as (partition by deal_id order by started_on)

),

numbered as (

    select
        *,
        sum(
            case
                when
                    ended_before_on = started_on
                    and seat_before = seat_id
                    and amount_before is not distinct from amount
                    and close_before_on is not distinct from expected_close_on
                    then 0
                else 1
            end
        ) over (
            partition by deal_id order by started_on rows between unbounded preceding and current row
        ) as state_number
    from preceded

),

states as (

    select
        deal_id,
        seat_id,
        amount,
        expected_close_on,
        min(started_on) as started_on,
        max(ended_on) as ended_on
    from numbered
    group by deal_id, state_number, seat_id, amount, expected_close_on

),

---------- closings that stood on the evening of their day, until they were taken back

closing_days as (

    select
        events.deal_id,
        events.event_type as outcome,
        events.credited_on as closed_on,
        events.occurred_on as day,
        seats.seat_id,
        sum(events.sign) as closing_count,
        sum(events.sign * events.amount) as amount
    from {{ ref('kpi_counted_event') }} as events
    inner join seats
        on
            events.organisation_id = seats.organisation_id
            and events.manager_id = seats.manager_id
            and events.department_id = seats.department_id
    where events.event_type in ('won', 'lost')
    group by events.deal_id, events.event_type, events.credited_on, events.occurred_on, seats.seat_id

),

closings as (

    select
        deal_id,
        outcome,
        closed_on,
        seat_id,
        sum(amount) filter (where day = closed_on) as amount,
        -- a new amount takes the closing back and brings it again, on one day
        coalesce(min(day) filter (where closing_count < 0), date '9999-12-31') as taken_back_on
    from closing_days
    group by deal_id, outcome, closed_on, seat_id
    having sum(closing_count) filter (where day = closed_on) > 0

),

first_closings as (

    select
        deal_id,
        min(closed_on) as closed_on
    from closings
    group by deal_id

),

---------- what became of each deal in each period in which something did

changes as (

    select
        deal_id,
        started_on as day
    from states

    union

    select
        deal_id,
        ended_on as day
    from states

    union

    select
        deal_id,
        closed_on as day
    from closings

),

touched as (

    select
        changes.deal_id,
        period_days.period_number
    from changes
    inner join period_days
        on changes.day = period_days.day
    group by changes.deal_id, period_days.period_number

),

before_and_after as (

    select
        touched.deal_id,
        touched.period_number,
        opened.deal_id is not null as was_open,
        {{ seat_of('opened.seat_id') }} as opening_seat,
        opened.amount as opening_amount,
        opened.expected_close_on as opening_close_on,
        closed.deal_id is not null as is_open,
        {{ seat_of('closed.seat_id') }} as closing_seat,
        closed.amount as closing_amount,
        closed.expected_close_on as closing_close_on,
        coalesce(closed.amount, 0) - coalesce(opened.amount, 0) as change,
        closings.outcome,
        {{ seat_of('closings.seat_id') }} as outcome_seat,
        closings.amount as outcome_amount,
        coalesce(first_closings.closed_on < periods.period_start, false) as was_closed
    from touched
    inner join periods
        on touched.period_number = periods.period_number
    left join states as opened
        on
            touched.deal_id = opened.deal_id
            and periods.period_start > opened.started_on
            and periods.period_start <= opened.ended_on
    left join states as closed
        on
            touched.deal_id = closed.deal_id
            and periods.last_day >= closed.started_on
            and periods.last_day < closed.ended_on
    left join closings
        on
            touched.deal_id = closings.deal_id
            and periods.period_start <= closings.closed_on
            and periods.last_day >= closings.closed_on
            and periods.last_day < closings.taken_back_on
    left join first_closings
        on touched.deal_id = first_closings.deal_id

),

in_scopes as (

    select
        deals.*,
        scopes.scope,
        deals.was_open and {{ is_in_pipeline('deals.opening_close_on', 'scopes.due_by') }} as was_in,
        deals.is_open and {{ is_in_pipeline('deals.closing_close_on', 'scopes.due_by') }} as is_in
    from before_and_after as deals
    inner join scopes
        on deals.period_number = scopes.period_number

),

-- The precedence: what is no longer open left by what closed it, whatever else happened to it; what was not open came
-- by its creation, or by being opened again; what was open at both moments was moved in or out of what is due, else
-- handed over, else changed its amount.
moved as (

    select
        scope,
        period_number,
        deal_id,
        opening_seat,
        closing_seat,
        opening_amount,
        change,
        case
            when was_in and is_in and opening_seat <> closing_seat then 'handed_over'
            when was_in and is_in and change > 0 then 'increased'
            when was_in and is_in and change < 0 then 'decreased'
            when was_in and is_in then 'unmoved'
            when was_in and is_open then 'pushed_out'
            when was_in then coalesce(outcome, 'deleted')
            when is_in and was_open then 'pulled_in'
            when is_in and was_closed then 'reopened'
            when is_in then 'created'
            when outcome is not null and not is_open then outcome || '_within'
            else 'unmoved'
        end as bucket,
        case when was_in then opening_seat when is_in then closing_seat else outcome_seat end as seat_id,
        case
            when was_in and is_in then abs(change)
            when was_in then opening_amount
            when is_in then closing_amount
            else outcome_amount
        end as amount
    from in_scopes

),

---------- for whom it counts

moved_in_seats as (

    select
        scope,
        period_number,
        seat_id,
        bucket,
        count(*) as deals,
        sum(amount) as amount
    from moved
    where bucket not in ('unmoved', 'handed_over')
    group by scope, period_number, seat_id, bucket

),

-- Whoever has both seats, as the company has all, sees no transfer.
handed_over as (

    select
        moved.scope,
        moved.period_number,
        moved.deal_id,
        holders.entity_id,
        moved.opening_amount,
        moved.change,
        max(case when sides.side = 'opening' then 1 else 0 end) as had_it,
        max(case when sides.side = 'closing' then 1 else 0 end) as has_it
    from moved
    cross join (values ('opening'), ('closing')) as sides (side)
    inner join holders
        on
            case when sides.side = 'opening' then moved.opening_seat else moved.closing_seat end
            = holders.seat_id
    where moved.bucket = 'handed_over'
    group by
        moved.scope, moved.period_number, moved.deal_id, holders.entity_id, moved.opening_amount, moved.change

),

moved_of_entities as (

    select
        moved_in_seats.scope,
        moved_in_seats.period_number,
        holders.entity_id,
        moved_in_seats.bucket,
        moved_in_seats.deals,
        moved_in_seats.amount
    from moved_in_seats
    inner join holders
        on moved_in_seats.seat_id = holders.seat_id

    union all

    select
        scope,
        period_number,
        entity_id,
        case when has_it = 1 then 'transferred_in' else 'transferred_out' end as bucket,
        1 as deals,
        opening_amount as amount
    from handed_over
    where had_it <> has_it

    union all

    select
        scope,
        period_number,
        entity_id,
        case when change > 0 then 'increased' else 'decreased' end as bucket,
        1 as deals,
        abs(change) as amount
    from handed_over
    where has_it = 1 and change <> 0

),

movements as (

    select
        scope,
        period_number,
        {%- for bucket in told %}
        sum(case when bucket = '{{ bucket }}' then deals end) as {{ bucket }}_deals,
        sum(case when bucket = '{{ bucket }}' then amount end) as {{ bucket }}_amount,
        {%- endfor %}
        entity_id
    from moved_of_entities
    group by scope, period_number, entity_id

),

---------- how much there is, counted apart from what moved: once as each run of periods begins, and then what is added

ends as (

    select
        states.seat_id,
        states.amount,
        states.expected_close_on,
        signs.sign,
        case when signs.sign = 1 then states.started_on else states.ended_on end as day
    from states
    cross join (values (1), (-1)) as signs (sign)

),

added_to_seats as (

    select
        scopes.scope,
        scopes.period_number,
        {{ seat_of('ends.seat_id', 'scopes') }} as seat_id,
        sum(case when {{ is_in_pipeline('ends.expected_close_on', 'scopes.due_by') }} then ends.sign end) as deals,
        sum(
            case
                when ends.amount is not null and {{ is_in_pipeline('ends.expected_close_on', 'scopes.due_by') }}
                    then ends.sign
            end
        ) as deals_with_amount,
        sum(
            case
                when {{ is_in_pipeline('ends.expected_close_on', 'scopes.due_by') }} then ends.sign * ends.amount
            end
        ) as amount,
        sum(case when ends.expected_close_on is null then ends.sign end) as undated_deals
    from ends
    inner join period_days
        on ends.day = period_days.day
    inner join scopes
        on period_days.period_number = scopes.period_number
    group by scopes.scope, scopes.period_number, {{ seat_of('ends.seat_id', 'scopes') }}

),

-- Periods in which the same is due.
runs as (

    select
        scope,
        period_grain,
        due_by,
        min(period_start) as begins_on
    from scopes
    group by scope, period_grain, due_by

),

there_at_first as (

    select
        runs.scope,
        runs.period_grain,
        runs.due_by,
        {{ seat_of('states.seat_id', 'runs') }} as seat_id,
        sum(case when {{ is_in_pipeline('states.expected_close_on', 'runs.due_by') }} then 1 end) as deals,
        sum(
            case
                when states.amount is not null and {{ is_in_pipeline('states.expected_close_on', 'runs.due_by') }}
                    then 1
            end
        ) as deals_with_amount,
        sum(case when {{ is_in_pipeline('states.expected_close_on', 'runs.due_by') }} then states.amount end) as amount,
        sum(case when states.expected_close_on is null then 1 end) as undated_deals
    from runs
    inner join states
        on
            runs.begins_on > states.started_on
            and runs.begins_on <= states.ended_on
    group by runs.scope, runs.period_grain, runs.due_by, {{ seat_of('states.seat_id', 'runs') }}

),

added as (

    select
        added_to_seats.scope,
        added_to_seats.period_number,
        {%- for level in levels %}
        sum(added_to_seats.{{ level }}) as {{ level }},
        {%- endfor %}
        holders.entity_id
    from added_to_seats
    inner join holders
        on added_to_seats.seat_id = holders.seat_id
    group by added_to_seats.scope, added_to_seats.period_number, holders.entity_id

),

bases as (

    select
        there_at_first.scope,
        there_at_first.period_grain,
        there_at_first.due_by,
        {%- for level in levels %}
        sum(there_at_first.{{ level }}) as {{ level }},
        {%- endfor %}
        holders.entity_id
    from there_at_first
    inner join holders
        on there_at_first.seat_id = holders.seat_id
    group by there_at_first.scope, there_at_first.period_grain, there_at_first.due_by, holders.entity_id

),

-- By the day only of the company.
standing as (

    select
        scopes.scope,
        scopes.period_number,
        scopes.due_by,
        {%- for level in levels %}
        coalesce(added.{{ level }}, 0) as added_{{ level }},
        coalesce(bases.{{ level }}, 0) + coalesce(sum(added.{{ level }}) over run_order, 0) as closing_{{ level }},
        {%- endfor %}
        entities.entity_id
    from scopes
    cross join entities
    left join added
        on
            scopes.scope = added.scope
            and scopes.period_number = added.period_number
            and entities.entity_id = added.entity_id
    left join bases
        on
            scopes.scope = bases.scope
            and scopes.period_grain = bases.period_grain
            and scopes.due_by is not distinct from bases.due_by
            and entities.entity_id = bases.entity_id
    where scopes.period_grain <> 'day' or entities.entity_level = 'company'
    window run_order as (
        partition by scopes.scope, scopes.period_grain, scopes.due_by, entities.entity_id order by scopes.period_start
    )

),

together as (

    select
        standing.scope,
        standing.period_number,
        standing.due_by,
        standing.entity_id,
        {%- for level in ['deals', 'deals_with_amount', 'amount'] %}
        standing.closing_{{ level }} - standing.added_{{ level }} as opening_{{ level }},
        standing.closing_{{ level }},
        {%- endfor %}
        {%- for bucket in told %}
        coalesce(movements.{{ bucket }}_deals, 0) as {{ bucket }}_deals,
        movements.{{ bucket }}_amount,
        {%- endfor %}
        standing.closing_undated_deals
    from standing
    left join movements
        on
            standing.scope = movements.scope
            and standing.period_number = movements.period_number
            and standing.entity_id = movements.entity_id

)

select
    ---------- of when, whose
    together.scope,
    periods.period_grain,
    periods.period_start,
    periods.period_end,
    periods.is_complete,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    together.due_by,

    ---------- from the opening to the closing
    cast(together.opening_deals as bigint) as opening_deals,
    {{ known_amount('together.opening_deals', 'together.opening_deals_with_amount', 'together.opening_amount') }}
        as opening_amount,
    {%- for bucket in buckets %}
    cast(together.{{ bucket }}_deals as bigint) as {{ bucket }}_deals,
    {{ known_amount('together.' ~ bucket ~ '_deals', 1, 'together.' ~ bucket ~ '_amount') }} as {{ bucket }}_amount,
    {%- endfor %}
    cast(together.closing_deals as bigint) as closing_deals,
    {{ known_amount('together.closing_deals', 'together.closing_deals_with_amount', 'together.closing_amount') }}
        as closing_amount,

    ---------- beside it
    {%- for bucket in buckets_within() %}
    cast(together.{{ bucket }}_deals as bigint) as {{ bucket }}_deals,
    {{ known_amount('together.' ~ bucket ~ '_deals', 1, 'together.' ~ bucket ~ '_amount') }} as {{ bucket }}_amount,
    {%- endfor %}
    cast(together.closing_undated_deals as bigint) as closing_undated_deals
from together
inner join periods
    on together.period_number = periods.period_number
inner join entities
    on together.entity_id = entities.entity_id
where
    together.opening_deals <> 0
    {%- for bucket in told %}
    or together.{{ bucket }}_deals <> 0
    {%- endfor %}
    or together.closing_deals <> 0
    or entities.entity_level = 'company'
