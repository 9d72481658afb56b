{#- The first value of a lead's own field, by the field's id or name; null where none is configured. -#}
{% macro amocrm_custom_field(field) -%}
    {%- if field -%}
        list_filter(
            source.custom_fields_values,
            lambda field: field.field_id = {{ sql_text(field) }} or field.field_name = {{ sql_text(field) }}
        )[1]."values"[1]."value"
    {%- else -%}
        cast(null as varchar)
    {%- endif -%}
{%- endmacro %}

{#- Events about leads, with what changed: `value` names the key of their values, which has an id. -#}
{% macro amocrm_lead_events(type, value) -%}
    {%- set values = [{value: {'id': 'VARCHAR', 'pipeline_id': 'VARCHAR'}}] -%}
    select
        {{ crm_id('amocrm', 'id') }} as event_id,
        {{ crm_id('amocrm', 'source.entity_id') }} as deal_id,
        source.value_before[1].{{ value }} as value_before,
        source.value_after[1].{{ value }} as value_after,
        {{ epoch_moment('source.created_at') }} as changed_at,
        recorded_at,
        superseded_at
    from ({{ parsed_versions('amocrm', 'events', {
        'type': 'VARCHAR', 'entity_id': 'VARCHAR', 'entity_type': 'VARCHAR', 'created_at': 'VARCHAR',
        'value_before': values, 'value_after': values,
    }) }}) as events
    where source.type = '{{ type }}' and source.entity_type = 'lead' and not is_deleted
{%- endmacro %}

{#- The first event about each deal. `events` has what `amocrm_lead_events` gives. -#}
{% macro amocrm_first_events(events) -%}
    select * from (
        select
            *,
            row_number() over (partition by deal_id order by changed_at, event_id, recorded_at) as event_order
        from {{ events }}
    ) as numbered
    where event_order = 1
{%- endmacro %}

{#- The statuses in which inquiries lie until somebody accepts them, one in each pipeline. -#}
{% macro amocrm_incoming_statuses() -%}
    select
        pipeline_id,
        status.id as status_id
    from (
        select
            id as pipeline_id,
            unnest(source._embedded.statuses) as status
        from ({{ parsed_versions('amocrm', 'pipelines', {
            '_embedded': {'statuses': [{'id': 'VARCHAR', 'type': 'VARCHAR'}]}
        }) }}) as pipelines
    ) as listed
    where status.type = '1'
    group by pipeline_id, status.id
{%- endmacro %}

{#- When each deal that came as an inquiry was accepted, which is when it became a deal. -#}
{% macro amocrm_acceptances() -%}
    select
        events.deal_id,
        min(events.changed_at) as accepted_at
    from ({{ amocrm_lead_events('lead_status_changed', 'lead_status') }}) as events
    inner join ({{ amocrm_incoming_statuses() }}) as incoming
        on events.value_before.pipeline_id = incoming.pipeline_id and events.value_before.id = incoming.status_id
    group by events.deal_id
{%- endmacro %}
