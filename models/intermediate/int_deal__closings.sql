-- One row per amount that a closing stood at: the closing itself, and each later change of its amount, with the moment
-- at which the next one, or a reopening, took it back. As it was known.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

steps as (

    select * from {{ ref('int_deal__steps') }}
    {{ rows_of('changed') }}

),

known as (

    select * from {{ ref('int_deal__knowledge') }}
    {{ rows_of('changed') }}

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}
    {{ rows_of('changed') }}

),

-- Steps of the same outcome in a row are one closing.
numbered as (

    select
        *,
        count(*) filter (where outcome is distinct from outcome_before) over (
            partition by deal_id, knowledge_number order by step_order
        ) as outcome_number
    from steps

),

closings as (

    select
        deal_id,
        knowledge_number,
        outcome_number,
        outcome,
        min(entered_at) as closed_at,
        min(step_order) as step_order,
        min(first_version) as first_version,
        max(last_version) as last_version
    from numbered
    where outcome <> 'open'
    group by deal_id, knowledge_number, outcome_number, outcome

),

with_end as (

    select
        closings.*,
        steps.stage_id,
        steps.stage_id_before,
        next_step.entered_at as ended_at
    from closings
    inner join steps
        on
            closings.deal_id = steps.deal_id
            and closings.knowledge_number = steps.knowledge_number
            and closings.step_order = steps.step_order
    left join numbered as next_step
        on
            closings.deal_id = next_step.deal_id
            and closings.knowledge_number = next_step.knowledge_number
            and closings.outcome_number = next_step.outcome_number - 1
            and next_step.outcome is distinct from next_step.outcome_before

),

-- Where the source does not tell when a closed deal was edited, the edit corrects the closing itself.
amounts as (

    select
        with_end.*,
        known.version_order,
        known.currency_code,
        known.native_amount,
        greatest(with_end.closed_at, known.effective_at) as effective_at,
        row_number() over version_sequence as amount_order,
        lag(known.currency_code) over version_sequence as currency_code_before,
        lag(known.native_amount) over version_sequence as native_amount_before
    from with_end
    inner join known
        on
            with_end.deal_id = known.deal_id
            and with_end.knowledge_number = known.knowledge_number
            and (
                (known.has_source_time and known.version_order between with_end.first_version and with_end.last_version)
                or (not known.has_source_time and with_end.last_version = known.version_order)
            )
    window version_sequence as (
        partition by known.deal_id, known.knowledge_number, with_end.outcome_number order by known.version_order
    )

),

changed as (

    select * from amounts
    where
        amount_order = 1
        or (
            (native_amount is distinct from native_amount_before or currency_code <> currency_code_before)
            and (ended_at is null or effective_at < ended_at)
        )

),

sequenced as (

    select
        *,
        case when amount_order = 1 then closed_at else effective_at end as counted_at,
        coalesce(
            lead(effective_at) over (partition by deal_id, knowledge_number, outcome_number order by amount_order),
            ended_at
        ) as taken_back_at
    from changed

)

select
    sequenced.deal_id,
    sequenced.knowledge_number,
    sequenced.outcome_number,
    sequenced.amount_order,
    sequenced.outcome,
    sequenced.stage_id,
    sequenced.stage_id_before,
    sequenced.closed_at,
    sequenced.counted_at,
    sequenced.taken_back_at,
    sequenced.native_amount,
    sequenced.currency_code,
    coalesce(owner_stays.manager_id, closing_version.manager_id) as manager_id
from sequenced
inner join known as closing_version
    on
        sequenced.deal_id = closing_version.deal_id
        and sequenced.knowledge_number = closing_version.knowledge_number
        and sequenced.first_version = closing_version.version_order
left join owner_stays
    on
        sequenced.deal_id = owner_stays.deal_id
        and sequenced.knowledge_number = owner_stays.knowledge_number
        and sequenced.closed_at >= owner_stays.owned_from
        and (owner_stays.owned_until is null or sequenced.closed_at < owner_stays.owned_until)
