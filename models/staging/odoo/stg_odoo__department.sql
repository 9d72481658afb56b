-- One row per sales team. Odoo's teams are flat: none is part of another.
with

teams as (

    {{ parsed_versions('odoo', 'teams', {'name': 'VARCHAR', 'user_id': 'VARCHAR'}) }}

),

users as (

    {{ parsed_versions('odoo', 'users', {'name': 'VARCHAR'}) }}

)

select
    {{ crm_id('odoo', 'teams.id') }} as department_id,
    cast(null as varchar) as parent_department_id,
    coalesce(nullif(teams.source.name, ''), teams.id) as department_name,
    users.source.name as head_name,
    teams.is_deleted
from teams
left join users
    on teams.source.user_id = users.id and users.is_latest
where teams.is_latest
