-- One row per stage that a deal entered, from its creation as a lead or opportunity on, by what Odoo tracked of its
-- stage and of its being archived. Of several changes within a second the last one counts: Odoo shows no finer times.
with

leads as (

    {{ parsed_versions('odoo', 'leads_and_deals', {
        'type': 'VARCHAR',
        'active': 'VARCHAR',
        'probability': 'VARCHAR',
        'stage_id': 'VARCHAR',
        'create_date': 'VARCHAR',
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

stages as (

    select * from {{ ref('stg_odoo__pipeline_stage') }}

),

-- Archived, but with a chance left: it is out of sight, and not lost.
out_of_sight as (

    select id from leads
    where is_latest and source.active = 'false' and try_cast(source.probability as double) > 0

),

-- A merge moves the history of one lead to another; where it was seen first it stays.
changes as (

    select
        tracking.source.lead_id as id,
        cast(tracking.id as bigint) as change_number,
        {{ iso_moment("tracking.source.create_date || '+00:00'") }} as changed_at,
        case when tracking.source.changed = 'stage_id' then nullif(tracking.source.new_value_integer, '0') end as stage,
        case when tracking.source.changed = 'stage_id' then nullif(tracking.source.old_value_integer, '0') end
            as stage_before,
        case when tracking.source.changed = 'active' then tracking.source.new_value_integer end as is_active,
        tracking.recorded_at
    from tracking
    left join out_of_sight
        on tracking.source.lead_id = out_of_sight.id
    where
        tracking.version_number = 1
        and (
            tracking.source.changed = 'stage_id'
            or (tracking.source.changed = 'active' and out_of_sight.id is null)
        )

),

first_changes as (

    select
        id,
        stage_before,
        row_number() over (partition by id order by changed_at, change_number) as place
    from changes
    where stage_before is not null

),

beginnings as (

    select
        leads.id,
        cast(0 as bigint) as change_number,
        {{ iso_moment("leads.source.create_date || '+00:00'") }} as changed_at,
        coalesce(first_changes.stage_before, leads.source.stage_id) as stage,
        cast('1' as varchar) as is_active,
        leads.recorded_at
    from leads
    left join first_changes
        on leads.id = first_changes.id and first_changes.place = 1
    where leads.version_number = 1

),

together as (

    select id, change_number, changed_at, stage, is_active, recorded_at from beginnings
    union all
    select id, change_number, changed_at, stage, is_active, recorded_at from changes

),

-- What the last change before said still holds.
grouped as (

    select
        *,
        count(stage) over change_order as stage_group,
        count(is_active) over change_order as active_group,
        row_number() over (partition by id, changed_at order by change_number desc) as from_the_end
    from together
    where changed_at is not null
    window change_order as (partition by id order by changed_at, change_number)

),

carried as (

    select
        id,
        change_number,
        changed_at,
        from_the_end,
        recorded_at,
        case
            when max(is_active) over (partition by id, active_group) = '0' then 'lost'
            else max(stage) over (partition by id, stage_group)
        end as stage
    from grouped

),

sequenced as (

    select
        *,
        lag(stage) over (partition by id order by changed_at) as stage_before
    from carried
    where from_the_end = 1

)

select
    cast('odoo:' || sequenced.id || '|' || sequenced.change_number as varchar) as stage_change_id,
    {{ crm_id('odoo', 'sequenced.id') }} as deal_id,
    cast('odoo:crm:' || sequenced.stage as varchar) as stage_id,
    coalesce(stages.stage_name, sequenced.stage) as stage_name,
    sequenced.changed_at,
    sequenced.recorded_at,
    cast(null as timestamptz) as superseded_at
from sequenced
inner join deals
    on sequenced.id = deals.id
left join stages
    on 'odoo:crm:' || sequenced.stage = stages.stage_id
where sequenced.stage is not null and sequenced.stage is distinct from sequenced.stage_before
