-- One row per year of creation (and all years together), the company or a department, pipeline and sign that a deal may
-- show in its first days: how often deals with it and without it are won.
--
-- A landmark analysis (Anderson, Cain & Gelber 1983, Journal of Clinical Oncology 1:710-719): a sign is read on the
-- evening of the landmark, and only of deals that are open then, so that it is known before the outcome, and a deal
-- that lived too briefly to show it does not count as one without. The outcome is read on a fixed day too, long after,
-- of deals that are old enough, closed or not: those that close early are not a fair choice of the young ones.
{%- set fewest = company().definitions.min_comparison_sample %}

with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain = 'year'

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level in ('company', 'department')

),

deals as (

    select * from {{ ref('kpi_cohort_deal') }}

),

activities as (

    select * from {{ ref('fct_activity') }}
    where deal_id is not null and activity_type <> 'task'

),

leads as (

    select * from {{ ref('fct_lead') }}
    where deal_id is not null

),

{{ progress_of_deals() }},

{{ seats_of_cohorts() }},

{{ entities_of_seats() }},

---------- who is open at the landmark, and what becomes of them

followed as (

    select
        deals.deal_id,
        deals.seat_id,
        deals.pipeline_id,
        deals.created_on,
        days.year_start,
        deals.outcome = 'won' and deals.followed_days <= {{ outcome_days() }} as is_won
    from deals
    cross join build
    inner join days
        on deals.created_on = days.day
    where
        deals.created_on + {{ outcome_days() }} <= build.last_day
        and (deals.outcome = 'open' or deals.followed_days > {{ landmark_days() }})

),

---------- the signs by then

-- A deal of which the CRM does not tell where it was early on shows nothing of stages.
furthest_by_landmark as (

    select
        followed.deal_id,
        followed.pipeline_id,
        max(deal_stays.stage_number) as stage_number
    from followed
    inner join deal_stays
        on followed.deal_id = deal_stays.deal_id
    where deal_stays.entered_on <= followed.created_on + {{ landmark_days() }}
    group by followed.deal_id, followed.pipeline_id

),

counted_activities as (

    select
        followed.deal_id,
        followed.pipeline_id,
        followed.year_start,
        count(activities.activity_id) as activities,
        count(case when activities.activity_type = 'meeting' then activities.activity_id end) as meetings
    from followed
    left join activities
        on
            followed.deal_id = activities.deal_id
            and activities.occurred_on between followed.created_on and followed.created_on + {{ landmark_days() }}
    group by followed.deal_id, followed.pipeline_id, followed.year_start

),

-- One for the company, so that all departments are asked the same.
usual_activities as (

    select
        pipeline_id,
        median(activities) as activities
    from counted_activities
    group by pipeline_id

),

-- A lead becomes one deal; of several that did, the first that was answered.
answers as (

    select
        deal_id,
        min(case when first_response_at <= created_at + interval 24 hour then 1 else 2 end) = 1 as is_prompt
    from leads
    group by deal_id

),

signs as (

    select
        furthest_by_landmark.deal_id,
        'reached_stage' as sign,
        stages.stage_number,
        furthest_by_landmark.stage_number >= stages.stage_number as has_sign
    from furthest_by_landmark
    inner join stages
        on furthest_by_landmark.pipeline_id = stages.pipeline_id and stages.stage_number > 1

    union all

    select
        counted_activities.deal_id,
        'activities' as sign,
        cast(null as integer) as stage_number,
        counted_activities.activities >= greatest(usual_activities.activities, 1) as has_sign
    from counted_activities
    inner join usual_activities
        on counted_activities.pipeline_id = usual_activities.pipeline_id

    union all

    select
        deal_id,
        'meeting' as sign,
        cast(null as integer) as stage_number,
        meetings > 0 as has_sign
    from counted_activities

    union all

    select
        deal_id,
        'prompt_response' as sign,
        cast(null as integer) as stage_number,
        is_prompt as has_sign
    from answers

),

tallied as (

    select
        followed.year_start,
        followed.seat_id,
        followed.pipeline_id,
        signs.sign,
        signs.stage_number,
        count(*) filter (where signs.has_sign) as deals_with,
        count(*) filter (where signs.has_sign and followed.is_won) as won_with,
        count(*) filter (where not signs.has_sign) as deals_without,
        count(*) filter (where not signs.has_sign and followed.is_won) as won_without
    from signs
    inner join followed
        on signs.deal_id = followed.deal_id
    group by followed.year_start, followed.seat_id, followed.pipeline_id, signs.sign, signs.stage_number

),

first_days as (

    select min(day) as day
    from days
    where is_covered

),

of_entities as (

    {% for grain, start in {'year': 'tallied.year_start', 'all': 'first_days.day'}.items() %}
    select
        '{{ grain }}' as period_grain,
        {{ start }} as period_start,
        entities_of_seats.entity_id,
        tallied.pipeline_id,
        tallied.sign,
        {%- for count in ['deals_with', 'won_with', 'deals_without', 'won_without'] %}
        cast(sum(tallied.{{ count }}) as bigint) as {{ count }},
        {%- endfor %}
        tallied.stage_number
    from tallied
    cross join first_days
    inner join entities_of_seats
        on tallied.seat_id = entities_of_seats.seat_id
    group by {{ start }}, entities_of_seats.entity_id, tallied.pipeline_id, tallied.sign, tallied.stage_number
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

judged as (

    select
        *,
        deals_with >= {{ fewest }} and deals_without >= {{ fewest }} as is_enough
    from of_entities

),

-- The statistics of nobody are not asked for: shares of 0 deals are none.
compared as (

    select
        period_grain,
        period_start,
        entity_id,
        pipeline_id,
        sign,
        stage_number,
        {%- for name, sql in {
            'win_rate_with': 'won_with / deals_with',
            'win_rate_without': 'won_without / deals_without',
            'difference': 'won_with / deals_with - won_without / deals_without',
            'difference_low': newcombe('won_with', 'deals_with', 'won_without', 'deals_without', '-'),
            'difference_high': newcombe('won_with', 'deals_with', 'won_without', 'deals_without', '+'),
        }.items() %}
        cast({{ sql }} as decimal(28, 10)) as {{ name }},
        {%- endfor %}
        {%- for name, end in {'odds_ratio': none, 'odds_ratio_low': '-', 'odds_ratio_high': '+'}.items() %}
        cast(
            {{ odds_ratio('won_with', '(deals_with - won_with)', 'won_without', '(deals_without - won_without)', end) }}
            as decimal(28, 10)
        ) as {{ name }},
        {%- endfor %}
        is_enough
    from judged
    where is_enough

)

select
    ---------- whose, of when
    judged.period_grain,
    judged.period_start,
    coalesce(periods.period_end, build.last_day) as period_end,
    -- the last deals of a period have to grow old as well
    coalesce(periods.period_end + {{ outcome_days() }} <= build.last_day, false) as is_complete,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    cast(null as varchar) as manager_id,
    entities.entity_name,

    ---------- which sign
    judged.pipeline_id,
    judged.sign,
    coalesce(judged.stage_number, 0) as stage_number,
    stages.stage_name,
    case
        when judged.sign = 'activities' then cast(greatest(usual_activities.activities, 1) as decimal(18, 2))
    end as fewest_activities,

    ---------- what goes with it
    judged.deals_with,
    judged.won_with,
    judged.deals_without,
    judged.won_without,
    case when judged.is_enough then 'enough' else 'too_few' end as status,
    compared.win_rate_with,
    compared.win_rate_without,
    compared.difference,
    compared.difference_low,
    compared.difference_high,
    compared.odds_ratio,
    compared.odds_ratio_low,
    compared.odds_ratio_high,
    case
        when compared.difference_low > 0 then 'winning'
        when compared.difference_high < 0 then 'losing'
        when judged.is_enough then 'neither'
    end as goes_with
from judged
cross join build
inner join entities
    on judged.entity_id = entities.entity_id
left join compared
    on
        judged.period_grain = compared.period_grain
        and judged.period_start = compared.period_start
        and judged.entity_id = compared.entity_id
        and judged.pipeline_id = compared.pipeline_id
        and judged.sign = compared.sign
        and judged.stage_number is not distinct from compared.stage_number
left join periods
    on judged.period_grain = periods.period_grain and judged.period_start = periods.period_start
left join stages
    on judged.pipeline_id = stages.pipeline_id and judged.stage_number = stages.stage_number
left join usual_activities
    on judged.pipeline_id = usual_activities.pipeline_id
