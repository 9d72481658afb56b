-- One row per step of a deal through its stages, as it was known: from the CRM's history of stages where there is one,
-- else from the versions seen. `first_version` and `last_version` bound the versions that describe the step.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ remove_rows_of('changed') }}"
) }}

with

known as (

    select * from {{ ref('int_deal__knowledge') }}
    {{ rows_of('changed') }}

),

stages as (

    {{ from_every_crm('pipeline_stage') }}

),

stage_changes as (

    select * from (
        {{ from_every_crm('deal_stage_change') }}
    ) as told
    {{ rows_of('changed') }}

),

last_known as (

    select * from known
    where is_last_version

),

---------- from the history of stages

stated as (

    select
        last_known.deal_id,
        last_known.knowledge_number,
        -- a change that does not name its pipeline is in the one that the deal was in, as it was known
        coalesce(stage_changes.stage_id, last_known.pipeline_id || ':' || stage_changes.stage_name) as stage_id,
        stage_changes.changed_at as entered_at,
        lead(stage_changes.changed_at) over change_order as next_entered_at,
        row_number() over change_order as step_order
    from last_known
    inner join stage_changes
        on
            last_known.deal_id = stage_changes.deal_id
            and last_known.known_from >= stage_changes.recorded_at
            and (stage_changes.superseded_at is null or last_known.known_from < stage_changes.superseded_at)
    window change_order as (
        partition by last_known.deal_id, last_known.knowledge_number
        order by stage_changes.changed_at, stage_changes.stage_change_id
    )

),

-- The record's own closing date is what the CRM's reports show; within the same day the history is more exact.
dated as (

    select
        stated.deal_id,
        stated.knowledge_number,
        stated.stage_id,
        stated.step_order,
        case
            when
                stated.next_entered_at is null
                and stages.outcome <> 'open'
                and last_known.stage_id = stated.stage_id
                and last_known.closed_at is not null
                and {{ business_date('last_known.closed_at') }} <> {{ business_date('stated.entered_at') }}
                then last_known.closed_at
            else stated.entered_at
        end as entered_at
    from stated
    inner join last_known
        on stated.deal_id = last_known.deal_id and stated.knowledge_number = last_known.knowledge_number
    left join stages
        on stated.stage_id = stages.stage_id

),

-- The history may lag behind the record: then the record's stage is the last step.
unstated as (

    select
        last_known.deal_id,
        last_known.knowledge_number,
        last_known.stage_id,
        stated.step_order + 1 as step_order,
        greatest(
            stated.entered_at,
            case
                when stages.outcome <> 'open' then coalesce(last_known.closed_at, last_known.effective_at)
                else last_known.effective_at
            end
        ) as entered_at
    from last_known
    inner join stated
        on
            last_known.deal_id = stated.deal_id
            and last_known.knowledge_number = stated.knowledge_number
            and stated.next_entered_at is null
    left join stages
        on last_known.stage_id = stages.stage_id
    where last_known.stage_id is not null and last_known.stage_id <> stated.stage_id

),

stated_steps as (

    select deal_id, knowledge_number, stage_id, step_order, entered_at from dated
    union all
    select deal_id, knowledge_number, stage_id, step_order, entered_at from unstated

),

stated_with_version as (

    select
        stated_steps.deal_id,
        stated_steps.knowledge_number,
        stated_steps.stage_id,
        stated_steps.step_order,
        stated_steps.entered_at,
        coalesce(
            min(known.version_order) filter (where known.effective_at >= stated_steps.entered_at),
            max(known.version_order)
        ) as first_version
    from stated_steps
    inner join known
        on stated_steps.deal_id = known.deal_id and stated_steps.knowledge_number = known.knowledge_number
    group by
        stated_steps.deal_id,
        stated_steps.knowledge_number,
        stated_steps.stage_id,
        stated_steps.step_order,
        stated_steps.entered_at

),

---------- from the versions seen

staged as (

    select
        known.deal_id,
        known.knowledge_number,
        known.version_order,
        known.stage_id,
        lag(known.stage_id) over (
            partition by known.deal_id, known.knowledge_number order by known.version_order
        ) as stage_id_before
    from known
    left join stated
        on
            known.deal_id = stated.deal_id
            and known.knowledge_number = stated.knowledge_number
            and stated.step_order = 1
    where stated.deal_id is null

),

runs as (

    select
        *,
        count(*) filter (where version_order = 1 or stage_id is distinct from stage_id_before) over (
            partition by deal_id, knowledge_number order by version_order
        ) as step_order
    from staged

),

seen as (

    select
        deal_id,
        knowledge_number,
        stage_id,
        step_order,
        min(version_order) as first_version,
        max(version_order) as last_version
    from runs
    group by deal_id, knowledge_number, stage_id, step_order

),

seen_steps as (

    select
        seen.deal_id,
        seen.knowledge_number,
        seen.stage_id,
        seen.step_order,
        case
            when stages.outcome <> 'open' then coalesce(last_of_run.closed_at, first_of_run.effective_at)
            when seen.step_order = 1 then last_of_run.created_at
            else first_of_run.effective_at
        end as entered_at,
        seen.first_version
    from seen
    inner join known as first_of_run
        on
            seen.deal_id = first_of_run.deal_id
            and seen.knowledge_number = first_of_run.knowledge_number
            and seen.first_version = first_of_run.version_order
    inner join known as last_of_run
        on
            seen.deal_id = last_of_run.deal_id
            and seen.knowledge_number = last_of_run.knowledge_number
            and seen.last_version = last_of_run.version_order
    left join stages
        on seen.stage_id = stages.stage_id

),

---------- together

steps as (

    select deal_id, knowledge_number, stage_id, step_order, entered_at, first_version from stated_with_version
    union all
    select deal_id, knowledge_number, stage_id, step_order, entered_at, first_version from seen_steps

),

described as (

    select
        steps.deal_id,
        steps.knowledge_number,
        steps.step_order,
        steps.stage_id,
        coalesce(stages.outcome, 'open') as outcome,
        -- a step ends those before it that are dated after it: they have no length
        case
            when steps.entered_at is not null
                then min(steps.entered_at) over (
                    step_sequence rows between current row and unbounded following
                )
        end as entered_at,
        steps.first_version,
        greatest(
            steps.first_version,
            coalesce(lead(steps.first_version) over step_sequence - 1, last_known.version_order)
        ) as last_version,
        lag(steps.stage_id) over step_sequence as stage_id_before,
        lag(coalesce(stages.outcome, 'open')) over step_sequence as outcome_before,
        last_known.known_from,
        last_known.known_until
    from steps
    inner join last_known
        on steps.deal_id = last_known.deal_id and steps.knowledge_number = last_known.knowledge_number
    left join stages
        on steps.stage_id = stages.stage_id
    -- what was known of a deleted deal is that it is not there
    where not last_known.is_deleted
    window step_sequence as (partition by steps.deal_id, steps.knowledge_number order by steps.step_order)

)

select
    *,
    lead(entered_at) over (partition by deal_id, knowledge_number order by step_order) as left_at
from described
