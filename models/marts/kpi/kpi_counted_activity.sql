-- One row per activity that had happened by `as_of`.
with

build as (

    select * from {{ ref('build_moment') }}

),

activities as (

    select * from {{ ref('fct_activity') }}

)

select
    activities.activity_id,
    activities.activity_type,
    activities.manager_id,
    activities.department_id,
    activities.deal_id,
    activities.lead_id,
    activities.account_id,
    activities.occurred_at,
    activities.occurred_on
from activities
cross join build
where activities.occurred_at < build.as_of
