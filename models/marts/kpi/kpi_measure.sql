-- One row per cut, period and entity in which something is, or, in the main cut, in which someone was employed (month and
-- coarser): every measure at that grain. Sums are summed from days; everything else is computed anew for each.
{%- set additive = measures_where('additivity', 'additive') %}
{%- set snapshots = measures_where('additivity', 'snapshot') %}
{%- set targets = measures_where('additivity', 'target') %}
{%- set distinct_relations = ['purchases', 'lapses', 'prospects'] %}
{%- set grains_of = {
    'snapshot': grains_that_need('snapshot'),
    'distinct': grains_that_need('distinct'),
    'distribution': grains_that_need('distribution'),
} %}
with

periods as (

    select * from {{ ref('dim_period') }}

),

period_days as (

    select * from {{ ref('dim_period_day') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

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
        cells.cut_id,
        period_days.period_grain,
        period_days.period_start,
        entities.entity_id
        {%- for measure in additive + snapshots %},
        sum(cells.{{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from cells
    inner join period_days
        on cells.day = period_days.day and {{ has_grain(grains(), 'cells.cut_id', 'period_days.period_grain') }}
    inner join entities
        on
            cells.organisation_id = entities.organisation_id
            and cells.manager_id = entities.manager_id
            and cells.department_id = entities.department_id
    group by cells.cut_id, period_days.period_grain, period_days.period_start, entities.entity_id

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

seats_in_organisations as (

    select
        seats.manager_id,
        seats.department_id,
        organisations.organisation_id,
        greatest(seats.employed_from, organisations.valid_from) as employed_from,
        least(seats.employed_to, organisations.valid_to - 1) as employed_to
    from seats
    inner join organisations
        on seats.employed_from < organisations.valid_to and seats.employed_to >= organisations.valid_from

),

employed as (

    select
        {{ main_cut() }} as cut_id,
        periods.period_grain,
        periods.period_start,
        entities.entity_id
    from seats_in_organisations as seats
    inner join entities
        on
            seats.organisation_id = entities.organisation_id
            and seats.manager_id = entities.manager_id
            and seats.department_id = entities.department_id
    inner join periods
        on
            seats.employed_from <= periods.period_end
            and seats.employed_to >= periods.period_start
            and seats.employed_from <= seats.employed_to
    where periods.period_grain in ('month', 'quarter', 'year')

    union

    select
        {{ main_cut() }} as cut_id,
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
        cut_id,
        entity_id,
        min(period_start) as held_from
    from summed
    where
        period_grain = case when cut_id = {{ main_cut() }} then 'day' else 'month' end
        and ({% for measure in snapshots %}{{ measure.name }} <> 0{% if not loop.last %} or {% endif %}{% endfor %})
    group by cut_id, entity_id

),

held as (

    select
        holders.cut_id,
        periods.period_grain,
        periods.period_start,
        holders.entity_id
    from holders
    inner join periods
        on
            holders.held_from <= periods.period_end
            and {{ has_grain(grains_of.snapshot, 'holders.cut_id', 'periods.period_grain') }}

),

---------- counted anew

credited_purchases as (

    select
        *,
        won_on as day
    from {{ ref('kpi_credited_purchase') }}

),

purchases as (

    {{ in_every_cut(
        'credited_purchases',
        ['day', 'organisation_id', 'manager_id', 'department_id', 'account_id', 'purchase_number', 'is_regular'],
        properties=['pipeline_id', 'product', 'lead_source'],
    ) }}

),

credited_lapses as (

    select
        purchases.*,
        purchases.lapsed_on as day
    from {{ ref('kpi_credited_purchase') }} as purchases
    where purchases.lapsed_on is not null

),

lapses as (

    {{ in_every_cut(
        'credited_lapses',
        ['day', 'organisation_id', 'manager_id', 'department_id', 'account_id'],
        properties=['pipeline_id', 'product', 'lead_source'],
    ) }}

),

first_purchases as (

    select
        account_id,
        min(won_on) as first_won_on
    from credited_purchases
    group by account_id

),

-- Open deals with an account that had not bought while they were.
credited_prospects as (

    select
        intervals.*,
        first_purchases.first_won_on
    from {{ ref('kpi_credited_interval') }} as intervals
    left join first_purchases
        on intervals.account_id = first_purchases.account_id
    where
        intervals.account_id is not null
        and (first_purchases.first_won_on is null or first_purchases.first_won_on > intervals.started_on)

),

prospects_in_cuts as (

    {{ in_every_cut('credited_prospects', [
        'organisation_id', 'manager_id', 'department_id', 'account_id', 'started_on', 'ended_on', 'first_won_on'
    ]) }}

),

-- Open on the last evening of a period, with an account that has not bought by then.
prospects as (

    select
        intervals.*,
        periods.period_grain,
        periods.period_start
    from prospects_in_cuts as intervals
    inner join periods
        on
            intervals.started_on <= periods.last_day
            and (intervals.ended_on is null or intervals.ended_on > periods.last_day)
            and (intervals.first_won_on is null or intervals.first_won_on > periods.last_day)
            and {{ has_grain(grains_of.distinct, 'intervals.cut_id', 'periods.period_grain') }}

),

{% for relation in distinct_relations %}
{%- set periods_of = 'prospects' if relation == 'prospects' else 'period_days' %}
distinct_{{ relation }} as (

    select
        {{ relation }}.cut_id,
        {{ periods_of }}.period_grain,
        {{ periods_of }}.period_start,
        entities.entity_id
        {%- for measure in measures_where('relation', relation) %},
        count(distinct {{ relation }}.{{ measure.sql }})
        {%- if measure.filter %} filter (where {{ measure.filter }}){% endif %} as {{ measure.name }}
        {%- endfor %}
    from {{ relation }}
    {%- if relation != 'prospects' %}
    inner join period_days
        on
            {{ relation }}.day = period_days.day
            and {{ has_grain(grains_of.distinct, relation ~ '.cut_id', 'period_days.period_grain') }}
    {%- endif %}
    inner join entities
        on
            {{ relation }}.organisation_id = entities.organisation_id
            and {{ relation }}.manager_id = entities.manager_id
            and {{ relation }}.department_id = entities.department_id
    group by {{ relation }}.cut_id, {{ periods_of }}.period_grain, {{ periods_of }}.period_start, entities.entity_id

),

{% endfor %}
-- A part of a deal has no cycle of its own.
whole_wins as (

    select
        *,
        sign = 1 and count(*) over (partition by credit_lens, deal_id) = 1 as is_only
    from {{ ref('kpi_credited_event') }}
    where event_type = 'won' and cycle_days is not null and credit_lens in ('at_event', 'current_owner')

),

wins as (

    {{ in_every_cut('whole_wins', [
        'organisation_id', 'manager_id', 'department_id', 'deal_id', 'sign', 'cycle_days', 'occurred_on', 'is_only'
    ]) }}

),

{% for wins, condition in [('only_wins', 'wins.is_only'), ('repeated_wins', 'not wins.is_only')] %}
{{ wins }} as (

    select
        wins.cut_id,
        period_days.period_grain,
        period_days.period_start,
        entities.entity_id,
        wins.deal_id,
        wins.cycle_days,
        wins.sign
    from wins
    inner join period_days
        on
            wins.occurred_on = period_days.day
            and {{ has_grain(grains_of.distribution, 'wins.cut_id', 'period_days.period_grain') }}
    inner join entities
        on
            wins.organisation_id = entities.organisation_id
            and wins.manager_id = entities.manager_id
            and wins.department_id = entities.department_id
    where {{ condition }}

),

{% endfor %}
-- What was taken back, by a reopening or because it was known wrongly, is no cycle.
standing_cycles as (

    select
        cut_id,
        period_grain,
        period_start,
        entity_id,
        deal_id,
        cycle_days,
        sum(sign) as win_count
    from repeated_wins
    group by cut_id, period_grain, period_start, entity_id, deal_id, cycle_days

),

-- A deal that was won, reopened and won again within the period is one win. Most are won once: theirs need no counting.
cycles as (

    select
        cut_id,
        period_grain,
        period_start,
        entity_id,
        max(cycle_days) filter (where win_count > 0) as cycle_days
    from standing_cycles
    group by cut_id, period_grain, period_start, entity_id, deal_id
    having sum(win_count) > 0

    union all

    select
        cut_id,
        period_grain,
        period_start,
        entity_id,
        cycle_days
    from only_wins

),

distributed as (

    select
        cut_id,
        period_grain,
        period_start,
        entity_id
        {%- for measure in measures_where('relation', 'cycles') %},
        {{ measure.sql }} as {{ measure.name }}
        {%- endfor %}
    from cycles
    group by cut_id, period_grain, period_start, entity_id

),

---------- set by people

targets as (

    select
        period_grain,
        period_start,
        entity_id,
        kpi_code,
        target_value as target_amount
    from {{ ref('fct_target_in_force') }}
    where entity_id is not null

),

set_targets as (

    select
        {{ main_cut() }} as cut_id,
        period_grain,
        period_start,
        entity_id
        {%- for measure in targets %},
        max({{ measure.sql }}) filter (where {{ measure.filter }}) as {{ measure.name }}
        {%- endfor %}
    from targets
    group by period_grain, period_start, entity_id

),

---------- together

-- A lapse comes when nothing happens, a year after.
grid as (

    select cut_id, period_grain, period_start, entity_id from summed
    union
    select cut_id, period_grain, period_start, entity_id from employed
    union
    select cut_id, period_grain, period_start, entity_id from held
    union
    select cut_id, period_grain, period_start, entity_id from distinct_lapses

),

together as (

    select
        grid.cut_id,
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
        {%- for measure in targets %},
        set_targets.{{ measure.name }}
        {%- endfor %}
    from grid
    {%- for joined in ['summed', 'employed'] + ['distinct_purchases', 'distinct_lapses', 'distinct_prospects', 'distributed', 'set_targets'] %}
    left join {{ joined }}
        on
            grid.cut_id = {{ joined }}.cut_id
            and grid.period_grain = {{ joined }}.period_grain
            and grid.period_start = {{ joined }}.period_start
            and grid.entity_id = {{ joined }}.entity_id
    {%- endfor %}
    window entity_history as (partition by grid.cut_id, grid.period_grain, grid.entity_id order by grid.period_start)

)

select
    cut_id,
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
            case
                when {{ measure.sample }} = 0 or {{ measure.known }} <> 0 or {{ measure.name }} <> 0
                    then coalesce({{ measure.name }}, 0)
            end
        {%- else -%}
            case when {{ measure.sample }} = 0 then coalesce({{ measure.name }}, 0) else {{ measure.name }} end
        {%- endif %} as {{ measure_type(measure) }}
    ) as {{ measure.name }}
    {%- endfor %}
from together
