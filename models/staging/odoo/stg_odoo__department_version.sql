-- One row per version of a sales team that was seen, with its leader; the leader's name is the one of now. Odoo's teams
-- are flat: none is part of another.
with

teams as (

    {{ parsed_versions('odoo', 'teams', {'name': 'VARCHAR', 'user_id': 'VARCHAR'}) }}

),

users as (

    {{ parsed_versions('odoo', 'users', {'name': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('odoo', 'teams.id') }} as department_id,
    cast(null as varchar) as parent_department_id,
    {{ crm_id('odoo', 'teams.source.user_id') }} as head_manager_id,

    ---------- text
    coalesce(nullif(teams.source.name, ''), teams.id) as department_name,
    users.source.name as head_name,

    ---------- flags
    teams.is_deleted,

    ---------- version
    teams.version_number,
    teams.is_latest,
    teams.has_source_time,
    teams.effective_at,
    teams.recorded_at

from teams
left join users
    on teams.source.user_id = users.id and users.is_latest
