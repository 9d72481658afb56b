with

inputs as (

    select * from {{ ref('forecast_input') }}

),

months as (

    select * from {{ ref('forecast_month') }}
    where is_complete

),

-- What a company counts otherwise by a KPI's name is not forecast.
figures as (

    select figures.*
    from {{ ref('kpi_value') }} as figures
    inner join {{ ref('kpi_catalogue') }} as catalogue
        on figures.kpi_code = catalogue.kpi_code and catalogue.kpi_code = catalogue.formula
    where
        figures.period_grain = 'month'
        and figures.entity_level in ('company', 'department', 'manager')
        and figures.kpi_code in ('won_amount', 'won_deals', 'new_customers', 'leads_created')

),

known_now as (

    select
        kpi_code,
        entity_level,
        entity_key,
        period_number,
        sum(change) as value
    from inputs
    group by kpi_code, entity_level, entity_key, period_number

),

compared as (

    select
        figures.kpi_code,
        figures.entity_level,
        figures.entity_key,
        figures.period_start,
        coalesce(figures.value, 0) as published,
        coalesce(known_now.value, 0) as forecast_from
    from figures
    inner join months
        on figures.period_start = months.period_start
    left join known_now
        on
            figures.kpi_code = known_now.kpi_code
            and figures.entity_level = known_now.entity_level
            and figures.entity_key = known_now.entity_key
            and months.period_number = known_now.period_number

)

select * from compared
where published <> forecast_from
order by kpi_code, entity_level, entity_key, period_start
