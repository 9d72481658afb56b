{{ config(severity='warn') }}

with

assignments as (

    select * from {{ ref('kpi_assignment') }}

),

profile as (

    select * from {{ ref('kpi_profile') }}
    where profile = '{{ company().profile }}'

)

select
    assignments.kpi_code || ' of ' || assignments.assigned_level || ' ' || assignments.assigned_to as problem
from assignments
left join profile
    on assignments.kpi_code = profile.kpi_code
where assignments.weight is null and profile.kpi_code is null
order by problem
