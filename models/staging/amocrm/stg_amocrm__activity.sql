-- One row per call, letter or task as amoCRM last told it. A call is an event, dated by the note that it left on a
-- deal; a letter is a note. Of the two types of tasks that every account has, one are meetings, which took place when
-- they were planned, if they were not done before. When a task was done is not told: it is when it was first seen so.
with

calls as (

    {{ parsed_versions('amocrm', 'calls', {
        'entity_id': 'VARCHAR', 'entity_type': 'VARCHAR', 'created_by': 'VARCHAR', 'created_at': 'VARCHAR',
        'value_after': [{'note': {'id': 'VARCHAR'}}],
    }) }}

),

notes as (

    {{ parsed_versions('amocrm', 'notes', {
        'entity_id': 'VARCHAR', 'note_type': 'VARCHAR', 'responsible_user_id': 'VARCHAR', 'created_at': 'VARCHAR'
    }) }}

),

tasks as (

    {{ parsed_versions('amocrm', 'tasks', {
        'entity_id': 'VARCHAR',
        'entity_type': 'VARCHAR',
        'responsible_user_id': 'VARCHAR',
        'is_completed': 'BOOLEAN',
        'task_type_id': 'VARCHAR',
        'created_at': 'VARCHAR',
        'complete_till': 'VARCHAR',
    }) }}

),

dated_tasks as (

    select
        *,
        min(effective_at) filter (where source.is_completed) over (partition by id) as done_at
    from tasks

),

activities as (

    select
        'call:' || calls.id as id,
        calls.source.created_by as user_id,
        calls.source.entity_type,
        calls.source.entity_id,
        'call' as activity_type,
        {{ epoch_moment('calls.source.created_at') }} as created_at,
        cast(null as timestamptz) as due_at,
        coalesce(
            {{ epoch_moment('notes.source.created_at') }}, {{ epoch_moment('calls.source.created_at') }}
        ) as occurred_at,
        calls.is_deleted,
        calls.effective_at
    from calls
    left join notes
        on calls.source.value_after[1].note.id = notes.id and notes.is_latest
    where calls.is_latest

    union all

    select
        'note:' || id as id,
        source.responsible_user_id as user_id,
        'lead' as entity_type,
        source.entity_id,
        'email' as activity_type,
        {{ epoch_moment('source.created_at') }} as created_at,
        cast(null as timestamptz) as due_at,
        {{ epoch_moment('source.created_at') }} as occurred_at,
        is_deleted,
        effective_at
    from notes
    where is_latest and source.note_type = 'amomail_message'

    union all

    select
        'task:' || id as id,
        source.responsible_user_id as user_id,
        source.entity_type,
        source.entity_id,
        case when source.task_type_id = '2' then 'meeting' else 'task' end as activity_type,
        {{ epoch_moment('source.created_at') }} as created_at,
        {{ epoch_moment('source.complete_till') }} as due_at,
        case
            when not source.is_completed then null
            when source.task_type_id = '2' then least(done_at, {{ epoch_moment('source.complete_till') }})
            else done_at
        end as occurred_at,
        is_deleted,
        effective_at
    from dated_tasks
    where is_latest

),

leads as (

    select * from {{ ref('stg_amocrm__lead') }}

),

deals as (

    select * from {{ ref('stg_amocrm__deal') }}

)

select
    ---------- ids
    {{ crm_id('amocrm', 'activities.id') }} as activity_id,
    {{ crm_id('amocrm', "nullif(activities.user_id, '0')") }} as manager_id,
    -- an inquiry keeps its number when it is accepted: before that, what was done served the lead
    case when activities.occurred_at < leads.converted_at is not true then deals.deal_id end as deal_id,
    case when activities.occurred_at >= leads.converted_at is not true then leads.lead_id end as lead_id,
    case
        when activities.entity_type in ('company', 'companies') then {{ crm_id('amocrm', 'activities.entity_id') }}
        when activities.entity_type in ('contact', 'contacts') then {{ contact_id('amocrm', 'activities.entity_id') }}
    end as account_id,

    ---------- text
    activities.activity_type,

    ---------- times
    activities.created_at,
    activities.due_at,
    activities.occurred_at,

    ---------- flags
    activities.is_deleted,
    case when activities.is_deleted then activities.effective_at end as deleted_at
from activities
left join leads
    on
        activities.entity_type in ('lead', 'leads')
        and {{ crm_id('amocrm', 'activities.entity_id') }} = leads.lead_id
left join deals
    on
        activities.entity_type in ('lead', 'leads')
        and {{ crm_id('amocrm', 'activities.entity_id') }} = deals.deal_id
