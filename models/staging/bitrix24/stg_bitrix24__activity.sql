-- One row per call, meeting, e-mail or task as Bitrix24 last told it. What is not done has not taken place.
with

versions as (

    {{ parsed_versions('bitrix24', 'activities', {
        'OWNER_ID': 'VARCHAR',
        'OWNER_TYPE_ID': 'VARCHAR',
        'TYPE_ID': 'VARCHAR',
        'PROVIDER_ID': 'VARCHAR',
        'RESPONSIBLE_ID': 'VARCHAR',
        'COMPLETED': 'VARCHAR',
        'CREATED': 'VARCHAR',
        'DEADLINE': 'VARCHAR',
        'START_TIME': 'VARCHAR',
        'END_TIME': 'VARCHAR',
    }) }}

),

typed as (

    select
        *,
        -- newer kinds are all of type 6, and told apart by what provides them
        case source.type_id
            when '1' then 'meeting'
            when '2' then 'call'
            when '3' then 'task'
            when '4' then 'email'
            when '6' then case
                when source.provider_id in ('CRM_TODO', 'CRM_TASKS_TASK', 'TASKS') then 'task'
                when source.provider_id = 'CRM_MEETING' then 'meeting'
                when source.provider_id = 'CRM_EMAIL' then 'email'
                when source.provider_id = 'VOXIMPLANT_CALL' then 'call'
            end
        end as activity_type
    from versions
    where is_latest

)

select
    ---------- ids
    {{ crm_id('bitrix24', 'id') }} as activity_id,
    {{ crm_id('bitrix24', "nullif(source.responsible_id, '0')") }} as manager_id,
    case when source.owner_type_id = '2' then {{ crm_id('bitrix24', 'source.owner_id') }} end as deal_id,
    case when source.owner_type_id = '1' then {{ crm_id('bitrix24', 'source.owner_id') }} end as lead_id,
    case source.owner_type_id
        when '4' then {{ crm_id('bitrix24', 'source.owner_id') }}
        when '3' then {{ contact_id('bitrix24', 'source.owner_id') }}
    end as account_id,

    ---------- text
    activity_type,

    ---------- times
    {{ iso_moment('source.created') }} as created_at,
    -- a portal writes the last day of all where there is no deadline
    coalesce(
        case when source.deadline < '9999' then {{ iso_moment('source.deadline') }} end,
        {{ iso_moment('source.start_time') }}
    ) as due_at,
    case
        when source.completed = 'Y'
            then coalesce(
                case when activity_type = 'task' then {{ iso_moment('source.end_time') }} end,
                {{ iso_moment('source.start_time') }},
                {{ iso_moment('source.end_time') }},
                effective_at
            )
    end as occurred_at,

    ---------- flags
    is_deleted,
    case when is_deleted then effective_at end as deleted_at

from typed
where activity_type is not null
