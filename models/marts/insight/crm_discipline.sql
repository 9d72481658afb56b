-- One row per rule of keeping a CRM, period and entity: the deals that break it on the evening of the period's last day
-- (of back-dated wins: among those won in it that it did not take back), and the KPI that they flatter, as it is and as it
-- would be without them.
--
-- What a source does not tell cannot be looked at: a CRM in which no close date was ever moved by then, no step ever
-- planned, or whose wins had all happened before it was read first.
{%- set definitions = company().definitions %}
{%- set after_days = {
    'stale_deal': definitions.stale_after_days, 'loser_never_closed': definitions.idle_after_days
} %}
{%- set of_open = {
    'pushed_close_date': ('win_rate', 'tells_moves and has_close_date', 'is_pushed', 'is_pushed'),
    'stale_deal': ('open_amount', 'tells_stage', 'is_stale', 'is_stale'),
    'loser_never_closed': ('win_rate', 'tells_touches', 'is_idle', 'is_newly_idle'),
    'missing_next_step': ('open_amount', 'tells_next_steps', 'not has_next_step', 'not has_next_step'),
    'overdue_close_date': ('open_amount', 'has_close_date', 'is_overdue', 'is_overdue'),
} %}

with

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain in {{ sql_list(grains_of_cuts()) }}

),

period_days as (

    select * from {{ ref('dim_period_day') }}
    where period_grain in {{ sql_list(grains_of_cuts()) }}

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level <> 'manager_in_department'

),

bridge as (

    select * from {{ ref('bridge_entity') }}

),

events as (

    select
        *,
        split_part(deal_id, ':', 1) as crm
    from {{ ref('kpi_counted_event') }}

),

---------- what is known of the deals of each CRM, since when

crms as (

    select
        crm,
        min(case when event_type = 'close_date_moved' then occurred_on end) as moves_told_from,
        min(recorded_at) as read_from
    from events
    group by crm

),

---------- what happened to a deal, and when for long nothing did

touches as (

    select
        deal_id,
        occurred_on as touched_on
    from events
    where sign > 0 and not is_reversal

    union

    select
        deal_id,
        occurred_on as touched_on
    from {{ ref('kpi_counted_activity') }}
    where deal_id is not null

),

silences as (

    select
        deal_id,
        touched_on,
        touched_on + {{ definitions.idle_after_days }} as idle_on,
        lead(touched_on, 1, date '9999-12-31') over (partition by deal_id order by touched_on) as touched_next_on
    from touches

),

pushes as (

    select
        events.deal_id,
        period_days.period_grain,
        period_days.period_start
    from events
    inner join period_days
        on events.occurred_on = period_days.day
    where events.has_slipped
    group by events.deal_id, period_days.period_grain, period_days.period_start
    having sum(events.sign) > 0

),

next_steps as (

    select
        deal_id,
        started_on,
        coalesce(ended_on, date '9999-12-31') as ended_on
    from {{ ref('kpi_next_step') }}

),

intervals as (

    select
        *,
        coalesce(ended_on, date '9999-12-31') as open_until
    from {{ ref('kpi_open_interval') }}

),

---------- the deals that are open on the evening of the last day

open_deals as (

    select
        periods.period_grain,
        periods.period_start,
        intervals.organisation_id,
        intervals.manager_id,
        intervals.department_id,
        intervals.amount,
        intervals.tells_next_steps,
        coalesce(crms.moves_told_from <= periods.last_day, false) as tells_moves,
        intervals.expected_close_on is not null as has_close_date,
        coalesce(intervals.expected_close_on <= periods.last_day, false) as is_overdue,
        pushes.deal_id is not null as is_pushed,
        intervals.stale_on is not null as tells_stage,
        coalesce(intervals.stale_on <= periods.last_day, false) as is_stale,
        silences.deal_id is not null as tells_touches,
        coalesce(silences.idle_on <= periods.last_day, false) as is_idle,
        coalesce(silences.idle_on between periods.period_start and periods.last_day, false) as is_newly_idle,
        next_steps.deal_id is not null as has_next_step
    from periods
    inner join intervals
        on periods.last_day >= intervals.started_on and periods.last_day < intervals.open_until
    left join crms
        on split_part(intervals.deal_id, ':', 1) = crms.crm
    left join pushes
        on
            intervals.deal_id = pushes.deal_id
            and periods.period_grain = pushes.period_grain
            and periods.period_start = pushes.period_start
    left join silences
        on
            intervals.deal_id = silences.deal_id
            and periods.last_day >= silences.touched_on
            and periods.last_day < silences.touched_next_on
    left join next_steps
        on
            intervals.deal_id = next_steps.deal_id
            and periods.last_day >= next_steps.started_on
            and periods.last_day < next_steps.ended_on

),

---------- the wins of the period that stood when it ended

-- A win that was taken back within its period is none of it; what takes back one of before the period is none either.
wins as (

    select
        events.deal_id,
        period_days.period_grain,
        period_days.period_start,
        events.organisation_id,
        events.manager_id,
        events.department_id,
        sum(events.sign * events.amount) as amount,
        min(case when events.sign > 0 then events.recorded_at end) as recorded_at,
        min(case when events.sign > 0 then events.occurred_at end) as occurred_at
    from events
    inner join period_days
        on events.occurred_on = period_days.day
    where events.event_type = 'won' and events.credited_on >= period_days.period_start
    group by
        events.deal_id, period_days.period_grain, period_days.period_start, events.organisation_id,
        events.manager_id, events.department_id, events.credited_on
    having sum(events.sign) > 0

),

-- A night reads what the day before it brought: a win is late from the second day on after the period's end.
wins_in_periods as (

    select
        periods.period_grain,
        periods.period_start,
        wins.organisation_id,
        wins.manager_id,
        wins.department_id,
        wins.amount,
        wins.occurred_at >= crms.read_from and wins.recorded_at >= wins.occurred_at as tells_recording,
        {{ business_date('wins.recorded_at') }} > periods.period_end + 1 as is_late
    from wins
    inner join periods
        on wins.period_grain = periods.period_grain and wins.period_start = periods.period_start
    left join crms
        on split_part(wins.deal_id, ':', 1) = crms.crm

),

---------- each rule: the deals that it is about, those that can be looked at, those that break it, and those that count

told as (

    {% for rule, (kpi_code, is_told, is_broken, is_counted) in of_open.items() -%}
    select
        '{{ rule }}' as rule,
        '{{ kpi_code }}' as kpi_code,
        period_grain,
        period_start,
        organisation_id,
        manager_id,
        department_id,
        amount,
        {{ is_told }} as is_told,
        {{ is_told }} and {{ is_broken }} as is_broken,
        {{ is_told }} and {{ is_counted }} as is_counted
    from open_deals

    union all

    {% endfor -%}
    select
        'backdated_win' as rule,
        'won_amount' as kpi_code,
        period_grain,
        period_start,
        organisation_id,
        manager_id,
        department_id,
        amount,
        tells_recording as is_told,
        tells_recording and is_late as is_broken,
        tells_recording and is_late as is_counted
    from wins_in_periods

),

in_seats as (

    select
        rule,
        period_grain,
        period_start,
        organisation_id,
        manager_id,
        department_id,
        count(*) as deals,
        sum(case when is_told then 1 else 0 end) as deals_looked_at,
        sum(case when is_broken then 1 else 0 end) as deals_concerned,
        sum(case when is_broken and amount is not null then 1 else 0 end) as deals_concerned_with_amount,
        sum(case when is_broken then amount end) as amount_concerned,
        sum(case when is_counted then 1 else 0 end) as strict_deals,
        sum(case when not is_counted then 1 else 0 end) as other_deals,
        sum(case when not is_counted and amount is not null then 1 else 0 end) as other_deals_with_amount,
        sum(case when is_counted then amount end) as strict_amount
    from told
    group by rule, period_grain, period_start, organisation_id, manager_id, department_id

),

found as (

    select
        in_seats.rule,
        in_seats.period_grain,
        in_seats.period_start,
        bridge.entity_id,
        sum(in_seats.deals) as deals,
        sum(in_seats.deals_looked_at) as deals_looked_at,
        sum(in_seats.deals_concerned) as deals_concerned,
        sum(in_seats.deals_concerned_with_amount) as deals_concerned_with_amount,
        sum(in_seats.amount_concerned) as amount_concerned,
        sum(in_seats.strict_deals) as strict_deals,
        sum(in_seats.other_deals) as other_deals,
        sum(in_seats.other_deals_with_amount) as other_deals_with_amount,
        sum(in_seats.strict_amount) as strict_amount
    from in_seats
    inner join bridge
        on
            in_seats.organisation_id = bridge.organisation_id
            and in_seats.manager_id = bridge.manager_id
            and in_seats.department_id = bridge.department_id
    group by in_seats.rule, in_seats.period_grain, in_seats.period_start, bridge.entity_id

),

rules as (

    {% for rule, (kpi_code, is_told, is_broken, is_counted) in of_open.items() -%}
    select
        '{{ rule }}' as rule,
        '{{ kpi_code }}' as kpi_code,
        cast({{ after_days.get(rule, 'null') }} as integer) as after_days
    union all
    {% endfor -%}
    select
        'backdated_win' as rule,
        'won_amount' as kpi_code,
        cast(null as integer) as after_days

),

figures as (

    select
        entities.entity_id,
        figures.kpi_code,
        figures.period_grain,
        figures.period_start,
        figures.is_complete,
        figures.unit,
        figures.numerator,
        figures.denominator,
        figures.value
    from {{ ref('kpi_value') }} as figures
    inner join entities
        on figures.entity_level = entities.entity_level and figures.entity_key = entities.entity_key
    where figures.kpi_code in (select rules.kpi_code from rules)

),

units as (

    select
        kpi_code,
        max(unit) as unit
    from figures
    group by kpi_code

),

-- Whoever has a figure has a row for each rule that it rests on, so that none broken can be told from none looked at; and
-- so has whoever has deals and no figure, as one who left them behind.
subjects as (

    select
        rules.rule,
        figures.period_grain,
        figures.period_start,
        figures.entity_id
    from figures
    inner join rules
        on figures.kpi_code = rules.kpi_code

    union

    select
        rule,
        period_grain,
        period_start,
        entity_id
    from found

),

compared as (

    select
        rules.rule,
        rules.after_days,
        rules.kpi_code,
        units.unit,
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name,
        figures.value,
        coalesce(figures.is_complete, periods.is_complete) as is_complete,
        coalesce(figures.numerator, 0) as numerator,
        coalesce(figures.denominator, 0) as denominator,
        coalesce(found.deals, 0) as deals,
        coalesce(found.deals_looked_at, 0) as deals_looked_at,
        coalesce(found.deals_concerned, 0) as deals_concerned,
        coalesce(found.deals_concerned_with_amount, 0) as deals_concerned_with_amount,
        found.amount_concerned,
        coalesce(found.strict_deals, 0) as strict_deals,
        coalesce(found.other_deals, 0) as other_deals,
        coalesce(found.other_deals_with_amount, 0) as other_deals_with_amount,
        coalesce(found.strict_amount, 0) as strict_amount,
        -- of nothing, all is known
        coalesce(found.deals_looked_at > 0, true) as is_known
    from subjects
    inner join rules
        on subjects.rule = rules.rule
    inner join units
        on rules.kpi_code = units.kpi_code
    inner join entities
        on subjects.entity_id = entities.entity_id
    inner join periods
        on subjects.period_grain = periods.period_grain and subjects.period_start = periods.period_start
    left join figures
        on
            rules.kpi_code = figures.kpi_code
            and subjects.period_grain = figures.period_grain
            and subjects.period_start = figures.period_start
            and subjects.entity_id = figures.entity_id
    left join found
        on
            subjects.rule = found.rule
            and subjects.period_grain = found.period_grain
            and subjects.period_start = found.period_start
            and subjects.entity_id = found.entity_id

)

select
    ---------- of what, when, whose
    rule,
    after_days,
    period_grain,
    period_start,
    period_end,
    is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,

    ---------- the deals
    cast(deals as bigint) as deals,
    cast(deals_looked_at as bigint) as deals_looked_at,
    case when is_known then cast(deals_concerned as bigint) end as deals_concerned,
    case
        when deals_looked_at > 0 then cast(round(deals_concerned / deals_looked_at, 6) as decimal(9, 6))
    end as concerned_share,
    case
        when is_known then {{ known_amount('deals_concerned', 'deals_concerned_with_amount', 'amount_concerned') }}
    end as amount_concerned,

    ---------- the KPI
    kpi_code,
    unit,
    value as kpi_value,
    case when is_known then cast(strict_deals as bigint) end as strict_deals,
    case
        when not is_known then null
        when strict_deals = 0 then value
        when kpi_code = 'win_rate' and denominator + strict_deals > 0
            then cast(round(numerator / (denominator + strict_deals), 8) as decimal(28, 8))
        when kpi_code <> 'win_rate' and (other_deals = 0 or other_deals_with_amount > 0)
            then cast(value - strict_amount as decimal(28, 8))
    end as strict_kpi_value
from compared
