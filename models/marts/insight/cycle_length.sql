-- One row per year (of winning; and all years together), entity and segment: how many days lie between the creation and
-- the winning of deals.
{%- set fewest = company().definitions.min_comparison_sample %}
{%- set quantiles = {'p10_days': 0.1, 'p25_days': 0.25, 'median_days': 0.5, 'p75_days': 0.75, 'p90_days': 0.9} %}

with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}
    where is_covered

),

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain = 'year'

),

entities as (

    select * from {{ ref('dim_entity') }}
    where entity_level <> 'manager_in_department'

),

bridge as (

    select * from {{ ref('bridge_entity') }}

),

deals as (

    select * from {{ ref('fct_deal') }}

),

{{ wins_that_stand() }},

-- Bands of amounts between powers of ten are the same in every company and year.
described as (

    select
        wins.*,
        days.year_start,
        coalesce(deals.product, {{ no_property() }}) as product,
        coalesce(deals.lead_source, {{ no_property() }}) as lead_source,
        case
            when wins.amount is null then {{ no_property() }}
            when wins.amount < 1000 then 'below 1000'
            when wins.amount < 10000 then '1000 to 9999'
            when wins.amount < 100000 then '10000 to 99999'
            when wins.amount < 1000000 then '100000 to 999999'
            else '1000000 and more'
        end as amount_band
    from wins
    inner join days
        on wins.credited_on = days.day
    left join deals
        on wins.deal_id = deals.deal_id
    where wins.cycle_days is not null

),

-- Many wins are equally long: counted once for each length.
tallied as (

    {% for segment_by, value in {
        'all': "'all'", 'pipeline': 'pipeline_id', 'product': 'product', 'lead_source': 'lead_source',
        'amount_band': 'amount_band',
    }.items() %}
    select
        year_start,
        organisation_id,
        manager_id,
        department_id,
        '{{ segment_by }}' as segment_by,
        {{ value }} as segment,
        cycle_days,
        count(*) as wins
    from described
    group by year_start, organisation_id, manager_id, department_id, {{ value }}, cycle_days
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

of_years as (

    select
        tallied.year_start,
        bridge.entity_id,
        tallied.segment_by,
        tallied.segment,
        tallied.cycle_days,
        cast(sum(tallied.wins) as bigint) as wins
    from tallied
    inner join bridge
        on
            tallied.organisation_id = bridge.organisation_id
            and tallied.manager_id = bridge.manager_id
            and tallied.department_id = bridge.department_id
    inner join entities
        on bridge.entity_id = entities.entity_id
    group by tallied.year_start, bridge.entity_id, tallied.segment_by, tallied.segment, tallied.cycle_days

),

of_periods as (

    select
        'year' as period_grain,
        year_start as period_start,
        entity_id,
        segment_by,
        segment,
        cycle_days,
        wins
    from of_years

    union all

    select
        'all' as period_grain,
        (select min(days.day) from days) as period_start,
        entity_id,
        segment_by,
        segment,
        cycle_days,
        cast(sum(wins) as bigint) as wins
    from of_years
    group by entity_id, segment_by, segment, cycle_days

),

ranked as (

    select
        *,
        sum(wins) over (
            partition by period_grain, period_start, entity_id, segment_by, segment order by cycle_days
        ) as wins_up_to,
        sum(wins) over (partition by period_grain, period_start, entity_id, segment_by, segment) as all_wins
    from of_periods

),

-- A quantile lies between the two lengths that the place (n - 1) × share falls between, in the proportion that it does
-- (Hyndman & Fan 1996, The American Statistician 50:361-365, type 7); in hundredths, so that they are whole numbers.
measured as (

    select
        period_grain,
        period_start,
        entity_id,
        segment_by,
        segment,
        cast(sum(wins) as bigint) as won_deals,
        {%- for name, share in quantiles.items() %}
        {%- set place = '((all_wins - 1) * ' ~ (share * 100) | round | int ~ ')' %}
        {%- set below, above = 'floor(' ~ place ~ ' / 100)', 'ceil(' ~ place ~ ' / 100)' %}
        min(case when wins_up_to > {{ below }} then cycle_days end) * (100 - max({{ place }} % 100))
        + min(case when wins_up_to > {{ above }} then cycle_days end) * max({{ place }} % 100) as {{ name }},
        {%- endfor %}
        sum(cycle_days * wins) as all_days
    from ranked
    group by period_grain, period_start, entity_id, segment_by, segment

)

select
    measured.period_grain,
    measured.period_start,
    coalesce(periods.period_end, build.last_day) as period_end,
    coalesce(periods.is_complete, false) as is_complete,
    entities.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    measured.segment_by,
    measured.segment,
    measured.won_deals,
    case when measured.won_deals >= {{ fewest }} then 'enough' else 'too_few' end as status,
    {%- for name in quantiles %}
    case
        when measured.won_deals >= {{ fewest }} then cast(measured.{{ name }} / 100 as decimal(18, 2))
    end as {{ name }},
    {%- endfor %}
    case
        when measured.won_deals >= {{ fewest }}
            then cast(round(measured.all_days / measured.won_deals, 2) as decimal(18, 2))
    end as mean_days
from measured
cross join build
inner join entities
    on measured.entity_id = entities.entity_id
left join periods
    on measured.period_grain = periods.period_grain and measured.period_start = periods.period_start
