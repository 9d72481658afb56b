-- One row per additive KPI and period that goes on (month, quarter, year): what part of the whole the company had by the
-- same working day of that period in up to three years before, all of them together. Where nothing is known, no row.
{%- set periods_a_year = {'month': 12, 'quarter': 4, 'year': 1} %}

with

periods as (

    select
        *,
        row_number() over (partition by period_grain order by period_start) as place
    from {{ ref('dim_period') }}
    where period_grain in ('month', 'quarter', 'year')

),

days as (

    select * from {{ ref('dim_day') }}

),

figures as (

    select
        kpi_code,
        period_start as day,
        value
    from {{ ref('kpi_value') }}
    where period_grain = 'day' and entity_level = 'company' and kpi_code in {{ sql_list(additive_kpis()) }}

),

-- One that the figures cover from its first day on.
years_before as (

    select
        going_on.period_grain,
        going_on.period_start,
        going_on.working_days,
        going_on.working_days_elapsed,
        before.period_start as start_before,
        before.period_end as end_before,
        before.working_days as working_days_before
    from periods as going_on
    inner join periods as before
        on going_on.period_grain = before.period_grain
    inner join days
        on before.period_start = days.day
    where
        not going_on.is_complete
        and days.is_covered
        and going_on.place - before.place in (
            case going_on.period_grain {% for grain, count in periods_a_year.items() %}when '{{ grain }}' then {{ count }} {% endfor %}end,
            2 * case going_on.period_grain {% for grain, count in periods_a_year.items() %}when '{{ grain }}' then {{ count }} {% endfor %}end,
            3 * case going_on.period_grain {% for grain, count in periods_a_year.items() %}when '{{ grain }}' then {{ count }} {% endfor %}end
        )

),

-- The same place among more or fewer working days; a day off belongs to the working day before it.
numbered_days as (

    select
        years_before.period_grain,
        years_before.period_start,
        days.day,
        sum(case when days.is_working_day then 1 else 0 end) over (
            partition by years_before.period_grain, years_before.start_before order by days.day
        ) as working_day,
        round(
            years_before.working_days_elapsed * years_before.working_days_before / nullif(years_before.working_days, 0)
        ) as reached_working_day
    from years_before
    inner join days
        on years_before.start_before <= days.day and years_before.end_before >= days.day

),

summed as (

    select
        figures.kpi_code,
        numbered_days.period_grain,
        numbered_days.period_start,
        sum(case when numbered_days.working_day <= numbered_days.reached_working_day then figures.value else 0 end) as reached,
        sum(figures.value) as whole
    from numbered_days
    inner join figures
        on numbered_days.day = figures.day
    group by figures.kpi_code, numbered_days.period_grain, numbered_days.period_start

)

select
    kpi_code,
    period_grain,
    period_start,
    cast(least(greatest(round(reached / whole, 6), 0), 1) as decimal(9, 6)) as usual_share
from summed
where whole > 0
