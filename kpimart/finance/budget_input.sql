-- Of a sum of forecast months the forecast itself tells an interval only if it begins with its first month. Of any other
-- run of months it is that of all months up to its end, less what the months before it bring, as if errors of months
-- went together in the run as they do in all: half widths are as the roots of the sums of squares. It is never wider
-- than the months' own intervals together, which would have to miss on the same side in each.
create or replace table finance.budget_input as
with

basis as (

    select * from finance.budget_basis

),

forecasts as (

    select
        kpi_code,
        entity_level,
        entity_key,
        origin_on,
        horizon,
        period_start,
        cumulative_value,
        {%- for bound in bounds %}
        -- half widths, of a month and of the months up to it; whole cents, or hundredths of a deal
        cast(abs({{ bound }} - value) as decimal(18, 2)) as width_{{ bound }},
        abs(cumulative_{{ bound }} - cumulative_value) as running_width_{{ bound }}{{ ',' if not loop.last }}
        {%- endfor %}
    from finance.kpi_forecast
    where period_grain = 'month'

),

series as (

    select
        *,
        {%- for bound in bounds %}
        sum(width_{{ bound }}) over months as widths_{{ bound }},
        sum(width_{{ bound }} * width_{{ bound }}) over months as squares_{{ bound }}{{ ',' if not loop.last }}
        {%- endfor %}
    from forecasts
    window months as (partition by kpi_code, entity_level, entity_key order by horizon)

),

-- Whom the company's forecast does not name was not there at its origin, and no sales are forecast for them.
asked as (

    select
        basis.*,
        company.horizon as last_horizon,
        company.origin_on,
        begun.horizon - 1 as horizon_before
    from basis
    left join forecasts as company
        on
            company.entity_level = 'company'
            and basis.kpi_code = company.kpi_code
            and basis.last_month = company.period_start
            and basis.first_open_month is not null
    left join forecasts as begun
        on
            begun.entity_level = 'company'
            and basis.kpi_code = begun.kpi_code
            and basis.first_open_month = begun.period_start

),

forecast as (

    select
        asked.*,
        case
            when asked.first_open_month is null then 0
            when asked.last_horizon is not null and asked.horizon_before is not null
                then coalesce(through.cumulative_value, 0) - coalesce(before.cumulative_value, 0)
        end as forecast,
        {%- for bound in bounds %}
        case
            when asked.first_open_month is null then 0
            when asked.last_horizon is null or asked.horizon_before is null then null
            when through.horizon is null or through.squares_{{ bound }} = 0 then 0
            when asked.horizon_before = 0 then through.running_width_{{ bound }}
            when asked.horizon_before = asked.last_horizon - 1 then through.width_{{ bound }}
            else least(
                cast(
                    round(
                        through.running_width_{{ bound }} * sqrt(
                            cast(through.squares_{{ bound }} - before.squares_{{ bound }} as double)
                            / cast(through.squares_{{ bound }} as double)
                        ), 2
                    ) as decimal(28, 8)
                ),
                through.widths_{{ bound }} - before.widths_{{ bound }}
            )
        end as half_{{ bound }}{{ ',' if not loop.last }}
        {%- endfor %}
    from asked
    left join series as through
        on
            asked.kpi_code = through.kpi_code
            and asked.entity_level = through.entity_level
            and asked.entity_key = through.entity_key
            and asked.last_horizon = through.horizon
    left join series as before
        on
            asked.kpi_code = before.kpi_code
            and asked.entity_level = before.entity_level
            and asked.entity_key = before.entity_key
            and asked.horizon_before = before.horizon

),

outlook as (

    select
        *,
        complete_actual + forecast as outlook,
        {%- for bound in bounds %}
        complete_actual + forecast {{ '-' if bound.startswith('low') else '+' }} half_{{ bound }} as outlook_{{ bound }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from forecast
    -- Who left since the forecast was made has what it says of them, so that sums hold.
    where is_there or forecast <> 0

),

-- With a year of which only a part is known nothing is compared.
whole as (

    select * from outlook
    where is_covered

)

select
    outlook.kpi_code,
    outlook.scope,
    outlook.period_grain,
    outlook.period_start,
    outlook.period_end,
    outlook.period_name,
    outlook.is_complete,
    outlook.entity_level,
    outlook.entity_key,
    outlook.department_id,
    outlook.manager_id,
    outlook.entity_name,
    outlook.unit,
    outlook.working_days,
    outlook.days_there,
    outlook.actual,
    outlook.complete_actual,
    outlook.origin_on as forecast_origin_on,
    cast(outlook.forecast as decimal(28, 8)) as forecast,
    cast(outlook.outlook as decimal(28, 8)) as outlook,
    {%- for bound in bounds %}
    cast(outlook.outlook_{{ bound }} as decimal(28, 8)) as outlook_{{ bound }},
    {%- endfor %}
    outlook.plan,
    cast(outlook.outlook - outlook.plan as decimal(28, 8)) as plan_variance,
    cast(last.outlook as decimal(28, 8)) as last_year,
    cast(outlook.outlook - last.outlook as decimal(28, 8)) as last_year_change,
    cast(before_last.outlook as decimal(28, 8)) as year_before_last
from outlook
left join whole as last
    on
        outlook.kpi_code = last.kpi_code
        and outlook.scope = last.scope
        and outlook.period_grain = last.period_grain
        and outlook.years_ahead - 1 = last.years_ahead
        and outlook.place = last.place
        and outlook.entity_level = last.entity_level
        and outlook.entity_key = last.entity_key
left join whole as before_last
    on
        outlook.kpi_code = before_last.kpi_code
        and outlook.scope = before_last.scope
        and outlook.period_grain = before_last.period_grain
        and outlook.years_ahead - 2 = before_last.years_ahead
        and outlook.place = before_last.place
        and outlook.entity_level = before_last.entity_level
        and outlook.entity_key = before_last.entity_key
where outlook.years_ahead >= -1
