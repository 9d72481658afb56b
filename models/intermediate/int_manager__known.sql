-- One row per manager that the CRM lists, or that a deal or a lead names without the CRM listing them.
with

managers as (

    {{ from_every_crm('manager') }}

),

facts as (

    select distinct coalesce(manager_id, {{ unassigned('deal_id') }}) as manager_id from {{ ref('int_deal__facts') }}

),

versions as (

    select distinct coalesce(manager_id, {{ unassigned('deal_id') }}) as manager_id
    from {{ ref('int_deal__knowledge') }}

),

owners as (

    select distinct manager_id from {{ ref('int_deal__owner_stays') }}

),

leads as (

    select distinct coalesce(manager_id, {{ unassigned('lead_id') }}) as manager_id
    from ({{ from_every_crm('lead') }}) as leads

),

activities as (

    select distinct coalesce(manager_id, {{ unassigned('activity_id') }}) as manager_id
    from ({{ from_every_crm('activity') }}) as activities

),

seated as (

    select distinct manager_id from {{ ref('manager_department') }}

),

sharers as (

    select distinct manager_id from ({{ from_every_crm('deal_split') }}) as splits

),

named as (

    select manager_id from facts
    union
    select manager_id from versions
    union
    select manager_id from owners
    union
    select manager_id from leads
    union
    select manager_id from activities
    union
    select manager_id from sharers
    union
    select manager_id from seated

),

inferred as (

    select named.manager_id
    from named
    left join managers
        on named.manager_id = managers.manager_id
    where managers.manager_id is null

)

select
    manager_id,
    manager_name,
    hired_on,
    left_on,
    is_deleted,
    false as is_inferred
from managers

union all

select
    manager_id,
    'Unknown manager ' || substr(manager_id, instr(manager_id, ':') + 1) as manager_name,
    cast(null as date) as hired_on,
    cast(null as date) as left_on,
    false as is_deleted,
    true as is_inferred
from inferred
