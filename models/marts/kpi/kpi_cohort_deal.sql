-- One row per deal that stands as created: who is credited with its creation, and what has become of it by `as_of`.
with

build as (

    select * from {{ ref('build_moment') }}

),

events as (

    select * from {{ ref('kpi_counted_event') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

-- What was taken back, by a deletion, a merge or a correction, comes to nothing.
creations as (

    select
        deal_id,
        manager_id,
        department_id,
        organisation_id,
        pipeline_id,
        credited_on as created_on
    from events
    where event_type = 'created'
    group by deal_id, manager_id, department_id, organisation_id, pipeline_id, credited_on
    having sum(sign) > 0

),

-- A deal that was reopened is as it was closed last, or open.
closings as (

    select
        deal_id,
        event_type as outcome,
        credited_on as closed_on,
        row_number() over (partition by deal_id order by credited_on desc, event_type desc) as recency
    from events
    where event_type in ('won', 'lost')
    group by deal_id, event_type, credited_on
    having sum(sign) > 0

),

-- A number stands for the three in what is summed from here.
seats as (

    select
        organisation_id,
        manager_id,
        department_id,
        cast(row_number() over (order by organisation_id, manager_id, department_id) as integer) as seat_id
    from creations
    group by organisation_id, manager_id, department_id

)

select
    creations.deal_id,
    creations.manager_id,
    creations.department_id,
    creations.organisation_id,
    seats.seat_id,
    creations.pipeline_id,
    creations.created_on,
    days.month_start,
    coalesce(closings.outcome, 'open') as outcome,
    closings.closed_on,
    -- a CRM may date a closing before the creation
    cast(greatest(coalesce(closings.closed_on, build.last_day) - creations.created_on, 0) as integer) as followed_days
from creations
cross join build
inner join seats
    on
        creations.organisation_id = seats.organisation_id
        and creations.manager_id = seats.manager_id
        and creations.department_id = seats.department_id
inner join days
    on creations.created_on = days.day
left join closings
    on creations.deal_id = closings.deal_id and closings.recency = 1
