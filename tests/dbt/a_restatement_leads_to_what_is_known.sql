with

months as (

    select * from {{ ref('closed_month') }}

),

frozen as (

    select figures.*
    from {{ ref('frozen_figure') }} as figures
    inner join months
        on figures.period_start = months.period_start

),

known as (

    select figures.*
    from {{ ref('kpi_value') }} as figures
    inner join months
        on figures.period_start = months.period_start
    where figures.period_grain = 'month'

),

steps as (

    select
        *,
        lag(value_after) over causes_in_order as value_left,
        row_number() over causes_in_order as place
    from {{ ref('restatement') }}
    window causes_in_order as (partition by kpi_code, period_start, entity_level, entity_key order by step)

),

bridges as (

    select
        kpi_code,
        period_start,
        entity_level,
        entity_key,
        min_by(struct_pack(figure := value_before), step).figure as first_value,
        max_by(struct_pack(figure := value_after), step).figure as last_value,
        sum(numerator_change) as numerator_change,
        sum(denominator_change) as denominator_change,
        count(*) filter (where place > 1 and value_before is distinct from value_left) as gaps
    from steps
    group by kpi_code, period_start, entity_level, entity_key

),

-- A KPI that only one of the two has is not compared.
compared as (

    select
        kpi_code,
        period_start
    from frozen
    where kpi_code in (select known.kpi_code from known)
    group by kpi_code, period_start

),

ends as (

    select
        compared.kpi_code,
        compared.period_start,
        coalesce(frozen.entity_level, known.entity_level) as entity_level,
        coalesce(frozen.entity_key, known.entity_key) as entity_key,
        frozen.kpi_code is not null as was_told,
        known.kpi_code is not null as is_told,
        frozen.value as frozen_value,
        known.value as known_value,
        case
            when frozen.kpi_code is not null and known.kpi_code is not null
                then coalesce(known.numerator, 0) - coalesce(frozen.numerator, 0)
        end as numerator_change,
        case
            when frozen.kpi_code is not null and known.kpi_code is not null
                then coalesce(known.denominator, 0) - coalesce(frozen.denominator, 0)
        end as denominator_change
    from frozen
    full outer join known
        on
            frozen.kpi_code = known.kpi_code
            and frozen.period_start = known.period_start
            and frozen.entity_level = known.entity_level
            and frozen.entity_key = known.entity_key
    inner join compared
        on
            coalesce(frozen.kpi_code, known.kpi_code) = compared.kpi_code
            and coalesce(frozen.period_start, known.period_start) = compared.period_start

)

select
    ends.*,
    bridges.first_value,
    bridges.last_value,
    bridges.numerator_change as numerator_told,
    bridges.denominator_change as denominator_told,
    bridges.gaps
from ends
left join bridges
    on
        ends.kpi_code = bridges.kpi_code
        and ends.period_start = bridges.period_start
        and ends.entity_level = bridges.entity_level
        and ends.entity_key = bridges.entity_key
where
    ends.numerator_change <> coalesce(bridges.numerator_change, 0)
    or ends.denominator_change <> coalesce(bridges.denominator_change, 0)
    or coalesce(bridges.gaps, 0) <> 0
    or (ends.was_told and bridges.kpi_code is not null and ends.frozen_value is distinct from bridges.first_value)
    or (ends.is_told and bridges.kpi_code is not null and ends.known_value is distinct from bridges.last_value)
    or (
        ends.was_told
        and ends.is_told
        and bridges.kpi_code is null
        and ends.frozen_value is distinct from ends.known_value
    )
