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

-- Numbered, because millions of rows are grouped by their periods, and a number is quicker than a name and a date.
period_days as (

    select
        *,
        cast(dense_rank() over (order by period_grain, period_start) as integer) as period_number
    from {{ ref('dim_period_day') }}

),

numbered_periods as (

    select distinct
        period_number,
        period_grain,
        period_start
    from period_days

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

entities as (

    select * from {{ ref('bridge_entity') }}

),

---------- sums

-- Summed up the organisation first: there are fewer days of an entity than days of seats in periods of entities.
entity_days as (

    select
        cells.cut_id,
        cells.day,
        entities.entity_id
        {%- for measure in additive + snapshots %},
        sum(cells.{{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from {{ ref('kpi_measure_day') }} as cells
    inner join entities
        on
            cells.organisation_id = entities.organisation_id
            and cells.manager_id = entities.manager_id
            and cells.department_id = entities.department_id
    group by cells.cut_id, cells.day, entities.entity_id

),

summed as (

    -- a day is the sum of itself
    select
        entity_days.cut_id,
        period_days.period_grain,
        period_days.period_start,
        entity_days.entity_id
        {%- for measure in additive + snapshots %},
        entity_days.{{ measure.name }}
        {%- endfor %}
    from entity_days
    inner join period_days
        on entity_days.day = period_days.day
    where entity_days.cut_id = {{ main_cut() }} and period_days.period_grain = 'day'

    union all

    select
        entity_days.cut_id,
        period_days.period_grain,
        period_days.period_start,
        entity_days.entity_id
        {%- for measure in additive + snapshots %},
        sum(entity_days.{{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from entity_days
    inner join period_days
        on
            entity_days.day = period_days.day
            and {{ has_grain(grains()[1:], 'entity_days.cut_id', 'period_days.period_grain') }}
    group by entity_days.cut_id, period_days.period_grain, period_days.period_start, entity_days.entity_id

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
        intervals.credit_lens,
        intervals.organisation_id,
        intervals.manager_id,
        intervals.department_id,
        intervals.pipeline_id,
        intervals.product,
        intervals.lead_source,
        intervals.currency_code,
        intervals.account_id,
        intervals.started_on,
        least(
            coalesce(intervals.ended_on, date '9999-12-31'), coalesce(first_purchases.first_won_on, date '9999-12-31')
        ) as prospect_until
    from {{ ref('kpi_credited_interval') }} as intervals
    left join first_purchases
        on intervals.account_id = first_purchases.account_id
    where
        intervals.account_id is not null
        and (first_purchases.first_won_on is null or first_purchases.first_won_on > intervals.started_on)

),

-- Numbered for the same reason as periods are.
accounts as (

    select
        account_id,
        cast(row_number() over (order by account_id) as integer) as account_number
    from (
        select account_id from first_purchases
        union
        select account_id from credited_prospects
    ) as account_ids

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

-- The last evenings of periods: that of a quarter is also that of its last month.
evenings as (

    select
        last_day as day,
        row_number() over (order by last_day) as evening_number,
        max(case when period_grain in {{ sql_list(grains_of_cuts()) }} then 1 else 0 end) as is_of_month
    from periods
    where {{ has_grain(grains_of.distinct, main_cut(), 'period_grain') }}
    group by last_day

),

evenings_before as (

    select
        days.day,
        count(evenings.day) as evening_count
    from (
        select started_on as day from credited_prospects
        union
        select prospect_until as day from credited_prospects
    ) as days
    left join evenings
        on days.day > evenings.day
    group by days.day

),

numbered_evenings_of_prospects as (

    select
        credited_prospects.*,
        unnest(generate_series(before_start.evening_count + 1, before_end.evening_count)) as evening_number
    from credited_prospects
    inner join evenings_before as before_start
        on credited_prospects.started_on = before_start.day
    inner join evenings_before as before_end
        on credited_prospects.prospect_until = before_end.day
    where before_start.evening_count < before_end.evening_count

),

prospects_of_evenings as (

    select
        prospects.*,
        evenings.day,
        evenings.is_of_month
    from numbered_evenings_of_prospects as prospects
    inner join evenings
        on prospects.evening_number = evenings.evening_number

),

prospects as (

    {{ in_every_cut(
        'prospects_of_evenings', ['day', 'is_of_month', 'organisation_id', 'manager_id', 'department_id', 'account_id']
    ) }}

),

counted_prospects as (

    select
        prospects.cut_id,
        prospects.day,
        entities.entity_id
        {%- for measure in measures_where('relation', 'prospects') %},
        count(distinct accounts.account_number) as {{ measure.name }}
        {%- endfor %}
    from prospects
    inner join accounts
        on prospects.account_id = accounts.account_id
    inner join entities
        on
            prospects.organisation_id = entities.organisation_id
            and prospects.manager_id = entities.manager_id
            and prospects.department_id = entities.department_id
    where prospects.cut_id = {{ main_cut() }} or prospects.is_of_month = 1
    group by prospects.cut_id, prospects.day, entities.entity_id

),

distinct_prospects as (

    select
        counted_prospects.cut_id,
        periods.period_grain,
        periods.period_start,
        counted_prospects.entity_id
        {%- for measure in measures_where('relation', 'prospects') %},
        counted_prospects.{{ measure.name }}
        {%- endfor %}
    from counted_prospects
    inner join periods
        on
            counted_prospects.day = periods.last_day
            and {{ has_grain(grains_of.distinct, 'counted_prospects.cut_id', 'periods.period_grain') }}

),

{% for relation in ['purchases', 'lapses'] %}
-- An account is told once first, and counted then: quicker than to sort out the same accounts for each measure.
accounts_of_{{ relation }} as (

    select
        {{ relation }}.cut_id,
        period_days.period_number,
        entities.entity_id,
        accounts.account_number
        {%- for measure in measures_where('relation', relation) %},
        bool_or({{ measure.filter or 'true' }}) as is_of_{{ measure.name }}
        {%- endfor %}
    from {{ relation }}
    inner join accounts
        on {{ relation }}.account_id = accounts.account_id
    inner join period_days
        on
            {{ relation }}.day = period_days.day
            and {{ has_grain(grains_of.distinct, relation ~ '.cut_id', 'period_days.period_grain') }}
    inner join entities
        on
            {{ relation }}.organisation_id = entities.organisation_id
            and {{ relation }}.manager_id = entities.manager_id
            and {{ relation }}.department_id = entities.department_id
    group by {{ relation }}.cut_id, period_days.period_number, entities.entity_id, accounts.account_number

),

counted_{{ relation }} as (

    select
        cut_id,
        period_number,
        entity_id
        {%- for measure in measures_where('relation', relation) %},
        count(*) filter (where is_of_{{ measure.name }}) as {{ measure.name }}
        {%- endfor %}
    from accounts_of_{{ relation }}
    group by cut_id, period_number, entity_id

),

distinct_{{ relation }} as (

    select
        counted_{{ relation }}.*,
        numbered_periods.period_grain,
        numbered_periods.period_start
    from counted_{{ relation }}
    inner join numbered_periods
        on counted_{{ relation }}.period_number = numbered_periods.period_number

),

{% endfor %}
-- What was taken back, by a reopening or because it was known wrongly, is no win. A part of a deal has no cycle of its own.
{%- set of_wins = [
    'credit_lens', 'organisation_id', 'manager_id', 'department_id', 'pipeline_id', 'product', 'lead_source',
    'currency_code', 'deal_id', 'occurred_on', 'cycle_days'
] %}
standing_wins as (

    select
        {{ of_wins | join(',\n        ') }},
        sum(sign) as win_count
    from {{ ref('kpi_credited_event') }}
    where event_type = 'won' and cycle_days is not null and credit_lens in ('at_event', 'current_owner')
    group by
        {{ of_wins | join(',\n        ') }}
    having sum(sign) <> 0

),

whole_wins as (

    select
        *,
        win_count = 1 and count(*) over (partition by credit_lens, deal_id) = 1 as is_only
    from standing_wins

),

wins as (

    {{ in_every_cut('whole_wins', [
        'organisation_id', 'manager_id', 'department_id', 'deal_id', 'win_count', 'cycle_days', 'occurred_on', 'is_only'
    ]) }}

),

{% for wins, condition in [('only_wins', 'wins.is_only'), ('repeated_wins', 'not wins.is_only')] %}
{{ wins }} as (

    select
        wins.cut_id,
        period_days.period_number,
        entities.entity_id,
        wins.deal_id,
        wins.cycle_days,
        wins.win_count
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
-- A win that is taken back on another day counts until then; within a period that has both days it is none.
standing_cycles as (

    select
        cut_id,
        period_number,
        entity_id,
        deal_id,
        cycle_days,
        sum(win_count) as win_count
    from repeated_wins
    group by cut_id, period_number, entity_id, deal_id, cycle_days

),

-- A deal that was won, reopened and won again within the period is one win. Most are won once: theirs need no counting.
cycles as (

    select
        cut_id,
        period_number,
        entity_id,
        max(cycle_days) filter (where win_count > 0) as cycle_days
    from standing_cycles
    group by cut_id, period_number, entity_id, deal_id
    having sum(win_count) > 0

    union all

    select
        cut_id,
        period_number,
        entity_id,
        cycle_days
    from only_wins

),

distributed_by_number as (

    select
        cut_id,
        period_number,
        entity_id
        {%- for measure in measures_where('relation', 'cycles') %},
        {{ measure.sql }} as {{ measure.name }}
        {%- endfor %}
    from cycles
    group by cut_id, period_number, entity_id

),

distributed as (

    select
        distributed_by_number.*,
        numbered_periods.period_grain,
        numbered_periods.period_start
    from distributed_by_number
    inner join numbered_periods
        on distributed_by_number.period_number = numbered_periods.period_number

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

-- What is open at the end of a period is what came until then, less what went.
standing as (

    select
        grid.cut_id,
        grid.period_grain,
        grid.period_start,
        grid.entity_id
        {%- for measure in snapshots %},
        coalesce(sum(summed.{{ measure.name }}) over entity_history, 0) as {{ measure.name }}
        {%- endfor %}
    from grid
    left join summed
        on
            grid.cut_id = summed.cut_id
            and grid.period_grain = summed.period_grain
            and grid.period_start = summed.period_start
            and grid.entity_id = summed.entity_id
    window entity_history as (partition by grid.cut_id, grid.period_grain, grid.entity_id order by grid.period_start)

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
        standing.{{ measure.name }}
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
    {%- for joined in ['summed', 'standing', 'employed'] + ['distinct_purchases', 'distinct_lapses', 'distinct_prospects', 'distributed', 'set_targets'] %}
    left join {{ joined }}
        on
            grid.cut_id = {{ joined }}.cut_id
            and grid.period_grain = {{ joined }}.period_grain
            and grid.period_start = {{ joined }}.period_start
            and grid.entity_id = {{ joined }}.entity_id
    {%- endfor %}

)

select
    cut_id,
    period_grain,
    period_start,
    entity_id,
    is_employed
    {%- for measure in measures() %},
    {{ as_known(measure) }} as {{ measure.name }}
    {%- endfor %}
from together
