with recursive

deals as (

    select * from {{ ref('int_deal__knowledge') }}
    where is_last_version and known_until is null

),

-- Where each merged deal went, and where that one went; pairs that come again end it.
followed as (

    select
        deal_id,
        merged_into_deal_id
    from deals
    where merged_into_deal_id is not null

    union

    select
        followed.deal_id,
        deals.merged_into_deal_id
    from followed
    inner join deals
        on followed.merged_into_deal_id = deals.deal_id
    where deals.merged_into_deal_id is not null

),

problems as (

    select
        followed.deal_id,
        'deal ' || followed.deal_id || ' was merged into '
        || case
            when deals.deal_id is null then followed.merged_into_deal_id || ', which nobody knows'
            else 'itself'
        end as problem
    from followed
    left join deals
        on followed.merged_into_deal_id = deals.deal_id
    where deals.deal_id is null or followed.merged_into_deal_id = followed.deal_id

)

select problem
from problems
order by deal_id, problem
