{#-
    The entities of staging, from any source that a mapping describes: each model of staging/files and staging/sql is one
    of these.
-#}

{% macro mapped_account(crm) -%}
{%- call(mapping) from_mappings(crm, 'accounts', only='is_latest') -%}
        {{ crm_id(crm, 'id') }} as account_id,
        {{ mapped_id(crm, mapping, 'parent') }} as parent_account_id,
        coalesce({{ mapped_text(mapping, 'name') }}, id) as account_name,
        {{ mapped_text(mapping, 'segment') }} as segment,
        {{ mapped_text(mapping, 'country') }} as country,
        {{ mapped_is_deleted(mapping) }} as is_deleted
{%- endcall -%}
{%- endmacro %}

{% macro mapped_activity(crm) -%}
{%- call(mapping) from_mappings(crm, 'activities', only='is_latest') -%}
        {{ crm_id(crm, 'id') }} as activity_id,
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_id(crm, mapping, 'deal') }} as deal_id,
        {{ mapped_id(crm, mapping, 'lead') }} as lead_id,
        {{ mapped_id(crm, mapping, 'account') }} as account_id,
        {{ mapped_text(mapping, 'type') }} as activity_type,
        {{ mapped_moment(mapping, 'created_at') }} as created_at,
        {{ mapped_moment(mapping, 'due_at') }} as due_at,
        {{ mapped_moment(mapping, 'occurred_at') }} as occurred_at,
        {{ mapped_is_deleted(mapping) }} as is_deleted,
        case when {{ mapped_is_deleted(mapping) }} then effective_at end as deleted_at
{%- endcall -%}
{%- endmacro %}

{#- A record that names itself is the one that stayed. -#}
{#- Where no mapping names such a column, the deals need not be read for it. -#}
{% macro mapped_deal_merge(crm) -%}
{%- set mappings = (company().get(crm) or {}).get('deals') or [] -%}
{%- if execute and not mappings | selectattr('columns.merged_into') | list -%}
{{ no_such_entity() }}
{%- else -%}
select * from (
    {% call(mapping) from_mappings(crm, 'deals') -%}
        {{ crm_id(crm, 'id') }} as deal_id,
        {{ mapped_id(crm, mapping, 'merged_into') }} as merged_into_deal_id,
        cast(null as timestamptz) as merged_at,
        recorded_at,
        superseded_at
    {%- endcall %}
) as told
where merged_into_deal_id <> deal_id and {{ was_in_force() }}
{%- endif -%}
{%- endmacro %}

{% macro mapped_deal_owner_change(crm) -%}
{%- call(mapping) from_mappings(crm, 'owner_changes', only='not is_deleted and ' ~ was_in_force()) -%}
        {{ crm_id(crm, 'id') }} as owner_change_id,
        {{ mapped_id(crm, mapping, 'deal') }} as deal_id,
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_moment(mapping, 'changed_at') }} as changed_at,
        recorded_at,
        superseded_at
{%- endcall -%}
{%- endmacro %}

{% macro mapped_deal_split(crm) -%}
{%- call(mapping) from_mappings(crm, 'deal_splits', only='is_latest and not is_deleted') -%}
        {{ mapped_id(crm, mapping, 'deal') }} as deal_id,
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_share(mapping, 'share') }} as share,
        coalesce(cast({{ mapped_text(mapping, 'is_overlay') }} as boolean), false) as is_overlay,
        {{ mapped_date(mapping, 'valid_from') }} as valid_from
{%- endcall -%}
{%- endmacro %}

{% macro mapped_deal_stage_change(crm) -%}
{%- call(mapping) from_mappings(crm, 'stage_changes', only='not is_deleted and ' ~ was_in_force()) -%}
        {{ crm_id(crm, 'id') }} as stage_change_id,
        {{ mapped_id(crm, mapping, 'deal') }} as deal_id,
        -- changes do not repeat the pipeline; it is that of the deal
        cast(null as varchar) as stage_id,
        {{ mapped_text(mapping, 'stage') }} as stage_name,
        {{ mapped_moment(mapping, 'changed_at') }} as changed_at,
        recorded_at,
        superseded_at
{%- endcall -%}
{%- endmacro %}

{% macro mapped_deal_version(crm) -%}
{%- call(mapping) from_mappings(crm, 'deals') -%}
        {%- set pipeline = "coalesce(" ~ mapped_text(mapping, 'pipeline') ~ ", 'default')" %}
        {{ crm_id(crm, 'id') }} as deal_id,
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_id(crm, mapping, 'account') }} as account_id,
        {{ mapped_id(crm, mapping, 'lead') }} as lead_id,
        {{ crm_id(crm, pipeline) }} as pipeline_id,
        {{ crm_id(crm, pipeline ~ " || ':' || " ~ mapped_text(mapping, 'stage')) }} as stage_id,
        {{ mapped_text(mapping, 'name') }} as deal_name,
        {{ mapped_text(mapping, 'product') }} as product,
        {{ mapped_text(mapping, 'source') }} as lead_source,
        {{ mapped_text(mapping, 'loss_reason') }} as loss_reason,
        {{ mapped_amount(mapping, 'amount') }} as native_amount,
        coalesce(
            {{ mapped_text(mapping, 'currency') }}, {{ sql_text(mapping.get('currency') or company().base_currency) }}
        ) as currency_code,
        {{ mapped_moment(mapping, 'created_at') }} as created_at,
        {{ mapped_moment(mapping, 'closed_at') }} as closed_at,
        {{ mapped_date(mapping, 'expected_close_on') }} as expected_close_on,
        {{ mapped_is_deleted(mapping) }} as is_deleted,
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at
{%- endcall -%}
{%- endmacro %}

{% macro mapped_department_version(crm) -%}
{%- call(mapping) from_mappings(crm, 'departments') -%}
        {{ crm_id(crm, 'id') }} as department_id,
        {{ mapped_id(crm, mapping, 'parent') }} as parent_department_id,
        -- an export names the head, who need not sell
        cast(null as varchar) as head_manager_id,
        coalesce({{ mapped_text(mapping, 'name') }}, id) as department_name,
        {{ mapped_text(mapping, 'head') }} as head_name,
        {{ mapped_is_deleted(mapping) }} as is_deleted,
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at
{%- endcall -%}
{%- endmacro %}

{% macro mapped_lead(crm) -%}
{%- call(mapping) from_mappings(crm, 'leads', only='is_latest') -%}
        {{ crm_id(crm, 'id') }} as lead_id,
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_id(crm, mapping, 'account') }} as account_id,
        {{ mapped_id(crm, mapping, 'deal') }} as deal_id,
        {{ mapped_text(mapping, 'source') }} as lead_source,
        {{ mapped_moment(mapping, 'created_at') }} as created_at,
        {{ mapped_moment(mapping, 'converted_at') }} as converted_at,
        {{ mapped_is_deleted(mapping) }} as is_deleted
{%- endcall -%}
{%- endmacro %}

{#- As the source states them, else from the versions seen of the manager. -#}
{% macro mapped_manager_assignment(crm) -%}
with

stated as (

    select * from (
        {% call(mapping) from_mappings(crm, 'manager_assignments', only='is_latest and not is_deleted') -%}
        {{ mapped_id(crm, mapping, 'manager') }} as manager_id,
        {{ mapped_id(crm, mapping, 'department') }} as department_id,
        {{ mapped_date(mapping, 'valid_from') }} as valid_from,
        {{ mapped_date(mapping, 'valid_to') }} as valid_to
        {%- endcall %}
    ) as stays

),

derived as (

    {{ assignments_from_versions(crm) }}

)

select * from stated

union all

select derived.*
from derived
left join stated
    on derived.manager_id = stated.manager_id
where stated.manager_id is null
{%- endmacro %}

{% macro mapped_manager_version(crm) -%}
{%- call(mapping) from_mappings(crm, 'managers') -%}
        {{ crm_id(crm, 'id') }} as manager_id,
        {{ mapped_id(crm, mapping, 'department') }} as department_id,
        coalesce({{ mapped_text(mapping, 'name') }}, id) as manager_name,
        {{ mapped_date(mapping, 'hired_on') }} as hired_on,
        {{ mapped_date(mapping, 'left_on') }} as left_on,
        {{ mapped_is_deleted(mapping) }} as is_deleted,
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at
{%- endcall -%}
{%- endmacro %}

{#- One row per stage that the settings name, with its outcome. -#}
{% macro mapped_pipeline_stage(crm) -%}
with

stages as (

    select
        cast(null as varchar) as pipeline_name,
        cast(null as varchar) as stage_name,
        cast(null as varchar) as outcome,
        cast(null as integer) as position,
        cast(null as decimal(5, 4)) as probability
    -- the columns, where no stage is mapped
    where false
    {% for stage in (company().get(crm) or {}).get('stages') or [] %}
        union all
        select
            {{ sql_text(stage.pipeline) }} as pipeline_name,
            {{ sql_text(stage.name) }} as stage_name,
            {{ sql_text(stage.outcome) }} as outcome,
            {{ stage.position }} as position,
            cast({{ 'null' if stage.probability is none else stage.probability }} as decimal(5, 4)) as probability
    {% endfor %}

)

select
    {{ crm_id(crm, "pipeline_name || ':' || stage_name") }} as stage_id,
    {{ crm_id(crm, 'pipeline_name') }} as pipeline_id,
    pipeline_name,
    stage_name,
    outcome,
    position,
    probability
from stages
{%- endmacro %}

{#- Every version: a build counts those that were set by its as_of. The first of a record that names no time has been set always. -#}
{% macro mapped_target(crm) -%}
{%- call(mapping) from_mappings(crm, 'targets') -%}
        {{ mapped_text(mapping, 'kpi_code') }} as kpi_code,
        {{ mapped_text(mapping, 'entity_level') }} as entity_level,
        {{ mapped_entity_key(crm, mapping) }} as entity_key,
        {{ mapped_text(mapping, 'period_grain') }} as period_grain,
        {{ mapped_date(mapping, 'period_start') }} as period_start,
        case
            when is_deleted then effective_at
            else coalesce({{ mapped_moment(mapping, 'set_at') }}, case when version_number > 1 then effective_at end)
        end as set_at,
        {{ mapped_amount(mapping, 'value', 'decimal(28, 8)') }} as target_value,
        is_deleted,
        version_number,
        recorded_at
{%- endcall -%}
{%- endmacro %}

{#- The entity that a target names by its id in this source, or in another one as crm:id. -#}
{% macro mapped_entity_key(crm, mapping) -%}
    {%- set level, entity = mapped_text(mapping, 'entity_level'), mapped_text(mapping, 'entity') -%}
    {%- set seat = [named_id(crm, "split_part(" ~ entity ~ ", '|', 1)"), named_id(crm, "split_part(" ~ entity ~ ", '|', 2)")] -%}
    case {{ level }}
            when 'company' then 'company'
            when 'manager_in_department' then {{ seat | join(" || '|' || ") }}
            else {{ named_id(crm, entity) }}
        end
{%- endmacro %}

{% macro named_id(crm, id) -%}
    case when split_part({{ id }}, ':', 1) in {{ sql_list(var('crms')) }} then {{ id }} else {{ crm_id(crm, id) }} end
{%- endmacro %}
