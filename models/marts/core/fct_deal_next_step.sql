-- One row per deal and stretch of time in which a next step is planned: from when an activity for it was entered until
-- it was due, took place or was deleted, whatever came first. Stretches that overlap or follow at once are one.
with

activities as (

    {{ from_every_crm('activity') }}

),

-- What is neither due nor done is a wish: it is planned for no time.
steps as (

    select
        deal_id,
        created_at as planned_from,
        least(due_at, occurred_at, deleted_at) as planned_until
    from activities
    where
        deal_id is not null
        and coalesce(due_at, occurred_at) is not null
        and created_at < least(due_at, occurred_at, deleted_at)

),

preceded as (

    select
        *,
        max(planned_until) over (
            partition by deal_id
            order by planned_from, planned_until
            rows between unbounded preceding and 1 preceding
        ) as planned_so_far
    from steps

),

stretches as (

    select
        *,
        sum(case when planned_from <= planned_so_far then 0 else 1 end) over (
            partition by deal_id
            order by planned_from, planned_until
            rows between unbounded preceding and current row
        ) as stretch_number
    from preceded

),

merged as (

    select
        deal_id,
        min(planned_from) as planned_from,
        max(planned_until) as planned_until
    from stretches
    group by deal_id, stretch_number

)

select
    deal_id,
    planned_from,
    planned_until,
    {{ business_date('planned_from') }} as planned_from_on,
    {{ business_date('planned_until') }} as planned_until_on
from merged
