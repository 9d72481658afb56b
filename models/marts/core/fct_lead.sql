-- One row per lead, credited to the manager who had it and the department they were in when it was created.
with

leads as (

    {{ from_every_crm('lead') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

activities as (

    select * from {{ ref('fct_activity') }}

),

build as (

    select * from {{ ref('build_moment') }}

),

days as (

    select * from {{ ref('dim_day') }}

),

dated as (

    select
        *,
        coalesce(manager_id, {{ unassigned('lead_id') }}) as credited_manager_id,
        {{ business_date('created_at') }} as created_on
    from leads
    where not is_deleted

),

-- What served the lead, or the deal that it became. A task is a note of what is to be done, and no answer.
answers as (

    select
        dated.lead_id,
        activities.occurred_at
    from dated
    inner join activities
        on dated.lead_id = activities.lead_id
    where activities.activity_type <> 'task' and activities.occurred_at >= dated.created_at

    union all

    select
        dated.lead_id,
        activities.occurred_at
    from dated
    inner join activities
        on dated.deal_id = activities.deal_id
    where activities.activity_type <> 'task' and activities.occurred_at >= dated.created_at

),

first_answers as (

    select
        answers.lead_id,
        min(answers.occurred_at) as first_response_at
    from answers
    cross join build
    where answers.occurred_at < build.as_of
    group by answers.lead_id

),

-- The working time that had passed by each of the two moments since the first day there is.
worked as (

    select
        dated.lead_id,
        first_answers.first_response_at,
        {{ working_seconds('created_day', 'dated.created_at') }} as seconds_at_creation,
        {{ working_seconds('answered_day', 'first_answers.first_response_at') }} as seconds_at_answer
    from dated
    inner join first_answers
        on dated.lead_id = first_answers.lead_id
    inner join days as created_day
        on dated.created_on = created_day.day
    inner join days as answered_day
        on {{ business_date('first_answers.first_response_at') }} = answered_day.day

),

-- A hundredth of an hour is 36 seconds. It is rounded among whole numbers: among doubles a half is rounded either way.
hundredths as (

    select
        lead_id,
        first_response_at,
        seconds_at_answer - seconds_at_creation + 18 as seconds_to_cut
    from worked

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
    hundredths.first_response_at,
    cast((hundredths.seconds_to_cut - hundredths.seconds_to_cut % 36) / 36 * 0.01 as decimal(10, 2))
        as first_response_hours
from dated
left join assignments
    on
        dated.credited_manager_id = assignments.manager_id
        and dated.created_on >= assignments.valid_from
        and dated.created_on < assignments.valid_to
left join hundredths
    on dated.lead_id = hundredths.lead_id
