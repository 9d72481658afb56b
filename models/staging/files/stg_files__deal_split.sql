-- One row per share of a deal; an export says nothing of shares, so there are none.
select
    cast(null as varchar) as deal_id,
    cast(null as varchar) as manager_id,
    cast(null as decimal(9, 8)) as share,
    cast(null as date) as valid_from
where false
