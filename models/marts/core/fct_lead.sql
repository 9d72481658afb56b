-- One row per lead, credited to the manager who had it and the department they were in when it was created.
with

leads as (

    {{ from_every_crm('lead') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

dated as (

    select
        *,
        coalesce(manager_id, {{ unassigned('lead_id') }}) as credited_manager_id,
        {{ business_date('created_at') }} as created_on
    from leads
    where not is_deleted

)

select
    dated.lead_id,
    dated.credited_manager_id as manager_id,
    assignments.department_id,
    dated.account_id,
    dated.deal_id,
    dated.lead_source,
    dated.created_at,
    dated.created_on,
    dated.converted_at,
    cast(null as timestamptz) as first_response_at,
    cast(null as decimal(10, 2)) as first_response_hours
from dated
left join assignments
    on
        dated.credited_manager_id = assignments.manager_id
        and dated.created_on >= assignments.valid_from
        and dated.created_on < assignments.valid_to
