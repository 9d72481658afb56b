-- One row per share of a manager in a deal and the days on which it holds. On each of these days the shares that are no
-- overlay are exactly one together; a deal has no row for the days on which nobody shares it.
with

stated as (

    {{ from_every_crm('deal_split') }}

),

added_up as (

    select
        deal_id,
        is_overlay,
        coalesce(valid_from, date '0001-01-01') as valid_from,
        manager_id,
        cast(sum(share) * 100000000 as bigint) as parts
    from stated
    group by deal_id, is_overlay, coalesce(valid_from, date '0001-01-01'), manager_id

),

-- A set holds until the next one; nobody shares the deal from a set of nothing on.
sets as (

    select
        deal_id,
        is_overlay,
        valid_from,
        coalesce(
            lead(valid_from) over (partition by deal_id, is_overlay order by valid_from), date '9999-12-31'
        ) as valid_to,
        cast(sum(parts) filter (where parts > 0) as bigint) as parts
    from added_up
    group by deal_id, is_overlay, valid_from

),

-- A set that is to be one is divided by its sum, an overlay by one.
proportions as (

    select
        added_up.deal_id,
        added_up.manager_id,
        added_up.is_overlay,
        sets.valid_from,
        sets.valid_to,
        added_up.parts * 1000000 as dividend,
        case when added_up.is_overlay then 100000000 else sets.parts end as divisor
    from added_up
    inner join sets
        on
            added_up.deal_id = sets.deal_id
            and added_up.is_overlay = sets.is_overlay
            and added_up.valid_from = sets.valid_from
    where added_up.parts > 0

),

-- In millionths, cut off. What was cut off goes to the largest remainders, a millionth each.
cut_off as (

    select
        deal_id,
        manager_id,
        is_overlay,
        valid_from,
        valid_to,
        cast((dividend - dividend % divisor) / divisor as bigint) as millionths,
        dividend % divisor as remainder
    from proportions

),

ranked as (

    select
        *,
        1000000 - sum(millionths) over (partition by deal_id, is_overlay, valid_from) as left_over,
        row_number() over (
            partition by deal_id, is_overlay, valid_from order by remainder desc, manager_id asc
        ) as place
    from cut_off

),

shares as (

    select
        deal_id,
        manager_id,
        is_overlay,
        valid_from,
        valid_to,
        case when not is_overlay and place <= left_over then millionths + 1 else millionths end as millionths
    from ranked

)

select
    deal_id,
    manager_id,
    cast(millionths * cast(0.000001 as decimal(6, 6)) as decimal(9, 6)) as share,
    is_overlay,
    valid_from,
    valid_to
from shares
where millionths > 0
