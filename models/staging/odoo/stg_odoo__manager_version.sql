-- One row per version of a user who sells: who ever had a lead, was a member of a team, or leads one. Odoo does not
-- tell when somebody left; it is taken to be the day on which the user was archived.
with

users as (

    {{ parsed_versions('odoo', 'users', {'name': 'VARCHAR', 'active': 'VARCHAR', 'sale_team_id': 'VARCHAR'}) }}

),

leads as (

    {{ parsed_versions('odoo', 'leads_and_deals', {'user_id': 'VARCHAR'}) }}

),

members as (

    {{ parsed_versions('odoo', 'team_members', {'user_id': 'VARCHAR'}) }}

),

teams as (

    {{ parsed_versions('odoo', 'teams', {'user_id': 'VARCHAR'}) }}

),

tracking as (

    {{ parsed_versions('odoo', 'tracking', {
        'changed': 'VARCHAR', 'old_value_integer': 'VARCHAR', 'new_value_integer': 'VARCHAR',
    }) }}

),

sellers as (

    select source.user_id as id from leads
    union
    select source.user_id as id from members
    union
    select source.user_id as id from teams
    union
    select source.old_value_integer as id from tracking
    where source.changed = 'user_id'
    union
    select source.new_value_integer as id from tracking
    where source.changed = 'user_id'

),

turns as (

    select
        *,
        source.active = 'false' as is_archived,
        max(case when source.active = 'true' then version_number else 0 end) over (
            partition by id order by version_number
        ) as last_active_version
    from users

),

archived as (

    select
        *,
        min(case when is_archived then effective_at end) over (partition by id, last_active_version) as archived_at
    from turns

)

select
    ---------- ids
    {{ crm_id('odoo', 'archived.id') }} as manager_id,
    {{ crm_id('odoo', 'archived.source.sale_team_id') }} as department_id,

    ---------- text
    coalesce(nullif(archived.source.name, ''), archived.id) as manager_name,

    ---------- dates
    cast(null as date) as hired_on,
    case when archived.is_archived then {{ business_date('archived.archived_at') }} end as left_on,

    ---------- flags
    archived.is_deleted,

    ---------- version
    archived.version_number,
    archived.is_latest,
    archived.has_source_time,
    archived.effective_at,
    archived.recorded_at

from archived
inner join sellers
    on archived.id = sellers.id
