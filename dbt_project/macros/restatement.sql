{#-
    The causes by which a closed month's figures change, in the order in which they are replayed: first what the frozen
    figures are by today's definitions, then what there is, then what is told of it.
-#}
{% macro restatement_causes() -%}
    {{ return([
        'definition_changed', 'merged', 'deleted', 'late_entry', 'date_moved', 'reopened', 'reassigned', 'amount_edit', 'rate',
        'customer_history', 'matured', 'details', 'target_changed'
    ]) }}
{%- endmacro %}

{#- The place of a cause in that order, from 1. -#}
{% macro step_of(cause) -%}
    {{ restatement_causes().index(cause) + 1 }}
{%- endmacro %}

{#- After the last cause: what stands until then stands now. -#}
{% macro no_step() -%}
    99
{%- endmacro %}

{#- What is told of a thing, by the cause under which another word of it is filed. -#}
{% macro attributes_by_cause() -%}
    {{ return({
        'date': ['occurred_on', 'cycle_days', 'has_slipped'],
        'seat': ['entity_keys', 'manager_id', 'department_id'],
        'amount': ['amount', 'native_amount', 'currency_code'],
        'weight': ['weighted_amount', 'is_stale'],
        'customer': ['account_id', 'purchase_number', 'is_regular', 'is_prospect'],
        'outcome': ['days_to_win', 'is_converted', 'first_response_hours'],
        'detail': ['what', 'fields_filled', 'tells_next_steps', 'has_next_step'],
        'target': ['target_amount'],
    }) }}
{%- endmacro %}

{#- Which things that count for a month a measure's relation is made of. -#}
{% macro counted_in(relation) -%}
    {{ return({
        'events': "relation = 'events'",
        'open_changes': "relation = 'open'",
        'stale_changes': "relation = 'open' and is_stale",
        'next_step_changes': "relation = 'open' and has_next_step",
        'leads': "relation = 'leads'",
        'activities': "relation = 'activities'",
        'purchases': "relation = 'purchases'",
        'lapses': "relation = 'lapses'",
        'prospects': "relation = 'open' and is_prospect",
        'cycles': "relation = 'events' and event_type = 'won' and cycle_days is not null",
        'targets': "relation = 'targets'",
    }[relation]) }}
{%- endmacro %}

{#- The condition under which a row counts for a measure. -#}
{% macro counts_for(measure) -%}
    {{ counted_in(measure.relation) }}{{ ' and ' ~ measure.filter if measure.filter and measure.additivity != 'target' }}
{%- endmacro %}
