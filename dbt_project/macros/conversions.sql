{#-
    The days after its creation at which a cohort's win rate is told: a curve that people read needs no point a day, and
    these are close where most deals close. 90 is that of win_rate_cohort_90d, so the two can be laid side by side.
-#}
{% macro curve_days() -%}
    {{ return([7, 14, 30, 60, 90, 120, 180, 270, 365]) }}
{%- endmacro %}

{#- The days after its creation by whose evening a deal shows an early sign, and by whose it is won or not. -#}
{% macro landmark_days() -%}
    14
{%- endmacro %}

{% macro outcome_days() -%}
    180
{%- endmacro %}

{#- The first of these days by which a number of days is over; null beyond the last. -#}
{% macro curve_day_of(days) -%}
    case {% for day in curve_days() %}when {{ days }} <= {{ day }} then {{ day }} {% endfor %}end
{%- endmacro %}

{#- A CTE, `seats`: those of kpi_cohort_deal, as it numbers them. -#}
{% macro seats_of_cohorts() -%}
seats as (

    select
        seat_id,
        organisation_id,
        manager_id,
        department_id
    from {{ ref('kpi_cohort_deal') }}
    group by seat_id, organisation_id, manager_id, department_id

)
{%- endmacro %}

{#-
    CTEs, to stand after one called `tallied`: `month_start` (of the deals' creation), `seat_id` (whose), the columns in
    `by`, and counts. Give `of_cohorts`: period_grain, period_start, entity_id, the columns in `by`, and the sums of those
    counts, for every cohort of month, quarter and year, and for the company, departments and managers. Quarters and years
    are made of months in every calendar, so the deals themselves are gone through once.
-#}
{% macro in_every_cohort(by, counts) -%}
{{ seats_of_cohorts() }},

{{ entities_of_seats() }},

of_months as (

    select
        tallied.month_start,
        entities_of_seats.entity_id
        {%- for column in by %},
        tallied.{{ column }}
        {%- endfor %}
        {%- for count in counts %},
        sum(tallied.{{ count }}) as {{ count }}
        {%- endfor %}
    from tallied
    inner join entities_of_seats
        on tallied.seat_id = entities_of_seats.seat_id
    group by tallied.month_start, entities_of_seats.entity_id
    {%- for column in by %}, tallied.{{ column }}{% endfor %}

),

{{ periods_of_months('cohorts') }},

of_cohorts as (

    select
        cohorts.period_grain,
        cohorts.period_start,
        of_months.entity_id
        {%- for column in by %},
        of_months.{{ column }}
        {%- endfor %}
        {%- for count in counts %},
        cast(sum(of_months.{{ count }}) as bigint) as {{ count }}
        {%- endfor %}
    from of_months
    inner join cohorts
        on of_months.month_start = cohorts.month_start
    group by cohorts.period_grain, cohorts.period_start, of_months.entity_id
    {%- for column in by %}, of_months.{{ column }}{% endfor %}

)
{%- endmacro %}

{#-
    CTEs, to stand after `build` and `deals` (of kpi_cohort_deal). Give `stages`, the open ones of each pipeline in their
    order; `deal_stays`, the stays of deals in them; and `progress`: for each deal and each stage of the pipeline that it is
    in, whether it was in it, reached it and went on from it. A deal has reached a stage when it was in it or in a later
    one, or is won; the first is reached by being created.
-#}
{% macro progress_of_deals() -%}
stays as (

    select stays.*
    from {{ ref('fct_deal_stage_interval') }} as stays
    cross join build
    where stays.entered_at < build.as_of

),

-- The stages that a deal runs through, in their order; won and lost are what it comes to.
stages as (

    select
        pipeline_id,
        pipeline_name,
        stage_id,
        stage_name,
        cast(row_number() over (partition by pipeline_id order by position, stage_id) as integer) as stage_number,
        cast(row_number() over (order by stage_id) as integer) as stage_key
    from {{ ref('dim_pipeline_stage') }}
    where outcome = 'open'

),

-- The stays of each deal, in the pipeline that it is in now; in calendar days, so that they add up to its cycle.
deal_stays as (

    select
        deals.deal_id,
        deals.month_start,
        deals.seat_id,
        stages.stage_key,
        stages.stage_number,
        {{ business_date('stays.entered_at') }} as entered_on,
        coalesce(stays.left_at < build.as_of, false) as is_finished,
        cast(
            case when stays.left_at < build.as_of then {{ business_date('stays.left_at') }} else build.last_day end
            - {{ business_date('stays.entered_at') }} as integer
        ) as days
    from stays
    cross join build
    inner join deals
        on stays.deal_id = deals.deal_id
    inner join stages
        on stays.stage_id = stages.stage_id and deals.pipeline_id = stages.pipeline_id

),

entered as (

    select
        deal_id,
        stage_key,
        stage_number
    from deal_stays
    group by deal_id, stage_key, stage_number

),

furthest as (

    select
        deal_id,
        max(stage_number) as stage_number
    from entered
    group by deal_id

),

progress as (

    select
        deals.deal_id,
        deals.month_start,
        deals.seat_id,
        deals.outcome,
        stages.stage_key,
        entered.stage_key is not null as has_entered,
        deals.outcome = 'won' or coalesce(furthest.stage_number, 1) >= stages.stage_number as has_reached,
        deals.outcome = 'won' or coalesce(furthest.stage_number, 1) > stages.stage_number as has_converted
    from deals
    inner join stages
        on deals.pipeline_id = stages.pipeline_id
    left join entered
        on deals.deal_id = entered.deal_id and stages.stage_key = entered.stage_key
    left join furthest
        on deals.deal_id = furthest.deal_id

)
{%- endmacro %}

{#-
    A CTE, `wins`: the deals that are won, with the day, the seat and the amount that the win is credited with. A win that was
    taken back is none, on whichever day.
-#}
{% macro wins_that_stand() -%}
wins as (

    select
        deal_id,
        pipeline_id,
        organisation_id,
        manager_id,
        department_id,
        credited_on,
        cycle_days,
        sum(sign * amount) as amount
    from {{ ref('kpi_counted_event') }}
    where event_type = 'won'
    group by deal_id, pipeline_id, organisation_id, manager_id, department_id, credited_on, cycle_days
    having sum(sign) > 0

)
{%- endmacro %}

{#-
    A CTE, `taken_back`: how many wins of before each period were taken back in it, by whoever they are credited to. What was
    won in a period and stood when it ended is the KPI won_deals plus these. Or `taken_back_since`: how many of its own were
    taken back after it.
-#}
{% macro wins_taken_back(since=false) -%}
{{ 'taken_back_since' if since else 'taken_back' }} as (

    select
        periods.period_grain,
        periods.period_start,
        entities.entity_level,
        entities.entity_key,
        -sum(events.sign) as deals
    from {{ ref('kpi_counted_event') }} as events
    inner join {{ ref('dim_period_day') }} as period_days
        on events.{{ 'credited_on' if since else 'occurred_on' }} = period_days.day
    inner join {{ ref('dim_period') }} as periods
        on period_days.period_grain = periods.period_grain and period_days.period_start = periods.period_start
    inner join {{ ref('bridge_entity') }} as bridge
        on
            events.organisation_id = bridge.organisation_id
            and events.manager_id = bridge.manager_id
            and events.department_id = bridge.department_id
    inner join {{ ref('dim_entity') }} as entities
        on bridge.entity_id = entities.entity_id
    where
        events.event_type = 'won'
        and {{ 'events.occurred_on > periods.period_end' if since else 'events.credited_on < periods.period_start' }}
    group by periods.period_grain, periods.period_start, entities.entity_level, entities.entity_key

)
{%- endmacro %}
