-- One row per KPI, period (month, quarter, year; week of the company and of departments) and entity: the figure, the
-- ones it is compared with, its sums over several periods, and what the statistics read. Whatever is summed is a sum, or
-- a quotient of sums; what is counted anew for each period (customers, open deals, medians) has no sum.
{%- set series = 'kpi_code, period_grain, entity_level, entity_key' %}
{%- set lengths = [3, 6, 12] %}

with

days as (

    select * from {{ ref('dim_day') }}

),

figures as (

    select * from {{ ref('kpi_value') }}

),

periods as (

    select
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        periods.is_complete as is_over,
        periods.working_days,
        periods.working_days_elapsed,
        first_days.year_start,
        periods.is_covered,
        years.is_covered as is_year_covered,
        cast(
            row_number() over (partition by periods.period_grain order by periods.period_start) as integer
        ) as period_number
    from {{ ref('dim_period') }} as periods
    inner join days as first_days
        on periods.period_start = first_days.day
    left join {{ ref('dim_period') }} as years
        on years.period_grain = 'year' and first_days.year_start = years.period_start
    where periods.period_grain in {{ sql_list(periods_a_year()) }}

),

usual_periods as (

    select
        period_grain,
        sum(working_days) as working_days,
        count(*) as period_count
    from periods
    where is_over and is_covered
    group by period_grain

),

whole_stays as (

    select
        period_grain,
        period_start,
        entity_level,
        entity_key
    from {{ ref('entity_working_days') }}
    where days_there = working_days

),

---------- a period that goes on is compared as far as it has come

periods_before as (

    {% for which in ['previous', 'last_year'] %}
    select
        going_on.period_grain,
        going_on.period_number,
        going_on.working_days_elapsed,
        '{{ which }}' as which,
        before.period_start,
        before.period_end
    from periods as going_on
    inner join periods as before
        on
            going_on.period_grain = before.period_grain
            and before.period_number = {{ 'going_on.period_number - 1' if which == 'previous' else number_a_year_before('going_on') }}
    where not going_on.is_over and before.is_over and before.is_covered
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

-- A day off belongs to the working day before it.
numbered_days as (

    select
        before.period_grain,
        before.period_number,
        before.which,
        before.period_start,
        before.working_days_elapsed,
        days.day,
        sum(case when days.is_working_day then 1 else 0 end) over (
            partition by before.period_grain, before.which order by days.day
        ) as working_day
    from periods_before as before
    inner join days
        on before.period_start <= days.day and before.period_end >= days.day

),

daily as (

    select
        kpi_code,
        entity_level,
        entity_key,
        period_start as day,
        {{ parts_of_figures() }}
    from figures
    where
        period_grain = 'day'
        and entity_level in ('company', 'department', 'manager')
        and kpi_code in {{ sql_list(kpis_summed_by_day()) }}

),

summed_so_far as (

    select
        daily.kpi_code,
        daily.entity_level,
        daily.entity_key,
        numbered_days.period_grain,
        numbered_days.period_number,
        numbered_days.which,
        {{ figure_of_parts('bool_and(is_flow)') }} as value
    from daily
    inner join numbered_days
        on daily.day = numbered_days.day
    where numbered_days.working_day <= numbered_days.working_days_elapsed
    group by
        daily.kpi_code,
        daily.entity_level,
        daily.entity_key,
        numbered_days.period_grain,
        numbered_days.period_number,
        numbered_days.which

),

---------- whole periods

placed as (

    select
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
        figures.unit,
        figures.value,
        {{ parts_of_figures() }},
        periods.period_number,
        periods.year_start,
        periods.is_year_covered,
        periods.is_over,
        periods.working_days,
        periods.working_days_elapsed,
        periods.is_covered
    from figures
    inner join periods
        on figures.period_grain = periods.period_grain and figures.period_start = periods.period_start
    where
        figures.entity_level in ('company', 'department')
        or (figures.entity_level = 'manager' and figures.period_grain <> 'week')

),

-- What is missing between two periods of a series adds nothing: nobody was there, or nothing happened in that week.
summed as (

    select
        *,
        min(case when is_covered then period_number end) over whole_series as first_number,
        lag(period_number) over in_order as number_before,
        -- Nothing is compared with a period of which only a part is known.
        lag(case when is_covered then value end) over in_order as value_before,
        {%- for length in lengths %}
        {{ figure_of_parts('is_flow', 'over last_' ~ length) }} as sum_of_{{ length }},
        {%- endfor %}
        {{ figure_of_parts('is_flow', 'over year_so_far') }} as sum_of_year
    from placed
    window
        whole_series as (partition by {{ series }}),
        in_order as (partition by {{ series }} order by period_number),
        {%- for length in lengths %}
        last_{{ length }} as (
            partition by {{ series }} order by period_number range between {{ length - 1 }} preceding and current row
        ),
        {%- endfor %}
        year_so_far as (partition by {{ series }}, year_start order by period_number)

),

compared as (

    select
        summed.*,
        case
            when summed.is_complete then 'whole'
            when summed.is_over then 'immature'
            when summed.kpi_code in {{ sql_list(kpis_summed_by_day()) }} then 'same_working_day'
            else 'no_daily_figures'
        end as compared_as,
        case
            when summed.number_before = summed.period_number - 1 then summed.value_before
            -- a week in which nothing was
            when summed.is_flow and summed.period_grain = 'week' and summed.number_before is not null then 0
        end as whole_previous_value,
        last_years.value as whole_last_year_value,
        previous_so_far.value as part_of_previous_value,
        last_year_so_far.value as part_of_last_year_value
    from summed
    left join placed as last_years
        on
            summed.kpi_code = last_years.kpi_code
            and summed.period_grain = last_years.period_grain
            and summed.entity_level = last_years.entity_level
            and summed.entity_key = last_years.entity_key
            and last_years.period_number = {{ number_a_year_before('summed') }}
            and last_years.is_covered
    {%- for which in ['previous', 'last_year'] %}
    left join summed_so_far as {{ which }}_so_far
        on
            summed.kpi_code = {{ which }}_so_far.kpi_code
            and summed.period_grain = {{ which }}_so_far.period_grain
            and summed.entity_level = {{ which }}_so_far.entity_level
            and summed.entity_key = {{ which }}_so_far.entity_key
            and summed.period_number = {{ which }}_so_far.period_number
            and {{ which }}_so_far.which = '{{ which }}'
    {%- endfor %}

),

chosen as (

    select
        *,
        case
            when compared_as = 'whole' then whole_previous_value
            when compared_as = 'same_working_day' then
                coalesce(part_of_previous_value, case when is_flow and whole_previous_value is not null then 0 end)
        end as previous_value,
        case
            when compared_as = 'whole' then whole_last_year_value
            when compared_as = 'same_working_day' then
                coalesce(part_of_last_year_value, case when is_flow and whole_last_year_value is not null then 0 end)
        end as last_year_value
    from compared

)

select
    chosen.kpi_code,
    chosen.period_grain,
    chosen.period_start,
    chosen.period_end,
    chosen.is_complete,
    chosen.entity_level,
    chosen.entity_key,
    chosen.department_id,
    chosen.manager_id,
    chosen.entity_name,
    chosen.unit,
    chosen.value,
    cast(chosen.previous_value as decimal(28, 8)) as previous_value,
    cast(chosen.value - chosen.previous_value as decimal(28, 8)) as change,
    cast(chosen.last_year_value as decimal(28, 8)) as last_year_value,
    cast(chosen.value - chosen.last_year_value as decimal(28, 8)) as change_on_last_year,
    chosen.compared_as,
    case when chosen.compared_as = 'same_working_day' then chosen.working_days_elapsed end as compared_through,
    {%- for length in lengths %}
    cast(
        case
            when chosen.is_complete and chosen.period_number - chosen.first_number >= {{ length - 1 }}
                then chosen.sum_of_{{ length }}
        end as decimal(28, 8)
    ) as rolling_{{ length }},
    {%- endfor %}
    -- weeks lie across years
    cast(
        case when chosen.period_grain <> 'week' and chosen.is_year_covered then chosen.sum_of_year end as decimal(28, 8)
    ) as year_to_date,
    case
        when chosen.is_flow and chosen.is_complete and chosen.is_covered and chosen.working_days > 0 then
            cast(
                round(
                    chosen.value * usual_periods.working_days / (usual_periods.period_count * chosen.working_days), 8
                ) as decimal(28, 8)
            )
    end as working_day_adjusted_value,
    chosen.period_number,
    chosen.is_flow,
    chosen.is_complete and chosen.is_covered and whole_stays.entity_key is not null as is_whole,
    cast(
        usual_periods.working_days / (usual_periods.period_count * nullif(chosen.working_days, 0)) as decimal(18, 12)
    ) as working_day_factor
from chosen
left join usual_periods
    on chosen.period_grain = usual_periods.period_grain
left join whole_stays
    on
        chosen.period_grain = whole_stays.period_grain
        and chosen.period_start = whole_stays.period_start
        and chosen.entity_level = whole_stays.entity_level
        and chosen.entity_key = whole_stays.entity_key
