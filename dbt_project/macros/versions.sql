{#-
    Every accepted version of a source's object. `effective_at`: when the source says that it changed, else when it was
    first seen. `recorded_at`: when this warehouse knew.
-#}
{% macro raw_versions(crm, object) -%}
    select
        version.id,
        version.is_deleted,
        version.payload,
        version.updated_at is not null as has_source_time,
        coalesce(version.updated_at, version.extracted_at) as effective_at,
        verdict.judged_at as recorded_at,
        row_number() over version_order as version_number,
        -- a version that arrives late supersedes nothing that is already past
        min(verdict.judged_at) over (
            version_order rows between 1 following and unbounded following
        ) as superseded_at,
        lead(version.id) over version_order is null as is_latest
    from {{ source('raw', crm ~ '__' ~ object) }} as version
    inner join {{ source('ops', 'batch_verdict') }} as verdict
        on version.batch_id = verdict.batch_id
    where
        verdict.verdict = 'accepted'
        {%- if goes_on() %}
        -- all versions of the records of which something was accepted after the last that this table has
        and version.id in (
            select fresh.id
            from {{ source('raw', crm ~ '__' ~ object) }} as fresh
            inner join {{ source('ops', 'batch_verdict') }} as fresh_verdict
                on fresh.batch_id = fresh_verdict.batch_id
            where
                fresh_verdict.verdict = 'accepted'
                and fresh_verdict.judged_at > coalesce((select max(recorded_at) from {{ this }}), {{ always() }})
        )
        {%- endif %}
    window version_order as (partition by version.id order by version.updated_at nulls first, version.landed_at)
{%- endmacro %}

{#- Not superseded before it was recorded, or by another version in the same batch. -#}
{% macro was_in_force() -%}
    (superseded_at is null or recorded_at < superseded_at)
{%- endmacro %}

{#- One staging entity of every CRM, one after the other. -#}
{% macro from_every_crm(entity) -%}
    {% for crm in var('crms') %}
        select * from {{ ref('stg_' ~ crm ~ '__' ~ entity) }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
{%- endmacro %}

{#- The id of a record in this warehouse: ids of two CRMs never collide. -#}
{% macro crm_id(crm, id) -%}
    cast('{{ crm }}:' || {{ id }} as varchar)
{%- endmacro %}

{#- The visible member that stands for whoever is not known. -#}
{% macro unassigned(id) -%}
    split_part({{ id }}, ':', 1) || ':(unassigned)'
{%- endmacro %}

{#-
    The same, with the payload parsed once into `source`; `structure` is a dictionary of its keys and their types. Values
    that are no text come as their JSON.
-#}
{% macro parsed_versions(crm, object, structure) -%}
    select
        versions.*,
        from_json(versions.payload, {{ sql_text(tojson(structure)) }}) as source
    from ({{ raw_versions(crm, object) }}) as versions
{%- endmacro %}

{#- The versions that stand, of what a CRM's `<entity>_version` holds. -#}
{% macro latest(crm, entity) -%}
    {%- set version_columns = ['version_number', 'is_latest', 'has_source_time', 'effective_at', 'recorded_at'] -%}
    select * exclude ({{ version_columns | join(', ') }})
    from {{ ref('stg_' ~ crm ~ '__' ~ entity ~ '_version') }}
    where is_latest
{%- endmacro %}

{#- An empty table of the model's own contract: what the CRM does not have. -#}
{% macro no_such_entity() -%}
    select
        {% for column in model.columns.values() -%}
        cast(null as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {% endfor %}
    where false
{%- endmacro %}

{#-
    When a change that stands inside a record's payload, in its history, was recorded: with the first version that tells
    it. `versions` has a row a version and change; a history that is cut short later takes nothing back.
-#}
{% macro history_recorded(versions, key) -%}
    select
        {{ key | join(', ') }},
        min(recorded_at) as recorded_at,
        cast(null as timestamptz) as superseded_at
    from {{ versions }}
    group by {{ key | join(', ') }}
{%- endmacro %}

{#- The stays of managers in departments that the versions of their records show, night by night. -#}
{% macro assignments_from_versions(crm) -%}
    select * from (
        select
            manager_id,
            department_id,
            valid_from,
            lead(valid_from) over (partition by manager_id order by version_number) as valid_to
        from (
            select
                manager_id,
                department_id,
                case when not is_first then {{ business_date('effective_at') }} end as valid_from,
                department_id_before,
                is_first,
                version_number
            from (
                select
                    *,
                    -- versions that another mapping brought are not there: the first that is need not have number one
                    lag(manager_id) over version_order is null as is_first,
                    lag(department_id) over version_order as department_id_before
                from {{ ref('stg_' ~ crm ~ '__manager_version') }}
                window version_order as (partition by manager_id order by version_number)
            ) as ordered
        ) as seen
        where is_first or department_id is distinct from department_id_before
    ) as stays
    where department_id is not null
{%- endmacro %}

{#- Values as APIs write them. -#}

{#- ISO 8601 with its offset; what cannot be read, and an empty text, is null. -#}
{% macro iso_moment(text) -%}
    try_cast(nullif({{ text }}, '') as timestamptz)
{%- endmacro %}

{#- Seconds since 1970. -#}
{% macro epoch_moment(text) -%}
    to_timestamp(try_cast(nullif({{ text }}, '') as bigint))
{%- endmacro %}

{#- An amount of money; what is no number is null. -#}
{% macro amount(text) -%}
    try_cast(nullif({{ text }}, '') as decimal(18, 2))
{%- endmacro %}
