-- One row per KPI in the scorecard of a manager, a department or the company, and period (month, quarter, year): what it
-- scores and weighs, beside the scorecard's total and the bonus coefficient that it earns.
{%- set profile = company().profile %}

with

attainments as (

    select * from {{ ref('target_attainment') }}

),

kpis as (

    select * from {{ ref('kpi_catalogue') }}

),

profile as (

    select * from {{ ref('kpi_profile') }}
    where profile = '{{ profile }}'

),

assigned as (

    select * from {{ ref('kpi_assigned') }}

),

steps as (

    select * from {{ ref('bonus_coefficient') }}

),

{{ scored() }}

select
    '{{ profile }}' as profile,
    kpi_code,
    period_grain,
    period_start,
    period_end,
    is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    value,
    unit,
    target_value,
    attainment,
    weight,
    threshold,
    cap,
    is_assigned,
    score,
    scored_weight,
    total_score,
    bonus_coefficient
from scorecards
