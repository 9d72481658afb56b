{%- set buckets = waterfall_buckets() %}
{%- set columns = ['opening'] + buckets.keys() | list + ['closing'] + buckets_within() %}
{%- set period = ['scope', 'period_grain', 'period_start'] %}

with

-- An amount of which nothing is known moves nothing.
waterfall as (

    select
        scope,
        period_grain,
        period_start,
        entity_level,
        entity_key,
        {%- for column in columns %}
        {{ column }}_deals,
        coalesce({{ column }}_amount, 0) as {{ column }}_amount,
        {%- endfor %}
        lag(closing_deals) over entity_history as closing_deals_before,
        lag(coalesce(closing_amount, 0)) over entity_history as closing_amount_before,
        lag(period_end) over entity_history + 1 = period_start as follows
    from {{ ref('pipeline_waterfall') }}
    window entity_history as (
        partition by scope, period_grain, entity_level, entity_key order by period_start
    )

),

of_rows as (

    select
        *,
        opening_deals
        {%- for bucket, sign in buckets.items() if bucket not in buckets_of_amounts() %}
        {{ '+' if sign > 0 else '-' }} {{ bucket }}_deals
        {%- endfor %} as deals_come_to,
        opening_amount
        {%- for bucket, sign in buckets.items() %}
        {{ '+' if sign > 0 else '-' }} {{ bucket }}_amount
        {%- endfor %} as amount_comes_to
    from waterfall

),

-- The parts of a company are its managers; what they hand to each other is nothing to it.
of_companies as (

    select
        {{ period | join(',\n        ') }}
        {%- for column in columns %}{% for what in ['deals', 'amount'] %},
        sum(case when entity_level = 'company' then {{ column }}_{{ what }} else -{{ column }}_{{ what }} end)
            as {{ column }}_{{ what }}_apart
        {%- endfor %}{% endfor %}
    from waterfall
    where entity_level in ('company', 'manager') and period_grain <> 'day'
    group by {{ period | join(', ') }}

),

-- The same pipeline as that of the KPIs.
measured as (

    select
        measured.period_grain,
        measured.period_start,
        entities.entity_level,
        entities.entity_key,
        measured.open_deals,
        coalesce(measured.open_amount, 0) as open_amount
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where
        measured.cut_id = {{ main_cut() }}
        and measured.period_grain <> 'day'
        and entities.entity_level <> 'manager_in_department'

),

measured_wins as (

    select
        measured.period_grain,
        measured.period_start,
        measured.won_deals
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where measured.cut_id = {{ main_cut() }} and entities.entity_level = 'company'

),

{{ wins_taken_back() }},

faults as (

    select
        'the closing is not what the movements come to' as fault,
        {{ period | join(',\n        ') }},
        entity_key
    from of_rows
    where deals_come_to <> closing_deals or amount_comes_to <> closing_amount

    union all

    select
        'the opening is not the closing before' as fault,
        {{ period | join(',\n        ') }},
        entity_key
    from of_rows
    where
        scope = 'open' and follows
        and (opening_deals <> closing_deals_before or opening_amount <> closing_amount_before)

    union all

    select
        'less than nothing' as fault,
        {{ period | join(',\n        ') }},
        entity_key
    from of_rows
    where
        least(increased_amount, decreased_amount) < 0
        {%- for column in columns %}
        or {{ column }}_deals < 0
        {%- endfor %}

    union all

    select
        'transfers do not net to zero in the company' as fault,
        {{ period | join(',\n        ') }},
        'company' as entity_key
    from of_companies
    where
        transferred_in_deals_apart <> transferred_out_deals_apart
        or transferred_in_amount_apart <> transferred_out_amount_apart

    union all

    select
        'a transfer of the company' as fault,
        {{ period | join(',\n        ') }},
        entity_key
    from of_rows
    where
        entity_level = 'company'
        and (transferred_in_deals <> 0 or transferred_out_deals <> 0)

    union all

    select
        'managers do not add up to the company' as fault,
        {{ period | join(',\n        ') }},
        'company' as entity_key
    from of_companies
    where
        false
        {%- for column in columns if not column.startswith('transferred') %}
        or {{ column }}_deals_apart <> 0
        or {{ column }}_amount_apart <> 0
        {%- endfor %}

    union all

    select
        'not the pipeline of the KPIs' as fault,
        'open' as scope,
        measured.period_grain,
        measured.period_start,
        measured.entity_key
    from measured
    left join of_rows
        on
            of_rows.scope = 'open'
            and measured.period_grain = of_rows.period_grain
            and measured.period_start = of_rows.period_start
            and measured.entity_level = of_rows.entity_level
            and measured.entity_key = of_rows.entity_key
    where
        measured.open_deals <> coalesce(of_rows.closing_deals, 0)
        or measured.open_amount <> coalesce(of_rows.closing_amount, 0)

    union all

    select
        'not the wins of the KPIs' as fault,
        of_rows.scope,
        of_rows.period_grain,
        of_rows.period_start,
        of_rows.entity_key
    from of_rows
    left join measured_wins
        on
            of_rows.period_grain = measured_wins.period_grain
            and of_rows.period_start = measured_wins.period_start
    left join taken_back
        on
            of_rows.entity_level = taken_back.entity_level
            and of_rows.period_grain = taken_back.period_grain
            and of_rows.period_start = taken_back.period_start
    where
        of_rows.entity_level = 'company'
        and of_rows.won_deals + of_rows.won_within_deals
        <> coalesce(measured_wins.won_deals, 0) + coalesce(taken_back.deals, 0)

)

select * from faults
order by fault, scope, period_grain, period_start, entity_key
