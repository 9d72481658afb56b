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
    where verdict.verdict = 'accepted'
    window version_order as (partition by version.id order by version.updated_at nulls first, version.landed_at)
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
