-- One row per cut that has figures: the main one, and one for each value of a property that a deal or a lead has.
with

events as (

    select * from {{ ref('kpi_counted_event') }}

),

intervals as (

    select * from {{ ref('kpi_open_interval') }}

),

leads as (

    select * from {{ ref('fct_lead') }}

),

properties as (

    {% for relation in ['events', 'intervals'] %}
    {% for cut in cuts() if cut.property %}
    select distinct
        '{{ cut.cut_by }}' as cut_by,
        coalesce({{ cut.property }}, {{ no_property() }}) as cut_value
    from {{ relation }}
    union
    {% endfor %}
    {% endfor %}
    select distinct
        'lead_source' as cut_by,
        coalesce(lead_source, {{ no_property() }}) as cut_value
    from leads
    union
    -- what a lead has none of, and an activity without a deal
    select
        missing.cut_by,
        {{ no_property() }} as cut_value
    from (values ('pipeline'), ('product'), ('lead_source')) as missing (cut_by)

),

cuts as (

    {% for cut in cuts() %}
    select
        {{ loop.index0 }} as position,
        '{{ cut.credit_lens }}' as credit_lens,
        '{{ cut.amount_basis }}' as amount_basis,
        '{{ cut.cut_by }}' as cut_by,
        {{ 'properties.cut_value' if cut.property else "'all'" }} as cut_value
    {%- if cut.property %}
    from properties
    where properties.cut_by = '{{ cut.cut_by }}'
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    cast(row_number() over (order by position, cut_value) - 1 + {{ main_cut() }} as integer) as cut_id,
    credit_lens,
    amount_basis,
    cut_by,
    cut_value
from cuts
