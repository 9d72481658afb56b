select
    deal_id,
    valid_from,
    sum(share) as share
from {{ ref('deal_share') }}
where not is_overlay
group by deal_id, valid_from
having sum(share) <> 1
