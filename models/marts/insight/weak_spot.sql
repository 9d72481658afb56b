-- One row per cohort of deals (by the quarter or year of their creation), department or manager, and spot where they
-- may be worse than others: a stage's conversion or time, a pipeline's win rate, a reason for losing.
--
-- Whoever is compared is compared with what others have with the same mix of products and lead sources: each of their
-- deals is given the figure that peers have with such deals. Peers are all others of the company. The median peer is
-- reckoned from how far each of them is from the company with their own mix.
{%- set fewest = company().definitions.min_comparison_sample %}
{%- set sums = {
    'deals': 'bigint', 'total': 'decimal(38, 12)', 'passed_deals': 'bigint', 'won_amount': 'decimal(18, 2)',
} %}
{%- set a_share = "<> 'stage_time'" %}

with

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

periods as (

    select
        *,
        cast(row_number() over (order by period_grain, period_start) as integer) as period_id
    from {{ ref('dim_period') }}
    where period_grain in ('quarter', 'year')

),

entities as (

    select * from {{ ref('dim_entity') }}

),

closure as (

    select * from {{ ref('dim_department_closure') }}

),

deals as (

    select * from {{ ref('kpi_cohort_deal') }}

),

contents as (

    select * from {{ ref('fct_deal') }}

),

{{ progress_of_deals() }},

{{ seats_of_cohorts() }},

{{ entities_of_seats() }},

---------- the deals, with what they are compared by

mixes as (

    select
        product,
        lead_source,
        cast(row_number() over (order by product, lead_source) as integer) as mix_id
    from contents
    group by product, lead_source

),

pipelines as (

    select
        pipeline_id,
        cast(row_number() over (order by pipeline_id) as integer) as pipeline_key
    from deals
    group by pipeline_id

),

compared as (

    select
        deals.deal_id,
        deals.seat_id,
        days.quarter_start,
        pipelines.pipeline_key,
        mixes.mix_id,
        deals.outcome,
        case when deals.outcome = 'won' then coalesce(contents.amount, 0) else 0 end as won_amount,
        case when deals.outcome = 'lost' then contents.loss_reason end as loss_reason
    from deals
    inner join days
        on deals.created_on = days.day
    inner join pipelines
        on deals.pipeline_id = pipelines.pipeline_id
    inner join contents
        on deals.deal_id = contents.deal_id
    inner join mixes
        on
            contents.product is not distinct from mixes.product
            and contents.lead_source is not distinct from mixes.lead_source

),

---------- the spots

reasons as (

    select
        pipeline_key,
        loss_reason
    from compared
    where loss_reason is not null
    group by pipeline_key, loss_reason

),

places as (

    {% for kind in ['stage_conversion', 'stage_time'] %}
    select
        '{{ kind }}' as kind,
        pipelines.pipeline_key,
        stages.stage_key,
        cast(null as varchar) as loss_reason
    from stages
    inner join pipelines
        on stages.pipeline_id = pipelines.pipeline_id

    union all
    {% endfor %}
    select
        'win_rate' as kind,
        pipeline_key,
        cast(null as integer) as stage_key,
        cast(null as varchar) as loss_reason
    from pipelines

    union all

    select
        'loss_reason' as kind,
        pipeline_key,
        cast(null as integer) as stage_key,
        loss_reason
    from reasons

),

spots as (

    select
        *,
        cast(row_number() over (order by kind, pipeline_key, stage_key, loss_reason) as integer) as spot_id
    from places

),

---------- what there is in each spot, by the deals' quarter, seat and mix; a total of hits, or of logarithms of days

-- Of those who came into a stage: who went on, and who was lost in it. Who is still there says nothing yet.
of_conversions as (

    select
        compared.quarter_start,
        compared.seat_id,
        spots.spot_id,
        compared.mix_id,
        count(*) as deals,
        cast(count(*) filter (where progress.has_converted) as decimal(38, 12)) as total,
        count(*) filter (where progress.has_converted and compared.outcome <> 'open') as passed_deals,
        cast(sum(compared.won_amount) as decimal(18, 2)) as won_amount
    from progress
    inner join compared
        on progress.deal_id = compared.deal_id
    inner join spots
        on progress.stage_key = spots.stage_key and spots.kind = 'stage_conversion'
    where progress.has_reached and (progress.has_converted or compared.outcome = 'lost')
    group by compared.quarter_start, compared.seat_id, spots.spot_id, compared.mix_id

),

-- Days are skewed, and what doubles a stay is the same to a short one and a long one: logarithms, of 1 + days as 0 is
-- one of them, with a fixed number of decimals, so that their sum is the same in whatever order it is taken.
lengths as (

    select
        compared.quarter_start,
        compared.seat_id,
        spots.spot_id,
        compared.mix_id,
        cast(ln(cast(1 + greatest(deal_stays.days, 0) as double)) as decimal(18, 12)) as log_days
    from deal_stays
    inner join compared
        on deal_stays.deal_id = compared.deal_id
    inner join spots
        on deal_stays.stage_key = spots.stage_key and spots.kind = 'stage_time'
    where deal_stays.is_finished

),

of_times as (

    select
        quarter_start,
        seat_id,
        spot_id,
        mix_id,
        count(*) as deals,
        cast(sum(log_days) as decimal(38, 12)) as total,
        count(*) as passed_deals,
        cast(0 as decimal(18, 2)) as won_amount
    from lengths
    group by quarter_start, seat_id, spot_id, mix_id

),

of_closings as (

    select
        compared.quarter_start,
        compared.seat_id,
        spots.spot_id,
        compared.mix_id,
        count(*) as deals,
        cast(count(*) filter (where compared.outcome = 'won') as decimal(38, 12)) as total,
        count(*) filter (where compared.outcome = 'won') as passed_deals,
        cast(sum(compared.won_amount) as decimal(18, 2)) as won_amount
    from compared
    inner join spots
        on compared.pipeline_key = spots.pipeline_key and spots.kind = 'win_rate'
    where compared.outcome <> 'open'
    group by compared.quarter_start, compared.seat_id, spots.spot_id, compared.mix_id

),

-- Those that were lost for it; of how many that were closed is told by the win rate of the pipeline.
of_reasons as (

    select
        compared.quarter_start,
        compared.seat_id,
        spots.spot_id,
        compared.mix_id,
        count(*) as deals,
        cast(count(*) as decimal(38, 12)) as total,
        cast(0 as bigint) as passed_deals,
        cast(0 as decimal(18, 2)) as won_amount
    from compared
    inner join spots
        on compared.pipeline_key = spots.pipeline_key and compared.loss_reason = spots.loss_reason
    group by compared.quarter_start, compared.seat_id, spots.spot_id, compared.mix_id

),

tallied as (

    {% for relation in ['of_conversions', 'of_times', 'of_closings', 'of_reasons'] %}
    select
        quarter_start,
        seat_id,
        spot_id,
        {%- for column in sums %}
        {{ column }},
        {%- endfor %}
        mix_id
    from {{ relation }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

---------- summed for entities, by quarter and year

of_quarters as (

    select
        tallied.quarter_start,
        entities_of_seats.entity_id,
        tallied.spot_id,
        {%- for column, type in sums.items() %}
        cast(sum(tallied.{{ column }}) as {{ type }}) as {{ column }},
        {%- endfor %}
        tallied.mix_id
    from tallied
    inner join entities_of_seats
        on tallied.seat_id = entities_of_seats.seat_id
    group by tallied.quarter_start, entities_of_seats.entity_id, tallied.spot_id, tallied.mix_id

),

cohorts as (

    {% for grain in ['quarter', 'year'] %}
    select
        days.quarter_start,
        periods.period_id
    from days
    inner join periods
        on periods.period_grain = '{{ grain }}' and days.{{ grain }}_start = periods.period_start
    where days.is_covered
    {% if not loop.last %}union{% endif %}
    {%- endfor %}

),

summed as (

    select
        cohorts.period_id,
        of_quarters.entity_id,
        of_quarters.spot_id,
        {%- for column, type in sums.items() %}
        cast(sum(of_quarters.{{ column }}) as {{ type }}) as {{ column }},
        {%- endfor %}
        of_quarters.mix_id
    from of_quarters
    inner join cohorts
        on of_quarters.quarter_start = cohorts.quarter_start
    group by cohorts.period_id, of_quarters.entity_id, of_quarters.spot_id, of_quarters.mix_id

),

-- Reasons have the same base as the wins, all that was closed, also where nothing was lost for them.
of_mixes as (

    select
        summed.period_id,
        summed.entity_id,
        summed.spot_id,
        {%- for column in sums %}
        summed.{{ column }},
        {%- endfor %}
        summed.mix_id
    from summed
    inner join spots
        on summed.spot_id = spots.spot_id
    where spots.kind <> 'loss_reason'

    union all

    select
        closed.period_id,
        closed.entity_id,
        spots.spot_id,
        closed.deals,
        coalesce(lost.total, 0) as total,
        closed.deals - coalesce(lost.deals, 0) as passed_deals,
        closed.won_amount,
        closed.mix_id
    from summed as closed
    inner join spots as win_rates
        on closed.spot_id = win_rates.spot_id and win_rates.kind = 'win_rate'
    inner join spots
        on win_rates.pipeline_key = spots.pipeline_key and spots.kind = 'loss_reason'
    left join summed as lost
        on
            closed.period_id = lost.period_id
            and closed.entity_id = lost.entity_id
            and spots.spot_id = lost.spot_id
            and closed.mix_id = lost.mix_id

),

company_mixes as (

    select of_mixes.*
    from of_mixes
    inner join entities
        on of_mixes.entity_id = entities.entity_id
    where entities.entity_level = 'company'

),

company_spots as (

    select
        period_id,
        {%- for column, type in sums.items() %}
        cast(sum({{ column }}) as {{ type.replace('(18', '(38') }}) as {{ column }},
        {%- endfor %}
        spot_id
    from company_mixes
    group by period_id, spot_id

),

---------- standardised

-- Of a mix that peers have too rarely, nothing can be said: its deals get the figure that peers have over all mixes.
standardised as (

    select
        own.period_id,
        own.spot_id,
        own.entity_id,
        {%- for column, type in sums.items() %}
        cast(sum(own.{{ column }}) as {{ type }}) as {{ column }},
        {%- endfor %}
        sum(
            cast(own.deals * (company_mixes.total / company_mixes.deals) as decimal(28, 12))
        ) as company_total,
        sum(case when company_mixes.deals - own.deals < {{ fewest }} then own.deals else 0 end) as rare_deals,
        sum(
            case
                when company_mixes.deals - own.deals >= {{ fewest }}
                    then cast(
                        own.deals * ((company_mixes.total - own.total) / (company_mixes.deals - own.deals))
                        as decimal(28, 12)
                    )
            end
        ) as peer_total,
        sum(
            case when company_mixes.passed_deals - own.passed_deals < {{ fewest }} then own.deals else 0 end
        ) as rarely_passed_deals,
        sum(
            case
                when company_mixes.passed_deals - own.passed_deals >= {{ fewest }}
                    then cast(
                        own.deals * (
                            (company_mixes.won_amount - own.won_amount)
                            / (company_mixes.passed_deals - own.passed_deals)
                        ) as decimal(18, 2)
                    )
            end
        ) as peer_worth
    from of_mixes as own
    inner join company_mixes
        on
            own.period_id = company_mixes.period_id
            and own.spot_id = company_mixes.spot_id
            and own.mix_id = company_mixes.mix_id
    where own.entity_id not in (select entities.entity_id from entities where entities.entity_level = 'company')
    group by own.period_id, own.spot_id, own.entity_id

),

---------- what is the same of all mixes

still_open as (

    select
        cohorts.period_id,
        compared.pipeline_key
    from compared
    inner join cohorts
        on compared.quarter_start = cohorts.quarter_start
    where compared.outcome = 'open'
    group by cohorts.period_id, compared.pipeline_key

),

squares_of_seats as (

    select
        quarter_start,
        seat_id,
        spot_id,
        cast(
            sum(cast(cast(log_days as double) * cast(log_days as double) as decimal(18, 12))) as decimal(38, 12)
        ) as squares
    from lengths
    group by quarter_start, seat_id, spot_id

),

squares as (

    select
        cohorts.period_id,
        squares_of_seats.spot_id,
        entities_of_seats.entity_id,
        cast(sum(squares_of_seats.squares) as double) as squares
    from squares_of_seats
    inner join cohorts
        on squares_of_seats.quarter_start = cohorts.quarter_start
    inner join entities_of_seats
        on squares_of_seats.seat_id = entities_of_seats.seat_id
    group by cohorts.period_id, squares_of_seats.spot_id, entities_of_seats.entity_id

),

depths as (

    select
        department_id,
        max(depth) as depth
    from closure
    group by department_id

),

measured as (

    select
        own.period_id,
        own.spot_id,
        own.entity_id,
        spots.kind,
        own.deals,
        own.total,
        own.deals >= {{ fewest }} as is_enough,
        entities.entity_level,
        -- a department has as peers those that are as far from the top
        entities.entity_level || coalesce(depths.depth, 0) as peer_group,
        still_open.period_id is not null as has_open_deals,
        own.total / own.deals as own_mean,
        own.company_total / own.deals as company_mean,
        case
            when company_spots.deals - own.deals >= {{ fewest }}
                then (
                    coalesce(own.peer_total, 0)
                    + own.rare_deals * (company_spots.total - own.total) / (company_spots.deals - own.deals)
                ) / own.deals
        end as peer_mean,
        case
            when company_spots.passed_deals - own.passed_deals >= {{ fewest }} and spots.kind {{ a_share }}
                then (
                    coalesce(own.peer_worth, 0)
                    + own.rarely_passed_deals * (company_spots.won_amount - own.won_amount)
                    / (company_spots.passed_deals - own.passed_deals)
                ) / own.deals
        end as deal_worth,
        greatest(
            squares.squares - cast(own.total as double) * cast(own.total as double) / own.deals, 0
        ) as squared_deviations
    from standardised as own
    inner join company_spots
        on
            own.period_id = company_spots.period_id and own.spot_id = company_spots.spot_id
    inner join spots
        on own.spot_id = spots.spot_id
    inner join entities
        on own.entity_id = entities.entity_id
    left join depths
        on entities.department_id = depths.department_id
    left join still_open
        on own.period_id = still_open.period_id and spots.pipeline_key = still_open.pipeline_key
    left join squares
        on own.period_id = squares.period_id and own.spot_id = squares.spot_id and own.entity_id = squares.entity_id

),

---------- how far peers are apart

placed as (

    select
        *,
        cast(own_mean - company_mean as decimal(28, 12)) as deviation,
        row_number() over (
            partition by period_id, spot_id, peer_group
            order by cast(own_mean - company_mean as decimal(28, 12)), entity_id
        ) as place,
        count(*) over (partition by period_id, spot_id, peer_group) as members
    from measured
    where is_enough

),

-- For the median of all but one: the two in the middle, and those next to them.
groups as (

    select
        period_id, spot_id,
        peer_group,
        {%- for column, position in [
            ('low', 'floor(members / 2)'), ('above_low', 'floor(members / 2) + 1'),
            ('high', 'floor((members - 1) / 2) + 1'), ('above_high', 'floor((members - 1) / 2) + 2'),
        ] %}
        max(case when place = {{ position }} then deviation end) as {{ column }},
        {%- endfor %}
        count(*) as members,
        sum(deals) as deals,
        sum(deals * deals) as squared_deals,
        cast(sum(cast(squared_deviations as decimal(28, 12))) as double) as squared_deviations,
        cast(sum(
            case
                when kind = 'stage_time'
                    then cast(deals * deviation * cast(deviation as double) as decimal(28, 12))
                when company_mean > 0 and company_mean < 1
                    then cast(
                        deals * deviation * cast(deviation as double) / (company_mean * (1 - company_mean))
                        as decimal(28, 12)
                    )
                else 0
            end
        ) as double) as spread
    from placed
    group by period_id, spot_id, peer_group

),

-- The share of the variance that is between entities, by the method of moments: of shares as Kleinman (1973, Journal of
-- the American Statistical Association 68:46-54) has it for beta-binomial counts; of logarithms of days, in terms of
-- the variance within, as DerSimonian & Laird (1986, Controlled Clinical Trials 7:177-188).
judged as (

    select
        placed.*,
        groups.members - 1 as peers,
        (
            case when placed.place > floor(placed.members / 2) then groups.low else groups.above_low end
            + case
                when placed.place > floor((placed.members - 1) / 2) + 1 then groups.high
                else groups.above_high
            end
        ) / 2 as median_deviation,
        case
            when groups.members < 2 then null
            when placed.kind = 'stage_time'
                then greatest(
                    (
                        groups.spread / nullif(groups.squared_deviations / (groups.deals - groups.members), 0)
                        - (groups.members - 1)
                    ) / (groups.deals - groups.squared_deals / groups.deals),
                    0
                )
            else least(
                greatest(
                    (groups.spread - (groups.members - 1))
                    / (groups.deals - groups.members - groups.squared_deals / groups.deals + 1),
                    0
                ),
                1
            )
        end as share_between
    from placed
    inner join groups
        on
            placed.period_id = groups.period_id
            and placed.spot_id = groups.spot_id
            and placed.peer_group = groups.peer_group

),

weighed as (

    select
        *,
        case
            when kind = 'stage_time' then deals * share_between / (1 + deals * share_between)
            else deals * share_between / (1 + (deals - 1) * share_between)
        end as weight,
        {{ student_quantile('(deals - 1)') }} * sqrt(squared_deviations / (deals - 1) / deals) as margin
    from judged

),

-- Back from logarithms to days.
told as (

    select
        *,
        {%- for column, share, days in [
            ('value', 'own_mean', 'own_mean'),
            ('peer_value', 'peer_mean', 'peer_mean'),
            (
                'peer_median', 'case when median_deviation < -company_mean then 0 else '
                ~ 'case when median_deviation > 1 - company_mean then 1 else company_mean + median_deviation end end',
                'company_mean + median_deviation'
            ),
            ('value_low', wilson_with_correction('total', 'deals', '-'), 'own_mean - margin'),
            ('value_high', wilson_with_correction('total', 'deals', '+'), 'own_mean + margin'),
            ('shrunk_value', 'peer_mean + weight * (own_mean - peer_mean)', 'peer_mean + weight * (own_mean - peer_mean)'),
        ] %}
        cast(
            case
                when kind = 'stage_time' then exp(case when {{ days }} < 0 then 0 else {{ days }} end) - 1
                else {{ share }}
            end as decimal(28, 10)
        ) as {{ column }},
        {%- endfor %}
        cast(deal_worth as decimal(18, 2)) as worth
    from weighed

),

-- More is worse for stays and reasons.
leaks as (

    select
        period_id,
        spot_id,
        entity_id,
        value,
        peer_value,
        peer_median,
        value_low,
        value_high,
        shrunk_value,
        worth,
        {%- for gap, of_more, of_less in [
            ('gap', 'value', 'value'), ('gap_low', 'value_low', 'value_high'), ('gap_high', 'value_high', 'value_low'),
            ('shrunk_gap', 'shrunk_value', 'shrunk_value'),
        ] %}
        case
            when kind in ('stage_time', 'loss_reason') then {{ of_more }} - peer_median
            else peer_median - {{ of_less }}
        end as {{ gap }},
        {%- endfor %}
        case
            when kind in ('stage_time', 'loss_reason') then value_low > peer_value
            else value_high < peer_value
        end as is_weak
    from told

),

priced as (

    select
        measured.period_id,
        measured.spot_id,
        measured.entity_id,
        measured.entity_level,
        measured.kind,
        measured.deals,
        measured.has_open_deals,
        leaks.value,
        leaks.peer_value,
        leaks.peer_median,
        leaks.value_low,
        leaks.value_high,
        leaks.shrunk_value,
        leaks.worth,
        leaks.gap,
        case
            when not measured.is_enough then 'too_few'
            when leaks.peer_value is null then 'no_peers'
            else 'enough'
        end as status,
        {%- for leak, gap in [
            ('leak_amount', 'leaks.gap'), ('leak_low', 'leaks.gap_low'), ('leak_high', 'leaks.gap_high'),
            ('shrunk_leak_amount', 'least(leaks.shrunk_gap, leaks.gap)'),
        ] %}
        case
            when leaks.gap > 0 and leaks.worth is not null
                then cast(
                    round(
                        cast(measured.deals as decimal(19, 0)) * cast(greatest({{ gap }}, 0) as decimal(11, 10))
                        * leaks.worth, 2
                    ) as decimal(18, 2)
                )
        end as {{ leak }},
        {%- endfor %}
        coalesce(leaks.is_weak, false) as is_weak
    from measured
    left join leaks
        on
            measured.period_id = leaks.period_id
            and measured.spot_id = leaks.spot_id
            and measured.entity_id = leaks.entity_id

)

select
    ---------- whose, of when, where
    periods.period_grain,
    periods.period_start,
    periods.period_end,
    periods.is_complete and not priced.has_open_deals as is_complete,
    priced.entity_level,
    entities.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    priced.kind,
    pipelines.pipeline_id,
    coalesce(stages.stage_id, {{ no_property() }}) as stage_id,
    stages.stage_name,
    coalesce(spots.loss_reason, {{ no_property() }}) as loss_reason,

    ---------- against whom
    priced.value,
    priced.peer_value,
    priced.peer_median,
    priced.value_low,
    priced.value_high,
    priced.shrunk_value,
    cast(priced.deals as bigint) as sample_size,
    priced.status,
    priced.is_weak,

    ---------- what it costs
    cast(priced.gap as decimal(28, 10)) as gap,
    priced.worth as deal_worth,
    priced.leak_amount,
    priced.leak_low,
    priced.leak_high,
    priced.shrunk_leak_amount,
    case
        when priced.shrunk_leak_amount is not null
            then cast(
                rank() over (
                    partition by priced.period_id, priced.entity_level, priced.kind
                    order by priced.shrunk_leak_amount desc nulls last
                ) as integer
            )
    end as leak_rank
from priced
inner join spots
    on priced.spot_id = spots.spot_id
inner join pipelines
    on spots.pipeline_key = pipelines.pipeline_key
left join stages
    on spots.stage_key = stages.stage_key
inner join periods
    on priced.period_id = periods.period_id
inner join entities
    on priced.entity_id = entities.entity_id
