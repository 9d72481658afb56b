-- One row per version of a deal that was read, and per business day on which its changelog says that it changed before:
-- as it stood after the day's last change, which a reading every night would have found.
-- Won and lost stand apart from the stage in Pipedrive: here they are stages of the pipeline. An amount of 0 is one
-- that nobody entered.
{% set fields = (company().get('pipedrive') or {}).get('fields') or {} %}
{% set structure = {
    'title': 'VARCHAR', 'owner_id': 'VARCHAR', 'person_id': 'VARCHAR', 'org_id': 'VARCHAR', 'pipeline_id': 'VARCHAR',
    'stage_id': 'VARCHAR', 'status': 'VARCHAR', 'lost_reason': 'VARCHAR', 'value': 'VARCHAR', 'currency': 'VARCHAR',
    'add_time': 'VARCHAR', 'won_time': 'VARCHAR', 'lost_time': 'VARCHAR', 'close_time': 'VARCHAR',
    'expected_close_date': 'VARCHAR', 'origin': 'VARCHAR', 'source_lead_id': 'VARCHAR',
} %}
{% set own = {} %}
{% for name in fields.values() %}{% do own.update({name: 'VARCHAR'}) %}{% endfor %}
{% if own %}{% do structure.update({'custom_fields': own}) %}{% endif %}
{% set no_text = 'cast(null as varchar)' %}
{% set logged = ['value', 'currency', 'expected_close_date'] %}
{% set properties = logged + ['stage', 'owner'] %}
with

versions as (

    {{ parsed_versions('pipedrive', 'deals', structure) }}

),

changelog as (

    {{ parsed_versions('pipedrive', 'deal_changes', {
        'deal_id': 'VARCHAR', 'time': 'VARCHAR', 'field_key': 'VARCHAR', 'old_value': 'VARCHAR', 'new_value': 'VARCHAR'
    }) }}

),

stage_changes as (

    select * from {{ ref('stg_pipedrive__deal_stage_change') }}

),

owner_changes as (

    select * from {{ ref('stg_pipedrive__deal_owner_change') }}

),

---------- what was seen

seen as (

    select
        ---------- ids
        {{ crm_id('pipedrive', 'id') }} as deal_id,
        {{ crm_id('pipedrive', 'source.owner_id') }} as manager_id,
        {{ crm_id('pipedrive', "coalesce(source.org_id, 'person-' || source.person_id)") }} as account_id,
        {{ crm_id('pipedrive', 'source.source_lead_id') }} as lead_id,
        {{ crm_id('pipedrive', "coalesce(source.pipeline_id, 'default')") }} as pipeline_id,
        {{ crm_id('pipedrive', "source.pipeline_id || ':'
            || case when source.status in ('won', 'lost') then source.status else source.stage_id end") }} as stage_id,

        ---------- text
        source.title as deal_name,
        {{ 'source.custom_fields."' ~ fields.product ~ '"' if fields.product else no_text }} as product,
        {{ 'source.custom_fields."' ~ fields.source ~ '"' if fields.source else 'source.origin' }} as lead_source,
        {{ 'source.custom_fields."' ~ fields.loss_reason ~ '"' if fields.loss_reason else 'source.lost_reason' }}
            as loss_reason,

        ---------- amounts
        source.value,
        source.currency,

        ---------- times
        {{ iso_moment('source.add_time') }} as created_at,
        coalesce(
            case source.status
                when 'won' then {{ iso_moment('source.won_time') }}
                when 'lost' then {{ iso_moment('source.lost_time') }}
            end,
            {{ iso_moment('source.close_time') }}
        ) as closed_at,
        source.expected_close_date,

        ---------- flags
        is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at,
        true as is_seen

    from versions

),

---------- what its changelog says

logged_changes as (

    select
        {{ crm_id('pipedrive', 'source.deal_id') }} as deal_id,
        source.field_key as property,
        -- a value that was taken away is one too
        coalesce(source.old_value, '') as old_value,
        coalesce(source.new_value, '') as new_value,
        {{ iso_moment('source.time') }} as changed_at,
        recorded_at,
        row_number() over (partition by source.deal_id, source.field_key order by source.time, id) as place
    from changelog
    -- an entry of a changelog never changes
    where is_latest and source.field_key in {{ sql_list(logged) }}

),

created as (

    select
        deal_id,
        min(created_at) as created_at
    from seen
    group by deal_id

),

entries as (

    select
        deal_id,
        property,
        new_value as property_value,
        changed_at,
        recorded_at
    from logged_changes

    union all

    select
        logged_changes.deal_id,
        logged_changes.property,
        logged_changes.old_value as property_value,
        created.created_at as changed_at,
        logged_changes.recorded_at
    from logged_changes
    inner join created
        on logged_changes.deal_id = created.deal_id
    where logged_changes.place = 1 and created.created_at < logged_changes.changed_at

    union all

    select
        deal_id,
        'stage' as property,
        stage_id as property_value,
        changed_at,
        recorded_at
    from stage_changes

    union all

    select
        deal_id,
        'owner' as property,
        manager_id as property_value,
        changed_at,
        recorded_at
    from owner_changes

),

{{ evenings(properties) }},

remembered as (

    select
        seen.deal_id,
        coalesce(days.owner, seen.manager_id) as manager_id,
        seen.account_id,
        seen.lead_id,
        coalesce('pipedrive:' || split_part(days.stage, ':', 2), seen.pipeline_id) as pipeline_id,
        coalesce(days.stage, seen.stage_id) as stage_id,
        seen.deal_name,
        seen.product,
        seen.lead_source,
        seen.loss_reason,
        coalesce(days.value, seen.value) as value,
        coalesce(days.currency, seen.currency) as currency,
        seen.created_at,
        case when split_part(days.stage, ':', 3) in ('won', 'lost') then days.stage_entered_at end as closed_at,
        coalesce(days.expected_close_date, seen.expected_close_date) as expected_close_date,
        false as is_deleted,
        seen.version_number,
        false as is_latest,
        true as has_source_time,
        days.changed_at as effective_at,
        greatest(days.recorded_at, seen.recorded_at) as recorded_at,
        false as is_seen
    from days
    inner join seen
        on days.deal_id = seen.deal_id and days.told_by = seen.version_number
    where days.place = 1

),

all_versions as (

    select * from seen
    union all
    select * from remembered

)

select
    deal_id,
    manager_id,
    account_id,
    lead_id,
    pipeline_id,
    stage_id,
    deal_name,
    product,
    lead_source,
    loss_reason,
    nullif({{ amount('value') }}, 0) as native_amount,
    coalesce(nullif(currency, ''), {{ sql_text(company().base_currency) }}) as currency_code,
    created_at,
    closed_at,
    try_cast(nullif(expected_close_date, '') as date) as expected_close_on,
    is_deleted,
    row_number() over (
        partition by deal_id order by is_latest, effective_at, is_seen, version_number, recorded_at
    ) as version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from all_versions
