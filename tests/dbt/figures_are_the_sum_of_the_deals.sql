with

deals as (

    select * from {{ ref('fct_deal') }}

),


-- What the list of deals says, what the ledger says, and what the open deals of the KPIs say.
sums as (

    select
        'list' as said_by,
        manager_id,
        case when outcome in ('won', 'open') then amount end as amount,
        1 as sign,
        outcome
    from deals

    union all

    select
        'figures' as said_by,
        manager_id,
        case when event_type = 'won' then sign * amount end as amount,
        sign,
        event_type as outcome
    from {{ ref('kpi_counted_event') }}
    where event_type in ('won', 'lost')

    union all

    select
        'figures' as said_by,
        manager_id,
        amount,
        1 as sign,
        'open' as outcome
    from {{ ref('kpi_open_interval') }}
    where ended_on is null

),

compared as (

    select
        manager_id,
        outcome,
        coalesce(sum(sign) filter (where said_by = 'list'), 0) as listed_count,
        coalesce(sum(sign) filter (where said_by = 'figures'), 0) as counted_count,
        coalesce(sum(amount) filter (where said_by = 'list'), 0) as listed_amount,
        coalesce(sum(amount) filter (where said_by = 'figures'), 0) as counted_amount
    from sums
    group by manager_id, outcome

),

-- The ledger at the coarsest grain of the KPIs, for the whole company.
totals as (

    select
        'company, all years' as manager_id,
        'won' as outcome,
        sum(measured.won_deals) as listed_count,
        (select sum(sign) from {{ ref('kpi_counted_event') }} where event_type = 'won') as counted_count,
        sum(measured.won_amount) as listed_amount,
        (select sum(sign * amount) from {{ ref('kpi_counted_event') }} where event_type = 'won') as counted_amount
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    where
        measured.cut_id = {{ main_cut() }} and entities.entity_level = 'company' and measured.period_grain = 'year'

)

select * from compared
where listed_count <> counted_count or listed_amount <> counted_amount
union all
select * from totals
where
    coalesce(listed_count, 0) <> coalesce(counted_count, 0) or coalesce(listed_amount, 0) <> coalesce(counted_amount, 0)
order by manager_id, outcome
