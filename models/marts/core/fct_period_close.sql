-- One row per closing of a month, and per reopening, with whether the month is closed by it.
with

decisions as (

    select * from {{ ref('stg_kpimart__close') }}

)

select
    cast('month' as varchar) as period_grain,
    period_start,
    decision_number,
    period_end,
    month_name as period_name,
    action,
    is_latest and action = 'closed' as is_in_force,
    release_id,
    as_of,
    known_at,
    decided_by,
    note,
    decided_at
from decisions
