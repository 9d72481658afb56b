-- One row per activity that took place, credited to whoever did it and the department they were in then.
with

activities as (

    {{ from_every_crm('activity') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

dated as (

    select
        *,
        coalesce(manager_id, {{ unassigned('activity_id') }}) as credited_manager_id,
        {{ business_date('occurred_at') }} as occurred_on
    from activities
    where not is_deleted and occurred_at is not null

)

select
    dated.activity_id,
    dated.activity_type,
    dated.credited_manager_id as manager_id,
    assignments.department_id,
    dated.deal_id,
    dated.lead_id,
    dated.account_id,
    dated.occurred_at,
    dated.occurred_on
from dated
left join assignments
    on
        dated.credited_manager_id = assignments.manager_id
        and dated.occurred_on >= assignments.valid_from
        and dated.occurred_on < assignments.valid_to
