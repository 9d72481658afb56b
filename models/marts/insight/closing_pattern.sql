-- One row per month or quarter that is over, entity and stretch of its last working days: how much of what was won in
-- the period was won in them.
--
-- A win on a day that is not worked counts with the working day before it; before the first one, with that.
{%- set fewest = company().definitions.min_comparison_sample %}
{%- set whose = 'period_grain, period_start, entity_id' %}

with

days as (

    select * from {{ ref('dim_day') }}
    where is_covered

),

period_days as (

    select * from {{ ref('dim_period_day') }}
    where period_grain in ('month', 'quarter')

),

-- A period that begins before anything is known has no known beginning.
periods as (

    select periods.*
    from {{ ref('dim_period') }} as periods
    inner join days
        on periods.period_start = days.day
    where periods.is_complete and periods.working_days > 0

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level <> 'manager_in_department'

),

bridge as (

    select * from {{ ref('bridge_entity') }}

),

{{ wins_that_stand() }},

numbered_days as (

    select
        period_days.period_grain,
        period_days.period_start,
        period_days.day,
        days.is_working_day,
        cast(
            greatest(
                count(*) filter (where days.is_working_day) over (
                    partition by period_days.period_grain, period_days.period_start order by period_days.day
                    rows between unbounded preceding and current row
                ), 1
            ) as integer
        ) as working_day
    from period_days
    inner join days
        on period_days.day = days.day

),

won_by_day as (

    select
        numbered_days.period_grain,
        numbered_days.period_start,
        bridge.entity_id,
        numbered_days.working_day,
        count(*) as won_deals,
        cast(sum(coalesce(wins.amount, 0)) as decimal(20, 2)) as won_amount
    from wins
    inner join bridge
        on
            wins.organisation_id = bridge.organisation_id
            and wins.manager_id = bridge.manager_id
            and wins.department_id = bridge.department_id
    inner join numbered_days
        on wins.credited_on = numbered_days.day
    group by numbered_days.period_grain, numbered_days.period_start, bridge.entity_id, numbered_days.working_day

),

wholes as (

    select
        won_by_day.period_grain,
        won_by_day.period_start,
        won_by_day.entity_id,
        periods.period_end,
        periods.working_days,
        sum(won_by_day.won_deals) as won_deals,
        cast(sum(won_by_day.won_amount) as decimal(20, 2)) as won_amount
    from won_by_day
    inner join periods
        on won_by_day.period_grain = periods.period_grain and won_by_day.period_start = periods.period_start
    inner join entities
        on won_by_day.entity_id = entities.entity_id
    group by
        won_by_day.period_grain, won_by_day.period_start, won_by_day.entity_id, periods.period_end, periods.working_days

),

---------- how far the running total is from a straight line

running as (

    select
        wholes.period_grain,
        wholes.period_start,
        wholes.entity_id,
        wholes.working_days,
        wholes.won_deals,
        wholes.won_amount,
        numbered_days.working_day,
        sum(coalesce(won_by_day.won_deals, 0)) over so_far as deals_so_far,
        cast(sum(coalesce(won_by_day.won_amount, 0)) over so_far as decimal(20, 2)) as amount_so_far
    from wholes
    inner join numbered_days
        on
            wholes.period_grain = numbered_days.period_grain
            and wholes.period_start = numbered_days.period_start
            and numbered_days.is_working_day
    left join won_by_day
        on
            wholes.period_grain = won_by_day.period_grain
            and wholes.period_start = won_by_day.period_start
            and wholes.entity_id = won_by_day.entity_id
            and numbered_days.working_day = won_by_day.working_day
    window so_far as (
        partition by wholes.period_grain, wholes.period_start, wholes.entity_id order by numbered_days.working_day
        rows between unbounded preceding and current row
    )

),

-- Twice the sum of the distances, over what it is when all is won on the first day, or on the last.
distances as (

    select
        {{ whose }},
        sum(abs(working_days * deals_so_far - working_day * won_deals)) * 2
        / nullif(max(won_deals) * max(working_days) * (max(working_days) - 1), 0) as of_deals,
        sum(
            abs(cast(working_days as decimal(3, 0)) * amount_so_far - cast(working_day as decimal(3, 0)) * won_amount)
        ) * 2
        / nullif(max(won_amount) * cast(max(working_days) * (max(working_days) - 1) as decimal(6, 0)), 0) as of_amount
    from running
    group by {{ whose }}

),

---------- the last days

stretches as (

    select
        wholes.*,
        stretches.stretch,
        cast(
            case when stretches.stretch = 'last_tenth' then ceil(wholes.working_days / 10) else stretches.days end
            as integer
        ) as stretch_days
    from wholes
    cross join (
        values ('last_day', 1), ('last_3_days', 3), ('last_5_days', 5), ('last_tenth', null)
    ) as stretches (stretch, days)

),

counted as (

    select
        stretches.period_grain,
        stretches.period_start,
        stretches.entity_id,
        stretches.stretch,
        coalesce(sum(won_by_day.won_deals), 0) as stretch_won_deals,
        cast(coalesce(sum(won_by_day.won_amount), 0) as decimal(18, 2)) as stretch_won_amount
    from stretches
    left join won_by_day
        on
            stretches.period_grain = won_by_day.period_grain
            and stretches.period_start = won_by_day.period_start
            and stretches.entity_id = won_by_day.entity_id
            and won_by_day.working_day > stretches.working_days - stretches.stretch_days
    group by stretches.period_grain, stretches.period_start, stretches.entity_id, stretches.stretch

),

judged as (

    select
        stretches.*,
        counted.stretch_won_deals,
        counted.stretch_won_amount,
        stretches.won_deals >= {{ fewest }} as is_enough,
        distances.of_deals,
        distances.of_amount
    from stretches
    inner join counted
        on
            stretches.period_grain = counted.period_grain
            and stretches.period_start = counted.period_start
            and stretches.entity_id = counted.entity_id
            and stretches.stretch = counted.stretch
    inner join distances
        on
            stretches.period_grain = distances.period_grain
            and stretches.period_start = distances.period_start
            and stretches.entity_id = distances.entity_id

)

select
    ---------- whose, of when
    judged.period_grain,
    judged.period_start,
    judged.period_end,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,

    ---------- in the last days
    judged.stretch,
    judged.stretch_days,
    judged.working_days,
    cast(judged.stretch_won_deals as bigint) as stretch_won_deals,
    judged.stretch_won_amount,
    cast(judged.won_deals as bigint) as won_deals,
    cast(judged.won_amount as decimal(18, 2)) as won_amount,
    cast(judged.stretch_days / judged.working_days as decimal(9, 8)) as even_share,
    {%- for share, sql in [
        ('deals_share', 'judged.stretch_won_deals / judged.won_deals'),
        ('deals_share_low', wilson('judged.stretch_won_deals', 'judged.won_deals', '-')),
        ('deals_share_high', wilson('judged.stretch_won_deals', 'judged.won_deals', '+')),
    ] %}
    case when judged.is_enough then cast({{ sql }} as decimal(28, 10)) end as {{ share }},
    {%- endfor %}
    case
        when judged.is_enough and judged.won_amount > 0
            then cast(judged.stretch_won_amount / judged.won_amount as decimal(28, 10))
    end as amount_share,

    ---------- all along
    case when judged.is_enough then cast(1 - judged.of_deals as decimal(28, 10)) end as deals_linearity,
    case
        when judged.is_enough and judged.won_amount > 0 then cast(1 - judged.of_amount as decimal(28, 10))
    end as amount_linearity,
    case when judged.is_enough then 'enough' else 'too_few' end as status
from judged
inner join entities
    on judged.entity_id = entities.entity_id
where judged.stretch_days <= judged.working_days
