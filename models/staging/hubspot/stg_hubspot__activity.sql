-- One row per call, meeting, e-mail or task as HubSpot last told it. A task that is not done has not taken place.
with

{% set structure = {
    'properties': {
        'hs_timestamp': 'VARCHAR', 'hs_createdate': 'VARCHAR', 'hubspot_owner_id': 'VARCHAR', 'hs_task_status': 'VARCHAR'
    },
    'associations': {'deals': ['VARCHAR'], 'contacts': ['VARCHAR'], 'companies': ['VARCHAR']},
} %}
{% set types = {'calls': 'call', 'meetings': 'meeting', 'emails': 'email', 'tasks': 'task'} %}
{% for object, type in types.items() %}
{{ object }} as (

    {{ parsed_versions('hubspot', object, structure) }}

),

{% endfor %}
versions as (

    {% for object, type in types.items() %}
    select *, '{{ type }}' as activity_type from {{ object }}
    where is_latest
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    ---------- ids
    {{ crm_id('hubspot', "activity_type || ':' || id") }} as activity_id,
    {{ crm_id('hubspot', "nullif(source.properties.hubspot_owner_id, '')") }} as manager_id,
    {{ crm_id('hubspot', 'source.associations.deals[1]') }} as deal_id,
    {{ crm_id('hubspot', 'source.associations.contacts[1]') }} as lead_id,
    {{ crm_id('hubspot', 'source.associations.companies[1]') }} as account_id,

    ---------- text
    activity_type,

    ---------- times
    {{ iso_moment('source.properties.hs_createdate') }} as created_at,
    -- of a task it is when it is due, of a meeting when it begins; calls and letters are noted when they are over
    case
        when activity_type in ('task', 'meeting') then {{ iso_moment('source.properties.hs_timestamp') }}
    end as due_at,
    case
        when activity_type <> 'task' or source.properties.hs_task_status = 'COMPLETED'
            then {{ iso_moment('source.properties.hs_timestamp') }}
    end as occurred_at,

    ---------- flags
    is_deleted,
    case when is_deleted then effective_at end as deleted_at
from versions
