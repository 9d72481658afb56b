-- One row per activity as Pipedrive last told it. One that is not done has not taken place. The due time is in UTC.
with

versions as (

    {{ parsed_versions('pipedrive', 'activities', {
        'type': 'VARCHAR', 'owner_id': 'VARCHAR', 'deal_id': 'VARCHAR', 'lead_id': 'VARCHAR', 'person_id': 'VARCHAR',
        'org_id': 'VARCHAR', 'due_date': 'VARCHAR', 'due_time': 'VARCHAR', 'done': 'BOOLEAN',
        'marked_as_done_time': 'VARCHAR', 'add_time': 'VARCHAR'
    }) }}

),

dated as (

    select
        *,
        coalesce(
            -- with seconds or without
            {{ iso_moment("source.due_date || ' ' || left(nullif(source.due_time, '') || ':00', 8) || '+00'") }},
            {{ start_of_day('try_cast(source.due_date as date)') }}
        ) as due_at
    from versions
    where is_latest

)

select
    ---------- ids
    {{ crm_id('pipedrive', 'id') }} as activity_id,
    {{ crm_id('pipedrive', 'source.owner_id') }} as manager_id,
    {{ crm_id('pipedrive', 'source.deal_id') }} as deal_id,
    {{ crm_id('pipedrive', 'source.lead_id') }} as lead_id,
    {{ crm_id('pipedrive', "coalesce(source.org_id, 'person-' || source.person_id)") }} as account_id,

    ---------- text
    case
        when source.type in ('call', 'meeting', 'email') then source.type
        when source.type = 'lunch' then 'meeting'
        else 'task'
    end as activity_type,

    ---------- times
    {{ iso_moment('source.add_time') }} as created_at,
    due_at,
    case when source.done then coalesce({{ iso_moment('source.marked_as_done_time') }}, due_at) end as occurred_at,

    ---------- flags
    is_deleted,
    case when is_deleted then effective_at end as deleted_at
from dated
