-- One row per cohort of deals (by the month, quarter or year of their creation), entity and open stage of a pipeline: how
-- many of them got that far, what became of these, and how long they stayed.
--
-- A deal has reached a stage when it was in it or in a later one, or is won: a stage that it skipped is reached, and one that
-- it went back from stays reached. The first stage is reached by being created. A win that was taken back reaches nothing.
{%- set stage_of_cohort = 'period_grain, period_start, entity_id, stage_key' %}
{%- set counts = [
    'reached_deals', 'entered_deals', 'converted_deals', 'won_deals', 'lost_deals', 'open_deals', 'finished_stays',
    'open_stays'
] %}

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

---------- the stays of each deal, in the pipeline that it is in now; in calendar days, so that they add up to its cycle

deal_stays as (

    select
        deals.deal_id,
        deals.month_start,
        deals.seat_id,
        stages.stage_key,
        stages.stage_number,
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
        stage_key
    from deal_stays
    group by deal_id, stage_key

),

furthest as (

    select
        deal_id,
        max(stage_number) as stage_number
    from deal_stays
    group by deal_id

),

---------- how far each deal got

progress as (

    select
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

),

-- Stays are counted by their length: from these counts medians are taken at every grain and level.
tallied as (

    select
        month_start,
        seat_id,
        stage_key,
        cast(null as integer) as days,
        count(*) filter (where has_reached) as reached_deals,
        count(*) filter (where has_entered) as entered_deals,
        count(*) filter (where has_converted) as converted_deals,
        count(*) filter (where has_reached and outcome = 'won') as won_deals,
        count(*) filter (where has_reached and not has_converted and outcome = 'lost') as lost_deals,
        count(*) filter (where has_reached and not has_converted and outcome = 'open') as open_deals,
        0 as finished_stays,
        0 as open_stays
    from progress
    group by month_start, seat_id, stage_key

    union all

    select
        month_start,
        seat_id,
        stage_key,
        days,
        0 as reached_deals,
        0 as entered_deals,
        0 as converted_deals,
        0 as won_deals,
        0 as lost_deals,
        0 as open_deals,
        count(*) filter (where is_finished) as finished_stays,
        count(*) filter (where not is_finished) as open_stays
    from deal_stays
    group by month_start, seat_id, stage_key, days

),

{{ in_every_cohort(by=['stage_key', 'days'], counts=counts) }},

ranked as (

    select
        *,
        sum(finished_stays) over shorter as finished_so_far,
        sum(finished_stays) over (partition by {{ stage_of_cohort }}) as finished_in_all,
        sum(open_stays) over shorter as open_so_far,
        sum(open_stays) over (partition by {{ stage_of_cohort }}) as open_in_all
    from of_cohorts
    window shorter as (
        partition by {{ stage_of_cohort }}
        order by days nulls first rows between unbounded preceding and current row
    )

),

summed as (

    select
        period_grain,
        period_start,
        entity_id,
        stage_key
        {%- for count in counts %},
        cast(sum({{ count }}) as bigint) as {{ count }}
        {%- endfor %},
        sum(days * finished_stays) as finished_days,
        -- the median lies half way between the two in the middle, which of an odd number are the same
        min(days) filter (where finished_stays > 0 and 2 * finished_so_far >= finished_in_all) as finished_lower_middle,
        min(days) filter (where finished_stays > 0 and 2 * finished_so_far > finished_in_all) as finished_upper_middle,
        min(days) filter (where open_stays > 0 and 2 * open_so_far >= open_in_all) as open_lower_middle,
        min(days) filter (where open_stays > 0 and 2 * open_so_far > open_in_all) as open_upper_middle
    from ranked
    group by period_grain, period_start, entity_id, stage_key

)

select
    ---------- whose, of when, where
    summed.period_grain,
    summed.period_start,
    periods.period_end,
    periods.is_complete
    and sum(summed.open_deals) over (
        partition by summed.period_grain, summed.period_start, summed.entity_id, stages.pipeline_id
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
    summed.reached_deals,
    summed.entered_deals,
    summed.converted_deals,
    summed.won_deals,
    summed.lost_deals,
    summed.open_deals,
    case
        when summed.reached_deals > 0
            then cast(round(summed.converted_deals / summed.reached_deals, 8) as decimal(9, 8))
    end as next_stage_rate,
    case
        when summed.reached_deals > 0 then cast(round(summed.won_deals / summed.reached_deals, 8) as decimal(9, 8))
    end as won_rate,

    ---------- how long
    summed.finished_stays,
    case
        when summed.finished_stays > 0
            then cast(round(summed.finished_days / summed.finished_stays, 2) as decimal(18, 2))
    end as mean_stay_days,
    cast((summed.finished_lower_middle + summed.finished_upper_middle) / 2 as decimal(18, 2)) as median_stay_days,
    summed.open_stays,
    cast((summed.open_lower_middle + summed.open_upper_middle) / 2 as decimal(18, 2)) as median_open_days
from summed
inner join stages
    on summed.stage_key = stages.stage_key
inner join periods
    on summed.period_grain = periods.period_grain and summed.period_start = periods.period_start
inner join entities
    on summed.entity_id = entities.entity_id
