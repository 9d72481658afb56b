-- One row per cohort of deals (by the month, quarter or year of their creation), entity and open stage of a pipeline: how
-- many of them got that far, what became of these, and how long they stayed.
--
-- A deal has reached a stage when it was in it or in a later one, or is won: a stage that it skipped is reached, and one that
-- it went back from stays reached. The first stage is reached by being created. A win that was taken back reaches nothing.
{%- set counts = ['reached_deals', 'entered_deals', 'converted_deals', 'won_deals', 'lost_deals', 'open_deals'] %}

with

build as (

    select * from {{ ref('build_moment') }}

),

periods as (

    select * from {{ ref('dim_period') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

deals as (

    select * from {{ ref('kpi_cohort_deal') }}

),

{{ progress_of_deals() }},

tallied as (

    select
        month_start,
        seat_id,
        stage_key,
        count(*) filter (where has_reached) as reached_deals,
        count(*) filter (where has_entered) as entered_deals,
        count(*) filter (where has_converted) as converted_deals,
        count(*) filter (where has_reached and outcome = 'won') as won_deals,
        count(*) filter (where has_reached and not has_converted and outcome = 'lost') as lost_deals,
        count(*) filter (where has_reached and not has_converted and outcome = 'open') as open_deals
    from progress
    group by month_start, seat_id, stage_key

),

{{ in_every_cohort(by=['stage_key'], counts=counts) }},

---------- how long they stayed: counts of days first, since many stay equally long, and medians of the counts

stay_lengths as (

    select
        month_start,
        seat_id,
        stage_key,
        is_finished,
        days,
        count(*) as stays
    from deal_stays
    group by month_start, seat_id, stage_key, is_finished, days

),

stay_lengths_of_cohorts as (

    select
        cohorts.period_grain,
        cohorts.period_start,
        entities_of_seats.entity_id,
        stay_lengths.stage_key,
        stay_lengths.is_finished,
        stay_lengths.days,
        cast(sum(stay_lengths.stays) as bigint) as stays
    from stay_lengths
    inner join entities_of_seats
        on stay_lengths.seat_id = entities_of_seats.seat_id
    inner join cohorts
        on stay_lengths.month_start = cohorts.month_start
    group by
        cohorts.period_grain, cohorts.period_start, entities_of_seats.entity_id, stay_lengths.stage_key,
        stay_lengths.is_finished, stay_lengths.days

),

ranked_lengths as (

    select
        *,
        sum(stays) over (
            partition by period_grain, period_start, entity_id, stage_key, is_finished order by days
        ) as stays_up_to,
        sum(stays) over (partition by period_grain, period_start, entity_id, stage_key, is_finished) as all_stays
    from stay_lengths_of_cohorts

),

-- The median lies between the least length that half of the stays do not exceed, and the least that more than half do not.
stays_of_cohorts as (

    select
        period_grain,
        period_start,
        entity_id,
        stage_key,
        cast(sum(stays) filter (where is_finished) as bigint) as finished_stays,
        sum(days * stays) filter (where is_finished) as finished_days,
        cast(sum(stays) filter (where not is_finished) as bigint) as open_stays
        {%- for name, state in [('median_stay_days', 'is_finished'), ('median_open_days', 'not is_finished')] %},
        (
            min(days) filter (where {{ state }} and stays_up_to * 2 >= all_stays)
            + min(days) filter (where {{ state }} and stays_up_to * 2 > all_stays)
        ) / 2 as {{ name }}
        {%- endfor %}
    from ranked_lengths
    group by period_grain, period_start, entity_id, stage_key

)

select
    ---------- whose, of when, where
    of_cohorts.period_grain,
    of_cohorts.period_start,
    periods.period_end,
    periods.is_complete
    and sum(of_cohorts.open_deals) over (
        partition by of_cohorts.period_grain, of_cohorts.period_start, of_cohorts.entity_id, stages.pipeline_id
    ) = 0 as is_complete,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    stages.pipeline_id,
    stages.pipeline_name,
    stages.stage_id,
    stages.stage_name,
    stages.stage_number,

    ---------- how far
    of_cohorts.reached_deals,
    of_cohorts.entered_deals,
    of_cohorts.converted_deals,
    of_cohorts.won_deals,
    of_cohorts.lost_deals,
    of_cohorts.open_deals,
    case
        when of_cohorts.reached_deals > 0
            then cast(round(of_cohorts.converted_deals / of_cohorts.reached_deals, 8) as decimal(9, 8))
    end as next_stage_rate,
    case
        when of_cohorts.reached_deals > 0 then cast(round(of_cohorts.won_deals / of_cohorts.reached_deals, 8) as decimal(9, 8))
    end as won_rate,

    ---------- how long
    coalesce(stays_of_cohorts.finished_stays, 0) as finished_stays,
    case
        when stays_of_cohorts.finished_stays > 0
            then cast(round(stays_of_cohorts.finished_days / stays_of_cohorts.finished_stays, 2) as decimal(18, 2))
    end as mean_stay_days,
    cast(stays_of_cohorts.median_stay_days as decimal(18, 2)) as median_stay_days,
    coalesce(stays_of_cohorts.open_stays, 0) as open_stays,
    cast(stays_of_cohorts.median_open_days as decimal(18, 2)) as median_open_days
from of_cohorts
left join stays_of_cohorts
    on
        of_cohorts.period_grain = stays_of_cohorts.period_grain
        and of_cohorts.period_start = stays_of_cohorts.period_start
        and of_cohorts.entity_id = stays_of_cohorts.entity_id
        and of_cohorts.stage_key = stays_of_cohorts.stage_key
inner join stages
    on of_cohorts.stage_key = stages.stage_key
inner join periods
    on of_cohorts.period_grain = periods.period_grain and of_cohorts.period_start = periods.period_start
inner join entities
    on of_cohorts.entity_id = entities.entity_id
