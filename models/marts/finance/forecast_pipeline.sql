-- One row per complete month, entity, and group of deals that were open at its end (by stage and age): how many and how
-- much; and, of each later month and month at whose end it was known, what was won of them.
with

months as (

    select * from {{ ref('forecast_month') }}
    where is_complete

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

bridge as (

    select
        bridge.organisation_id,
        bridge.manager_id,
        bridge.department_id,
        entities.entity_level,
        entities.entity_key
    from {{ ref('bridge_entity') }} as bridge
    inner join {{ ref('dim_entity') }} as entities
        on bridge.entity_id = entities.entity_id
    where entities.entity_level in ('company', 'department', 'manager')

),

open_deals as (

    select
        deals.period_number,
        deals.deal_id,
        organisations.organisation_id,
        deals.manager_id,
        deals.department_id,
        deals.stage_id,
        -- 0, 1, 2 to 3, 4 to 7 months, and so on: the older a deal, the less a month more tells of it
        cast(floor(log2(deals.months_open + 1)) as integer) as age_group,
        deals.amount,
        deals.is_of_prospect
    from {{ ref('forecast_open_deal') }} as deals
    inner join months
        on deals.period_number = months.period_number
    inner join organisations
        on months.period_end >= organisations.valid_from and months.period_end < organisations.valid_to

),

won as (

    select
        events.deal_id,
        events.sign,
        events.sign * events.amount as amount,
        happened.period_number,
        greatest(happened.period_number, recorded.period_number) as known_number
    from {{ ref('kpi_counted_event') }} as events
    inner join months as happened
        on events.occurred_on between happened.period_start and happened.period_end
    inner join months as recorded
        on events.recorded_at >= recorded.known_from and events.recorded_at < recorded.known_until
    where events.event_type = 'won'

),

-- Month 0 is that of the origin: what is open then.
followed as (

    select
        period_number,
        organisation_id,
        manager_id,
        department_id,
        stage_id,
        age_group,
        0 as months_later,
        period_number as known_number,
        1 as deals,
        amount,
        case when is_of_prospect then 1 else 0 end as prospects
    from open_deals

    union all

    select
        open_deals.period_number,
        open_deals.organisation_id,
        open_deals.manager_id,
        open_deals.department_id,
        open_deals.stage_id,
        open_deals.age_group,
        won.period_number - open_deals.period_number as months_later,
        won.known_number,
        won.sign as deals,
        won.amount,
        case when open_deals.is_of_prospect then won.sign else 0 end as prospects
    from open_deals
    inner join won
        on
            open_deals.deal_id = won.deal_id
            and open_deals.period_number < won.period_number
            and open_deals.period_number + {{ forecast_horizon() | int }} >= won.period_number

)

select
    followed.period_number,
    bridge.entity_level,
    bridge.entity_key,
    followed.stage_id,
    followed.age_group,
    cast(followed.months_later as integer) as months_later,
    followed.known_number,
    cast(sum(followed.deals) as bigint) as deals,
    cast(coalesce(sum(followed.amount), 0) as decimal(38, 2)) as amount,
    cast(sum(followed.prospects) as bigint) as prospects
from followed
inner join bridge
    on
        followed.organisation_id = bridge.organisation_id
        and followed.manager_id = bridge.manager_id
        and followed.department_id = bridge.department_id
group by
    followed.period_number, bridge.entity_level, bridge.entity_key, followed.stage_id, followed.age_group,
    followed.months_later, followed.known_number
