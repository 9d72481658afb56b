-- One row per stay of a manager in a team, by the memberships, the first of which holds from the beginning. Of several
-- at a time the one that began first is the primary one, which is what Odoo takes for a user's team. Who leads a team
-- and is a member of none sits in the team they lead.
with

members as (

    {{ parsed_versions('odoo', 'team_members', {
        'user_id': 'VARCHAR', 'crm_team_id': 'VARCHAR', 'active': 'VARCHAR', 'create_date': 'VARCHAR',
    }) }}

),

teams as (

    {{ parsed_versions('odoo', 'teams', {'user_id': 'VARCHAR'}) }}

),

-- A membership begins when it is created, even if it was archived already when it was seen first.
seen as (

    select
        id,
        source.user_id,
        source.crm_team_id as team_id,
        cast(0 as bigint) as version_number,
        {{ iso_moment("source.create_date || '+00:00'") }} as since
    from members
    where version_number = 1

    union all

    select
        id,
        source.user_id,
        case when not is_deleted and source.active = 'true' then source.crm_team_id end as team_id,
        version_number,
        effective_at as since
    from members

),

compared as (

    select
        *,
        lag(team_id) over (partition by id order by version_number) as team_before
    from seen

),

turns as (

    select
        *,
        lead(since) over (partition by id order by version_number) as until
    from compared
    where version_number = 0 or team_id is distinct from team_before

),

dated as (

    select
        user_id,
        team_id,
        cast(id as bigint) as membership,
        case
            when row_number() over (partition by user_id order by since, cast(id as bigint)) = 1
                then date '0001-01-01'
            else {{ business_date('since') }}
        end as starts_on,
        coalesce({{ business_date('until') }}, date '9999-12-31') as ends_on
    from turns
    where team_id is not null

),

cuts as (

    select user_id, starts_on as cut_on from dated
    union
    select user_id, ends_on as cut_on from dated

),

stretches as (

    select
        user_id,
        cut_on as starts_on,
        lead(cut_on) over (partition by user_id order by cut_on) as ends_on
    from cuts

),

chosen as (

    select
        stretches.user_id,
        stretches.starts_on,
        stretches.ends_on,
        dated.team_id,
        row_number() over (
            partition by stretches.user_id, stretches.starts_on order by dated.starts_on, dated.membership
        ) as choice
    from stretches
    inner join dated
        on
            stretches.user_id = dated.user_id
            and stretches.starts_on >= dated.starts_on
            and stretches.ends_on <= dated.ends_on

),

led as (

    select
        teams.source.user_id,
        teams.id as team_id,
        row_number() over (partition by teams.source.user_id order by cast(teams.id as bigint)) as choice
    from teams
    left join dated
        on teams.source.user_id = dated.user_id
    where teams.is_latest and not teams.is_deleted and teams.source.user_id is not null and dated.user_id is null

)

select
    {{ crm_id('odoo', 'user_id') }} as manager_id,
    {{ crm_id('odoo', 'team_id') }} as department_id,
    nullif(starts_on, date '0001-01-01') as valid_from,
    nullif(ends_on, date '9999-12-31') as valid_to
from chosen
where choice = 1

union all

select
    {{ crm_id('odoo', 'user_id') }} as manager_id,
    {{ crm_id('odoo', 'team_id') }} as department_id,
    cast(null as date) as valid_from,
    cast(null as date) as valid_to
from led
where choice = 1
