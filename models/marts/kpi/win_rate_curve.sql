-- One row per cohort of deals (by the month, quarter or year of their creation), entity, and number of days after creation:
-- how many of them were won by then, and what share will have been once all of them have been open for so long.
--
-- That share is the cumulative incidence of winning, with losing as a competing event and open deals censored (Aalen &
-- Johansen 1978, Scandinavian Journal of Statistics 5:141-150). Kaplan-Meier over the wins alone would censor lost deals
-- too, as if they could still be won, and comes out too high wherever deals are lost. It is computed in its equal form as a
-- weighted count (Geskus 2011, Biometrics 67:39-49; Satten & Datta 2001, The American Statistician 55:207-210): a win counts
-- 1 / G, where G, the product over the days before it of 1 - censored / followed further, is the share of deals followed for
-- so long. As long as none is censored, G is exactly 1, and the curve is the plain share.
{%- set cohort = 'period_grain, period_start, entity_id' %}
{%- set longest = curve_days() | last %}

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

---------- how long deals were followed, and how that ended

tallied as (

    select
        month_start,
        seat_id,
        least(followed_days, {{ longest + 1 }}) as followed_days,
        count(*) filter (where outcome = 'won') as won_deals,
        count(*) filter (where outcome = 'lost') as lost_deals,
        count(*) filter (where outcome = 'open') as open_deals
    from deals
    group by month_start, seat_id, least(followed_days, {{ longest + 1 }})

),

{{ in_every_cohort(by=['followed_days'], counts=['won_deals', 'lost_deals', 'open_deals']) }},

---------- the weights of wins

followed as (

    select
        *,
        -- a deal that closes on the last day it is followed has closed before that one ends
        sum(won_deals + lost_deals + open_deals) over (
            partition by {{ cohort }} order by followed_days rows between current row and unbounded following
        ) - won_deals - lost_deals as deals_still_open
    from of_cohorts

),

-- Logarithms with a fixed number of decimals: their sum is the same in whatever order it is taken.
censored as (

    select
        *,
        case
            when open_deals > 0 and deals_still_open > open_deals
                then cast(ln((deals_still_open - open_deals) / deals_still_open) as decimal(18, 15))
            else 0
        end as log_followed
    from followed

),

weighted as (

    select
        *,
        won_deals * cast(
            exp(-cast(coalesce(sum(log_followed) over earlier_days, 0) as double)) as decimal(28, 12)
        ) as won_weight
    from censored
    window earlier_days as (
        partition by {{ cohort }} order by followed_days rows between unbounded preceding and 1 preceding
    )

),

---------- along the curve

-- Who is followed for a number of days and no longer is not known on the next one.
placed as (

    select
        period_grain,
        period_start,
        entity_id,
        {{ curve_day_of('followed_days') }} as within_days,
        won_deals,
        lost_deals,
        0 as censored_deals,
        won_weight
    from weighted

    union all

    select
        period_grain,
        period_start,
        entity_id,
        {{ curve_day_of('followed_days + 1') }} as within_days,
        0 as won_deals,
        0 as lost_deals,
        open_deals as censored_deals,
        0 as won_weight
    from weighted

),

steps as (

    select
        period_grain,
        period_start,
        entity_id,
        within_days,
        sum(won_deals) as won_deals,
        sum(lost_deals) as lost_deals,
        sum(censored_deals) as censored_deals,
        sum(won_weight) as won_weight
    from placed
    group by period_grain, period_start, entity_id, within_days

),

wholes as (

    select
        period_grain,
        period_start,
        entity_id,
        sum(won_deals + lost_deals + open_deals) as created_deals,
        max(followed_days) as longest_followed_days,
        max(case when open_deals > 0 then followed_days end) as longest_open_days
    from of_cohorts
    group by period_grain, period_start, entity_id

),

points as (

    select
        wholes.*,
        curve_days.within_days
    from wholes
    cross join (
        values
        {% for day in curve_days() -%}
        ({{ day }}){{ ',' if not loop.last }}
        {% endfor -%}
    ) as curve_days (within_days)

),

curve as (

    select
        points.*,
        sum(coalesce(steps.won_deals, 0)) over so_far as won_deals,
        sum(coalesce(steps.lost_deals, 0)) over so_far as lost_deals,
        sum(coalesce(steps.censored_deals, 0)) over so_far as censored_deals,
        sum(coalesce(steps.won_weight, 0)) over so_far as won_weight
    from points
    left join steps
        on
            points.period_grain = steps.period_grain
            and points.period_start = steps.period_start
            and points.entity_id = steps.entity_id
            and points.within_days = steps.within_days
    window so_far as (
        partition by points.period_grain, points.period_start, points.entity_id
        order by points.within_days rows between unbounded preceding and current row
    )

),

judged as (

    select
        curve.*,
        curve.created_deals - curve.won_deals - curve.lost_deals - curve.censored_deals as open_deals,
        periods.period_end,
        {{ start_of_day('periods.period_end + 1 + curve.within_days') }} <= build.as_of as is_mature
    from curve
    cross join build
    inner join periods
        on curve.period_grain = periods.period_grain and curve.period_start = periods.period_start

)

select
    judged.period_grain,
    judged.period_start,
    judged.period_end,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    judged.within_days,
    judged.is_mature,
    cast(judged.created_deals as bigint) as created_deals,
    cast(judged.won_deals as bigint) as won_deals,
    cast(judged.lost_deals as bigint) as lost_deals,
    cast(judged.open_deals as bigint) as open_deals,
    cast(judged.censored_deals as bigint) as censored_deals,
    -- nobody was followed for so long, and not all had closed before: nobody knows
    case
        when
            judged.open_deals > 0
            or judged.censored_deals = 0
            or judged.longest_open_days < judged.longest_followed_days
            then cast(round(judged.won_weight / judged.created_deals, 8) as decimal(9, 8))
    end as cumulative_win_rate,
    case
        when judged.is_mature then cast(round(judged.won_deals / judged.created_deals, 8) as decimal(9, 8))
    end as mature_win_rate
from judged
inner join entities
    on judged.entity_id = entities.entity_id
