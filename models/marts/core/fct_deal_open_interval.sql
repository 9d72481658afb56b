-- One row per stretch of time in which a deal is open and its stage, manager, department and amount stay the same, as
-- it is known now. A deal without dates has been open always (no started_at); one that is open still has no ended_at.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('touched') }}"
) }}

with

known as (

    select * from {{ ref('int_deal__knowledge') }}
    {{ rows_of('touched', 'known_until is null') }}

),

steps as (

    select * from {{ ref('int_deal__steps') }}
    {{ rows_of('touched', 'known_until is null') }}

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}
    {{ rows_of('touched') }}

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
        cast(null as bigint) as stay_number
    from deals

    union all

    select
        deal_id,
        entered_at as changed_at,
        step_order,
        cast(null as bigint) as version_order,
        cast(null as bigint) as stay_number
    from steps

    union all

    select
        deal_id,
        effective_at as changed_at,
        cast(null as bigint) as step_order,
        version_order,
        cast(null as bigint) as stay_number
    from known
    where version_order > 1

    union all

    select
        owner_stays.deal_id,
        owner_stays.owned_from as changed_at,
        cast(null as bigint) as step_order,
        cast(null as bigint) as version_order,
        owner_stays.stay_number
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
        changes.stay_number
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
        max(stay_number) as stay_number
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
        max(stay_number) over change_order as stay_number
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
        coalesce(owner_stays.manager_id, known.manager_id, {{ unassigned('carried.deal_id') }}) as manager_id,
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
    left join owner_stays
        on
            deals.deal_id = owner_stays.deal_id
            and deals.knowledge_number = owner_stays.knowledge_number
            and carried.stay_number = owner_stays.stay_number
    where coalesce(steps.outcome, 'open') = 'open'

),

---------- who has it: the department moves with its manager

seats as (

    select
        manager_id,
        department_id,
        {{ start_of_day('valid_from') }} as seated_from,
        case when valid_to < date '9999-12-31' then {{ start_of_day('valid_to') }} end as seated_until
    from assignments

),

seated as (

    select
        described.deal_id,
        described.manager_id,
        seats.department_id,
        described.account_id,
        described.pipeline_id,
        described.stage_id,
        described.product,
        described.lead_source,
        described.expected_close_on,
        described.native_amount,
        described.currency_code,
        described.stage_entered_at,
        described.booked_on,
        greatest(described.started_at, seats.seated_from) as started_at,
        least(described.ended_at, seats.seated_until) as ended_at
    from described
    inner join seats
        on
            described.manager_id = seats.manager_id
            and (seats.seated_until is null or described.started_at < seats.seated_until)
            and (described.ended_at is null or described.ended_at > seats.seated_from)

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
    {{ converted('seated.native_amount', 'rates.rate') }} as amount,
    {{ converted('seated.native_amount', 'rates.constant_rate') }} as constant_amount,
    seated.native_amount,
    seated.currency_code,

    ---------- times
    nullif(seated.started_at, {{ always() }}) as started_at,
    {{ business_date('nullif(seated.started_at, ' ~ always() ~ ')') }} as started_on,
    seated.ended_at,
    {{ business_date('seated.ended_at') }} as ended_on,
    {{ business_date('seated.stage_entered_at') }} as stage_entered_on,
    seated.booked_on
from seated
left join {{ ref('dim_pipeline_stage') }} as stages
    on seated.stage_id = stages.stage_id
left join rates
    on
        seated.currency_code = rates.currency_code
        and seated.booked_on >= rates.valid_from
        and seated.booked_on < rates.valid_to
