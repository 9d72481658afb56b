-- One row per stretch of time in which a deal is open and its stage, manager, department and amount stay the same, as it is
-- known now. A deal without dates has been open always (no started_at); one that is open still has no ended_at.
with

known as (

    select * from {{ ref('int_deal__knowledge') }}
    where known_until is null

),

steps as (

    select * from {{ ref('int_deal__steps') }}
    where known_until is null

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

rates as (

    select * from {{ ref('int_exchange_rate') }}

),

deals as (

    select
        *,
        coalesce(created_at, {{ always() }}) as opened_at
    from known
    where is_last_version and not is_deleted

),

---------- what changes, and when

changes as (

    select
        deal_id,
        opened_at as changed_at,
        0 as step_order,
        1 as version_order,
        cast(null as varchar) as manager_id
    from deals

    union all

    select
        deal_id,
        entered_at as changed_at,
        step_order,
        cast(null as bigint) as version_order,
        cast(null as varchar) as manager_id
    from steps

    union all

    select
        deal_id,
        effective_at as changed_at,
        cast(null as bigint) as step_order,
        version_order,
        cast(null as varchar) as manager_id
    from known
    where version_order > 1

    union all

    select
        owner_stays.deal_id,
        case when owner_stays.stay_number > 1 then owner_stays.owned_from end as changed_at,
        cast(null as bigint) as step_order,
        cast(null as bigint) as version_order,
        owner_stays.manager_id
    from owner_stays
    inner join deals
        on owner_stays.deal_id = deals.deal_id and owner_stays.knowledge_number = deals.knowledge_number

),

-- Nothing changes before the deal is there.
placed as (

    select
        changes.deal_id,
        greatest(coalesce(changes.changed_at, deals.opened_at), deals.opened_at) as changed_at,
        changes.step_order,
        changes.version_order,
        changes.manager_id
    from changes
    inner join deals
        on changes.deal_id = deals.deal_id

),

at_once as (

    select
        deal_id,
        changed_at,
        max(step_order) as step_order,
        max(version_order) as version_order,
        max(manager_id) as manager_id
    from placed
    group by deal_id, changed_at

),

carried as (

    select
        deal_id,
        changed_at as started_at,
        lead(changed_at) over change_order as ended_at,
        max(step_order) over change_order as step_order,
        max(version_order) over change_order as version_order,
        last_value(manager_id ignore nulls) over change_order as stated_manager_id
    from at_once
    window change_order as (partition by deal_id order by changed_at)

),

described as (

    select
        carried.deal_id,
        carried.started_at,
        carried.ended_at,
        steps.stage_id,
        coalesce(steps.entered_at, deals.created_at) as stage_entered_at,
        coalesce(carried.stated_manager_id, known.manager_id, {{ unassigned('carried.deal_id') }}) as manager_id,
        known.account_id,
        known.native_amount,
        known.currency_code,
        known.expected_close_on,
        deals.pipeline_id,
        deals.product,
        deals.lead_source,
        {{ business_date('coalesce(deals.created_at, deals.effective_at)') }} as booked_on
    from carried
    inner join deals
        on carried.deal_id = deals.deal_id
    inner join known
        on carried.deal_id = known.deal_id and carried.version_order = known.version_order
    left join steps
        on carried.deal_id = steps.deal_id and carried.step_order = steps.step_order
    where coalesce(steps.outcome, 'open') = 'open'

),

---------- who has it: the department moves with its manager

dated as (

    select
        *,
        {{ business_date('started_at') }} as started_on,
        {{ business_date('ended_at') }} as ended_on
    from described

),

seated as (

    select
        dated.* exclude (started_at, ended_at),
        assignments.department_id,
        greatest(dated.started_at, {{ start_of_day('assignments.valid_from') }}) as started_at,
        least(
            dated.ended_at,
            case when assignments.valid_to < date '9999-12-31' then {{ start_of_day('assignments.valid_to') }} end
        ) as ended_at
    from dated
    inner join assignments
        on
            dated.manager_id = assignments.manager_id
            and dated.started_on < assignments.valid_to
            and (
                dated.started_on >= assignments.valid_from
                or dated.ended_on is null
                or dated.ended_on > assignments.valid_from
            )

)

select
    ---------- ids
    seated.deal_id,
    seated.manager_id,
    seated.department_id,
    seated.account_id,
    seated.pipeline_id,
    seated.stage_id,

    ---------- what
    seated.product,
    seated.lead_source,
    seated.expected_close_on,
    stages.probability,

    ---------- amounts
    cast(round(seated.native_amount * rates.rate, 2) as decimal(18, 2)) as amount,
    seated.native_amount,
    seated.currency_code,

    ---------- times
    nullif(seated.started_at, {{ always() }}) as started_at,
    {{ business_date('nullif(seated.started_at, ' ~ always() ~ ')') }} as started_on,
    seated.ended_at,
    {{ business_date('seated.ended_at') }} as ended_on,
    {{ business_date('seated.stage_entered_at') }} as stage_entered_on
from seated
left join {{ ref('dim_pipeline_stage') }} as stages
    on seated.stage_id = stages.stage_id
left join rates
    on
        seated.currency_code = rates.currency_code
        and seated.booked_on >= rates.valid_from
        and seated.booked_on < rates.valid_to
