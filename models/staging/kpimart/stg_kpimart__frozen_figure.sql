-- One row per figure of a closed month, as the release has it that the month was closed on.
{{ config(materialized='view') }}

with

figures as (

    select * from {{ source('frozen', 'figure') }}

)

select
    release_id,
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
    numerator,
    denominator,
    value,
    unit,
    sample_size
from figures
