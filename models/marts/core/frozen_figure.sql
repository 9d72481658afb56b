-- One row per figure of a month that is closed, as closed.
with

closings as (

    select * from {{ ref('fct_period_close') }}
    where is_in_force

),

figures as (

    select * from {{ ref('stg_kpimart__frozen_figure') }}

)

select
    figures.release_id,
    figures.kpi_code,
    figures.period_grain,
    figures.period_start,
    figures.period_end,
    figures.is_complete,
    figures.entity_level,
    figures.entity_key,
    figures.department_id,
    figures.manager_id,
    figures.entity_name,
    figures.numerator,
    figures.denominator,
    figures.value,
    figures.unit,
    figures.sample_size
from figures
inner join closings
    on figures.period_start = closings.period_start and figures.release_id = closings.release_id
