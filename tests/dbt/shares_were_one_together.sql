{{ config(severity='warn') }}

with

splits as (

    {{ from_every_crm('deal_split') }}

)

select
    'deal ' || deal_id || coalesce(' from ' || cast(valid_from as varchar) || ' on', '') || ': '
    || cast(sum(share) as decimal(9, 6)) as problem
from splits
where not is_overlay
group by deal_id, valid_from
-- a third has no end; a set of nothing ends the sharing
having (sum(share) <> 0 and abs(sum(share) - 1) > 0.001) or min(share) < 0
order by deal_id, valid_from
