-- One row per cut, day, shape of the organisation, manager and department in which something happened: the additive
-- measures of the day, and the changes of the snapshots. Cuts other than the main one are told by months, each on its
-- first day. Nothing at or after `as_of` is in it.
{%- set daily = measures_where('additivity', 'additive') + measures_where('additivity', 'snapshot') %}
{%- set amount = {'booking': 'amount', 'constant': 'constant_amount', 'native': 'native_amount'} %}
{%- set weighted = {
    'booking': 'weighted_amount', 'constant': 'weighted_constant_amount', 'native': 'weighted_native_amount'
} %}
{%- set seat = ['day', 'month_day', 'organisation_id', 'manager_id', 'department_id'] %}
{%- set of_deals = ['pipeline_id', 'product', 'lead_source', 'currency_code'] %}
{%- set relations = {
    'events': {
        'columns': ['event_type', 'sign', 'share', 'purchase_number', 'days_to_win', 'cycle_days', 'has_slipped'],
        'amounts': {'amount': amount},
        'properties': of_deals,
    },
    'open_changes': {
        'columns': ['sign', 'share', 'fields_filled', 'tells_next_steps'],
        'amounts': {'amount': amount, 'weighted_amount': weighted},
        'properties': of_deals,
    },
    'stale_changes': {'columns': ['sign', 'share'], 'properties': of_deals},
    'next_step_changes': {'columns': ['sign', 'share'], 'properties': of_deals},
    'leads': {'columns': ['is_converted', 'first_response_hours'], 'properties': ['lead_source']},
    'activities': {'columns': ['activity_type'], 'properties': ['pipeline_id', 'product', 'lead_source']},
} %}

with

build as (

    select * from {{ ref('build_moment') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

months as (

    select
        day,
        min(day) over (partition by period_start) as month_day
    from {{ ref('dim_period_day') }}
    where period_grain = 'month'

),

events as (

    select
        credited.*,
        credited.occurred_on as day,
        months.month_day
    from {{ ref('kpi_credited_event') }} as credited
    left join months
        on credited.occurred_on = months.day

),

---------- credited to who did it, in every lens

lenses as (

    select lens_names.credit_lens
    from (values ('at_event'), ('current_owner'), ('split')) as lens_names (credit_lens)

),

leads as (

    select
        lenses.credit_lens,
        leads.created_on as day,
        months.month_day,
        organisations.organisation_id,
        leads.manager_id,
        leads.department_id,
        leads.lead_source,
        leads.is_converted,
        leads.first_response_hours
    from {{ ref('kpi_counted_lead') }} as leads
    cross join lenses
    inner join organisations
        on leads.created_on >= organisations.valid_from and leads.created_on < organisations.valid_to
    left join months
        on leads.created_on = months.day

),

activities as (

    select
        lenses.credit_lens,
        activities.occurred_on as day,
        months.month_day,
        organisations.organisation_id,
        activities.manager_id,
        activities.department_id,
        activities.activity_type,
        deals.pipeline_id,
        deals.product,
        deals.lead_source
    from {{ ref('kpi_counted_activity') }} as activities
    cross join lenses
    inner join organisations
        on activities.occurred_on >= organisations.valid_from and activities.occurred_on < organisations.valid_to
    left join {{ ref('fct_deal') }} as deals
        on activities.deal_id = deals.deal_id
    left join months
        on activities.occurred_on = months.day

),

---------- open deals, as what enters and what leaves

open_intervals as (

    select * from {{ ref('kpi_credited_interval') }}

),

open_days as (

    select *, started_on as day, 1 as sign from open_intervals
    union all
    select *, ended_on as day, -1 as sign from open_intervals where ended_on is not null

),

stale_intervals as (

    select
        open_intervals.credit_lens,
        {% for property in of_deals %}
        open_intervals.{{ property }},
        {% endfor %}
        open_intervals.organisation_id,
        open_intervals.manager_id,
        open_intervals.department_id,
        open_intervals.share,
        greatest(open_intervals.started_on, open_intervals.stale_on) as started_on,
        open_intervals.ended_on
    from open_intervals
    cross join build
    where
        open_intervals.stale_on <= build.last_day
        and (open_intervals.ended_on is null or open_intervals.stale_on < open_intervals.ended_on)

),

stale_days as (

    select *, started_on as day, 1 as sign from stale_intervals
    union all
    select *, ended_on as day, -1 as sign from stale_intervals where ended_on is not null

),

next_steps as (

    select * from {{ ref('kpi_next_step') }}

),

next_step_intervals as (

    select
        open_intervals.credit_lens,
        {% for property in of_deals %}
        open_intervals.{{ property }},
        {% endfor %}
        open_intervals.organisation_id,
        open_intervals.manager_id,
        open_intervals.department_id,
        open_intervals.share,
        greatest(open_intervals.started_on, next_steps.started_on) as started_on,
        least(open_intervals.ended_on, next_steps.ended_on) as ended_on
    from open_intervals
    inner join next_steps
        on
            open_intervals.deal_id = next_steps.deal_id
            and (next_steps.ended_on is null or open_intervals.started_on < next_steps.ended_on)
            and (open_intervals.ended_on is null or open_intervals.ended_on > next_steps.started_on)

),

next_step_days as (

    select *, started_on as day, 1 as sign from next_step_intervals
    union all
    select *, ended_on as day, -1 as sign from next_step_intervals where ended_on is not null

),

{% for state in ['open', 'stale', 'next_step'] %}
{{ state }}_changes as (

    select
        {{ state }}_days.*,
        months.month_day
    from {{ state }}_days
    left join months
        on {{ state }}_days.day = months.day

),

{% endfor %}
---------- one row a day and seat, of each

{% for relation, rows in relations.items() %}
{{ relation }}_in_cuts as (

    {{ in_every_cut(relation, seat + rows.columns, rows.get('amounts', {}), rows.properties) }}

),

of_{{ relation }} as (

    select
        cut_id,
        case when cut_id = {{ main_cut() }} then day else month_day end as day,
        organisation_id,
        manager_id,
        department_id
        {%- for measure in daily %},
        {% if measure.relation == relation -%}
            sum({{ measure.sql }}){% if measure.filter %} filter (where {{ measure.filter }}){% endif %}
        {%- else -%}
            null
        {%- endif %} as {{ measure.name }}
        {%- endfor %}
    from {{ relation }}_in_cuts
    group by
        cut_id,
        case when cut_id = {{ main_cut() }} then day else month_day end,
        organisation_id,
        manager_id,
        department_id

),

{% endfor %}
cells as (

    {% for relation in relations %}
        select * from of_{{ relation }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    cut_id,
    day,
    organisation_id,
    manager_id,
    department_id
    {%- for measure in daily %},
    cast(sum({{ measure.name }}) as {{ measure_type(measure) }}) as {{ measure.name }}
    {%- endfor %}
from cells
group by cut_id, day, organisation_id, manager_id, department_id
