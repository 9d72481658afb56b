-- One row per closing of a month, and per reopening, with whether the month is closed by it.
with

decisions as (

    select * from {{ ref('stg_kpimart__close') }}

),

months as (

    select * from {{ ref('stg_kpimart__frozen_month') }}

)

select
    cast('month' as varchar) as period_grain,
    decisions.period_start,
    decisions.decision_number,
    decisions.period_end,
    decisions.month_name as period_name,
    decisions.action,
    decisions.is_latest and decisions.action = 'closed' as is_in_force,
    decisions.release_id,
    decisions.as_of,
    decisions.known_at,
    decisions.decided_by,
    decisions.note,
    decisions.decided_at,
    case when decisions.is_latest and decisions.action = 'closed' then coalesce(months.status, 'missing') end
        as frozen_status,
    case when decisions.is_latest and decisions.action = 'closed' then months.problem end as frozen_problem
from decisions
left join months
    on decisions.period_start = months.period_start and decisions.release_id = months.release_id
