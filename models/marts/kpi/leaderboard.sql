-- One row per KPI of the profile, period (month, quarter, year) and manager: their place among all. Who ties shares a place;
-- a figure that rests on too little is hidden, and has no place, unless little is what is best.
with

kpis as (

    select kpis.*
    from {{ ref('kpi_catalogue') }} as kpis
    inner join {{ ref('kpi_profile') }} as profile
        on kpis.kpi_code = profile.kpi_code
    where profile.profile = '{{ company().profile }}' and {{ may_judge('kpis.level', "'manager'") }}

),

figures as (

    select * from {{ ref('kpi_value') }}
    where entity_level = 'manager' and period_grain in ('month', 'quarter', 'year')

),

periods as (

    select * from {{ ref('dim_period') }}

),

presence as (

    select * from {{ ref('entity_working_days') }}
    where entity_level = 'manager' and days_there > 0

),

managers as (

    select * from {{ ref('dim_manager') }}
    where manager_id <> {{ unassigned('manager_id') }}

),

seats as (

    select * from {{ ref('manager_assignment') }}

),

departments as (

    select * from {{ ref('dim_department') }}

),

listed as (

    select
        figures.*,
        kpis.better,
        managers.manager_name,
        seats.department_id as seated_in,
        departments.department_name,
        -- who has lost little is known to have: only what is measured on a sample needs one of some size
        figures.sample_size < {{ company().definitions.min_leaderboard_sample }}
        and not (kpis.better = 'lower' and kpis.unit in ('count', 'currency') and instr(kpis.formula, '/') = 0) as is_hidden
    from figures
    inner join kpis
        on figures.kpi_code = kpis.kpi_code
    inner join periods
        on figures.period_grain = periods.period_grain and figures.period_start = periods.period_start
    inner join presence
        on
            figures.entity_key = presence.entity_key
            and figures.period_grain = presence.period_grain
            and figures.period_start = presence.period_start
    inner join managers
        on figures.manager_id = managers.manager_id
    inner join seats
        on
            figures.manager_id = seats.manager_id
            and periods.last_day >= seats.valid_from
            and periods.last_day < seats.valid_to
    inner join departments
        on seats.department_id = departments.department_id

),

placed as (

    select
        *,
        rank() over (
            partition by kpi_code, period_grain, period_start, is_hidden or value is null
            order by case when better = 'higher' then -value else value end
        ) as place,
        count(*) over (partition by kpi_code, period_grain, period_start, is_hidden or value is null, value) as place_count
    from listed

)

select
    kpi_code,
    period_grain,
    period_start,
    period_end,
    is_complete,
    manager_id,
    manager_name,
    seated_in as department_id,
    department_name,
    case when not is_hidden then value end as value,
    unit,
    case when not is_hidden and value is not null then cast(place as integer) end as rank,
    not is_hidden and value is not null and place_count > 1 as is_tied,
    is_hidden
from placed
