-- One row per KPI, period, entity and cut other than the main one, where something is: who is credited otherwise, amounts
-- converted otherwise, deals told apart by a property, or a closed month as it was closed. Rows of two cuts must not be
-- summed.
{%- set described = [
    'period_grain', 'period_start', 'period_end', 'credit_lens', 'amount_basis', 'cut_by', 'cut_value', 'entity_level',
    'entity_key', 'department_id', 'manager_id', 'entity_name'
] %}

with

measures as (

    select
        measured.*,
        periods.period_end,
        periods.is_complete,
        build.as_of,
        cuts.credit_lens,
        cuts.amount_basis,
        cuts.cut_by,
        cuts.cut_value,
        entities.entity_level,
        entities.entity_key,
        entities.department_id,
        entities.manager_id,
        entities.entity_name
    from {{ ref('kpi_measure') }} as measured
    inner join {{ ref('dim_period') }} as periods
        on measured.period_grain = periods.period_grain and measured.period_start = periods.period_start
    inner join {{ ref('dim_entity') }} as entities
        on measured.entity_id = entities.entity_id
    inner join {{ ref('kpi_cut') }} as cuts
        on measured.cut_id = cuts.cut_id
    cross join {{ ref('build_moment') }} as build
    where measured.cut_id <> {{ main_cut() }}

),

every_kpi as (

    {{ figures_of_catalogue('measures', described) }}

),

recut as (

    select
        every_kpi.kpi_code,
        every_kpi.period_grain,
        every_kpi.period_start,
        every_kpi.period_end,
        every_kpi.is_complete,
        every_kpi.credit_lens,
        every_kpi.amount_basis,
        every_kpi.cut_by,
        every_kpi.cut_value,
        every_kpi.entity_level,
        every_kpi.entity_key,
        every_kpi.department_id,
        every_kpi.manager_id,
        every_kpi.entity_name,
        every_kpi.numerator,
        every_kpi.denominator,
        every_kpi.value,
        case
            when every_kpi.amount_basis = 'native'
                then replace(every_kpi.unit, '{{ company().base_currency }}', every_kpi.cut_value)
            else every_kpi.unit
        end as unit,
        every_kpi.sample_size
    from every_kpi
    where
        (every_kpi.sample_size <> 0 or every_kpi.value <> 0)
        -- only amounts depend on the rate
        and (every_kpi.amount_basis = 'booking' or every_kpi.unit like '{{ company().base_currency }}%')

),

as_closed as (

    select
        *,
        'at_event' as credit_lens,
        'booking' as amount_basis,
        'as_closed' as cut_by,
        release_id as cut_value
    from {{ ref('frozen_figure') }}

)

{% for relation in ['recut', 'as_closed'] %}
select
    kpi_code,
    period_grain,
    period_start,
    period_end,
    is_complete,
    credit_lens,
    amount_basis,
    cut_by,
    cut_value,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    numerator,
    denominator,
    value,
    unit,
    cast(sample_size as decimal(18, 6)) as sample_size
from {{ relation }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
