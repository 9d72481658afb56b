-- One row per stretch that had begun by `as_of` in which a deal has a next step planned, in business days: it is planned
-- on the evening of started_on and no longer on the evening of ended_on.
with

build as (

    select * from {{ ref('build_moment') }}

),

steps as (

    select * from {{ ref('fct_deal_next_step') }}

)

select
    steps.deal_id,
    steps.planned_from_on as started_on,
    case when steps.planned_until < build.as_of then steps.planned_until_on end as ended_on
from steps
cross join build
where
    steps.planned_from < build.as_of
    -- one that begins and ends on a day is planned on no evening
    and (steps.planned_until >= build.as_of or steps.planned_from_on < steps.planned_until_on)
