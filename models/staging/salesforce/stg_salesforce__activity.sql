-- One row per task or event as Salesforce last told it. A task that is not done has not taken place.
with

{% set structure = {
    'OwnerId': 'VARCHAR', 'WhatId': 'VARCHAR', 'WhoId': 'VARCHAR', 'AccountId': 'VARCHAR', 'Type': 'VARCHAR',
    'ActivityDate': 'VARCHAR', 'CreatedDate': 'VARCHAR',
} %}
tasks as (

    {{ parsed_versions('salesforce', 'tasks', dict(
        structure, IsClosed='BOOLEAN', TaskSubtype='VARCHAR', CompletedDateTime='VARCHAR'
    )) }}

),

events as (

    {{ parsed_versions('salesforce', 'events', dict(
        structure, StartDateTime='VARCHAR', IsChild='BOOLEAN', IsRecurrence='BOOLEAN'
    )) }}

),

performed as (

    select
        id,
        source.ownerid as owner_id,
        source.whatid as what_id,
        source.whoid as who_id,
        source.accountid as account_id,
        case
            when source.tasksubtype = 'Call' or source.type ilike '%call%' then 'call'
            when source.tasksubtype in ('Email', 'ListEmail') or source.type ilike '%mail%' then 'email'
            when source.type ilike '%meeting%' then 'meeting'
            else 'task'
        end as activity_type,
        {{ iso_moment('source.createddate') }} as created_at,
        {{ start_of_day('try_cast(source.activitydate as date)') }} as due_at,
        case
            when source.isclosed
                then coalesce(
                    {{ iso_moment('source.completeddatetime') }},
                    {{ start_of_day('try_cast(source.activitydate as date)') }}
                )
        end as occurred_at,
        is_deleted,
        case when is_deleted then effective_at end as deleted_at
    from tasks
    where is_latest

),

attended as (

    select
        id,
        source.ownerid as owner_id,
        source.whatid as what_id,
        source.whoid as who_id,
        source.accountid as account_id,
        case when source.type ilike '%call%' then 'call' else 'meeting' end as activity_type,
        {{ iso_moment('source.createddate') }} as created_at,
        coalesce(
            {{ iso_moment('source.startdatetime') }}, {{ start_of_day('try_cast(source.activitydate as date)') }}
        ) as due_at,
        due_at as occurred_at,
        is_deleted,
        case when is_deleted then effective_at end as deleted_at
    from events
    -- an invitee's copy of an event, and the pattern of a series, are no events of their own
    where is_latest and not coalesce(source.ischild, false) and not coalesce(source.isrecurrence, false)

),

activities as (

    select * from performed
    union all
    select * from attended

)

-- An id tells its kind by its first three characters.
select
    ---------- ids
    {{ crm_id('salesforce', 'id') }} as activity_id,
    {{ crm_id('salesforce', "case when owner_id like '005%' then owner_id end") }} as manager_id,
    {{ crm_id('salesforce', "case when what_id like '006%' then what_id end") }} as deal_id,
    {{ crm_id('salesforce', "case when who_id like '00Q%' then who_id end") }} as lead_id,
    {{ crm_id('salesforce', "coalesce(account_id, case when what_id like '001%' then what_id end)") }} as account_id,

    ---------- text
    activity_type,

    ---------- times
    created_at,
    due_at,
    occurred_at,

    ---------- flags
    is_deleted,
    deleted_at
from activities
