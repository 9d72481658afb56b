-- One row per version of a department that was seen, with its head; the head's name is the one of now.
with

versions as (

    {{ parsed_versions('bitrix24', 'departments', {'NAME': 'VARCHAR', 'PARENT': 'VARCHAR', 'UF_HEAD': 'VARCHAR'}) }}

),

users as (

    {{ parsed_versions('bitrix24', 'users', {'NAME': 'VARCHAR', 'LAST_NAME': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('bitrix24', 'versions.id') }} as department_id,
    {{ crm_id('bitrix24', "nullif(nullif(versions.source.parent, '0'), '')") }} as parent_department_id,
    {{ crm_id('bitrix24', "nullif(nullif(versions.source.uf_head, '0'), '')") }} as head_manager_id,

    ---------- text
    coalesce(nullif(versions.source.name, ''), versions.id) as department_name,
    nullif(trim(concat_ws(' ', users.source.name, users.source.last_name)), '') as head_name,

    ---------- flags
    versions.is_deleted,

    ---------- version
    versions.version_number,
    versions.is_latest,
    versions.has_source_time,
    versions.effective_at,
    versions.recorded_at

from versions
left join users
    on versions.source.uf_head = users.id and users.is_latest
