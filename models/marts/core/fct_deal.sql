-- One row per deal as it stood at `as_of`. Its amount is what the ledger counts for it: summed over won deals it is
-- won_amount, over open deals open_amount.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('touched') }}"
) }}

with

build as (

    select * from {{ ref('build_moment') }}

),

known as (

    select * from {{ ref('int_deal__knowledge') }}
    {{ rows_of('touched', 'known_until is null') }}

),

deals as (

    select * from known
    where is_last_version

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}
    {{ rows_of('touched') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

steps as (

    select * from {{ ref('fct_deal_stage_interval') }}
    {{ rows_of('touched') }}

),

events as (

    select * from {{ ref('fct_deal_event') }}
    {{ rows_of('touched') }}

),

open_intervals as (

    select * from {{ ref('fct_deal_open_interval') }}
    {{ rows_of('touched') }}

),

-- The version that stands at `as_of`, and whom the history of owners names then, if there is one.
versions as (

    select
        known.deal_id,
        known.knowledge_number,
        known.manager_id,
        row_number() over (partition by known.deal_id order by known.version_order desc) as recency
    from known
    cross join build
    where known.version_order = 1 or known.effective_at < build.as_of

),

owners as (

    select
        versions.deal_id,
        coalesce(owner_stays.manager_id, versions.manager_id, {{ unassigned('versions.deal_id') }}) as manager_id
    from versions
    cross join build
    left join owner_stays
        on
            versions.deal_id = owner_stays.deal_id
            and versions.knowledge_number = owner_stays.knowledge_number
            and build.as_of > owner_stays.owned_from
            and (owner_stays.owned_until is null or build.as_of <= owner_stays.owned_until)
    where versions.recency = 1

),

standing as (

    select
        steps.*,
        row_number() over (partition by steps.deal_id order by steps.step_number desc) as recency
    from steps
    cross join build
    where steps.entered_at is null or steps.entered_at < build.as_of

),

-- The closing that nothing took back.
closings as (

    select
        events.deal_id,
        events.event_type,
        events.credited_at as closed_at,
        events.manager_id,
        events.department_id,
        sum(events.sign * events.amount) as amount,
        sum(events.sign * events.constant_amount) as constant_amount,
        sum(events.sign * events.native_amount) as native_amount
    from events
    cross join build
    where events.event_type in ('won', 'lost') and events.occurred_at < build.as_of
    group by events.deal_id, events.event_type, events.credited_at, events.manager_id, events.department_id
    having sum(events.sign) > 0

),

still_open as (

    select
        open_intervals.*,
        row_number() over (
            partition by open_intervals.deal_id order by open_intervals.started_at desc nulls last
        ) as recency
    from open_intervals
    cross join build
    where
        (open_intervals.started_at is null or open_intervals.started_at < build.as_of)
        and (open_intervals.ended_at is null or open_intervals.ended_at >= build.as_of)

)

select
    ---------- ids
    deals.deal_id,
    coalesce(closings.manager_id, still_open.manager_id) as manager_id,
    coalesce(closings.department_id, still_open.department_id) as department_id,
    owners.manager_id as current_manager_id,
    coalesce(assignments.department_id, {{ unassigned('deals.deal_id') }}) as current_department_id,
    deals.account_id,
    deals.pipeline_id,
    coalesce(standing.stage_id, case when closings.deal_id is null then still_open.stage_id end) as stage_id,

    ---------- what
    coalesce(closings.event_type, 'open') as outcome,
    deals.deal_name,
    deals.product,
    deals.lead_source,
    deals.loss_reason,

    ---------- amounts
    case
        when closings.deal_id is null then still_open.amount
        else cast(closings.amount as decimal(18, 2))
    end as amount,
    case
        when closings.deal_id is null then still_open.constant_amount
        else cast(closings.constant_amount as decimal(18, 2))
    end as constant_amount,
    case
        when closings.deal_id is null then still_open.native_amount
        else cast(closings.native_amount as decimal(18, 2))
    end as native_amount,
    deals.currency_code,

    ---------- times
    deals.created_at,
    closings.closed_at,
    deals.expected_close_on

from deals
cross join build
inner join owners
    on deals.deal_id = owners.deal_id
left join assignments
    on
        owners.manager_id = assignments.manager_id
        and build.last_day >= assignments.valid_from
        and build.last_day < assignments.valid_to
left join standing
    on deals.deal_id = standing.deal_id and standing.recency = 1
left join closings
    on deals.deal_id = closings.deal_id and coalesce(standing.outcome, 'open') = closings.event_type
left join still_open
    on deals.deal_id = still_open.deal_id and still_open.recency = 1
where
    not deals.is_deleted
    and (deals.created_at is null or deals.created_at < build.as_of or closings.deal_id is not null)
