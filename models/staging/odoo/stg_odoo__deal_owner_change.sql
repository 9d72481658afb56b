-- One row per salesperson that a deal was given to, from its creation on, by what Odoo tracked. Of several changes
-- within a second the last one counts: Odoo shows no finer times.
with

leads as (

    {{ parsed_versions('odoo', 'leads_and_deals', {
        'type': 'VARCHAR', 'user_id': 'VARCHAR', 'create_date': 'VARCHAR',
    }) }}

),

tracking as (

    {{ parsed_versions('odoo', 'tracking', {
        'changed': 'VARCHAR',
        'lead_id': 'VARCHAR',
        'old_value_integer': 'VARCHAR',
        'new_value_integer': 'VARCHAR',
        'create_date': 'VARCHAR',
    }) }}

),

deals as (

    select distinct id from leads
    where source.type = 'opportunity'

),

changes as (

    select
        source.lead_id as id,
        cast(id as bigint) as change_number,
        {{ iso_moment("source.create_date || '+00:00'") }} as changed_at,
        nullif(source.new_value_integer, '0') as owner,
        nullif(source.old_value_integer, '0') as owner_before,
        recorded_at
    from tracking
    where version_number = 1 and source.changed = 'user_id'

),

first_changes as (

    select
        id,
        owner_before,
        row_number() over (partition by id order by changed_at, change_number) as place
    from changes

),

beginnings as (

    select
        leads.id,
        cast(0 as bigint) as change_number,
        {{ iso_moment("leads.source.create_date || '+00:00'") }} as changed_at,
        case when first_changes.id is null then leads.source.user_id else first_changes.owner_before end as owner,
        leads.recorded_at
    from leads
    left join first_changes
        on leads.id = first_changes.id and first_changes.place = 1
    where leads.version_number = 1

),

together as (

    select id, change_number, changed_at, owner, recorded_at from beginnings
    union all
    select id, change_number, changed_at, owner, recorded_at from changes

),

numbered as (

    select
        *,
        row_number() over (partition by id, changed_at order by change_number desc) as from_the_end
    from together
    where changed_at is not null

),

sequenced as (

    select
        *,
        lag(owner) over (partition by id order by changed_at) as owner_before
    from numbered
    where from_the_end = 1

)

select
    cast('odoo:' || sequenced.id || '|' || sequenced.change_number as varchar) as owner_change_id,
    {{ crm_id('odoo', 'sequenced.id') }} as deal_id,
    {{ crm_id('odoo', 'sequenced.owner') }} as manager_id,
    sequenced.changed_at,
    sequenced.recorded_at,
    cast(null as timestamptz) as superseded_at
from sequenced
inner join deals
    on sequenced.id = deals.id
where sequenced.owner is not null and sequenced.owner is distinct from sequenced.owner_before
