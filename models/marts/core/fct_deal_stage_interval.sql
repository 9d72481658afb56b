-- One row per uninterrupted stay of a deal in a stage, as it is known now. A stage entered twice has two rows; a stay
-- that goes on has no left_at; a deal without dates has no entered_at.
with

steps as (

    select * from {{ ref('int_deal__steps') }}
    where known_until is null

),

-- A step that is dated before the one it follows ends that one before it began: its stay has no length.
stays as (

    select
        *,
        case when entered_at is not null then min(entered_at) over following_steps end as started_at
    from steps
    window following_steps as (
        partition by deal_id order by step_order rows between current row and unbounded following
    )

)

select
    deal_id,
    cast(step_order as integer) as step_number,
    stage_id,
    stage_id_before,
    outcome,
    outcome_before,
    started_at as entered_at,
    lead(started_at) over (partition by deal_id order by step_order) as left_at
from stays
