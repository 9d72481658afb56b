-- One row per cut, day, shape of the organisation, manager and department in which something happened: the additive
-- measures of the day, and the changes of the snapshots. Cuts other than the main one are told by months, each on its
-- first day. Nothing at or after `as_of` is in it.
{%- set daily = measures_where('additivity', 'additive') + measures_where('additivity', 'snapshot') %}
{%- set seat = ['organisation_id', 'manager_id', 'department_id'] %}
{%- set of_deals = ['pipeline_id', 'product', 'lead_source', 'currency_code'] %}
{%- set properties_of = {
    'events': of_deals,
    'open_changes': of_deals,
    'stale_changes': of_deals,
    'next_step_changes': of_deals,
    'leads': ['lead_source'],
    'activities': ['pipeline_id', 'product', 'lead_source'],
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
        *,
        occurred_on as day
    from {{ ref('kpi_credited_event') }}

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

),

activities as (

    select
        lenses.credit_lens,
        activities.occurred_on as day,
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

),

---------- open deals, as what enters and what leaves

-- What an interval does to the evenings: one deal more from its first on, one fewer from the one after its last on.
ends as (

    select ends.sign from (values (1), (-1)) as ends (sign)

),

open_changes as (

    select
        intervals.*,
        ends.sign,
        case when ends.sign = 1 then intervals.started_on else intervals.ended_on end as day
    from {{ ref('kpi_credited_interval') }} as intervals
    cross join ends

),

stale_changes as (

    select
        intervals.*,
        ends.sign,
        case when ends.sign = 1 then greatest(intervals.started_on, intervals.stale_on) else intervals.ended_on end as day
    from {{ ref('kpi_credited_interval') }} as intervals
    cross join build
    cross join ends
    where
        intervals.stale_on <= build.last_day
        and (intervals.ended_on is null or intervals.stale_on < intervals.ended_on)

),

next_steps as (

    select * from {{ ref('kpi_next_step') }}

),

next_step_changes as (

    select
        intervals.*,
        ends.sign,
        case
            when ends.sign = 1 then greatest(intervals.started_on, next_steps.started_on)
            else least(intervals.ended_on, next_steps.ended_on)
        end as day
    from {{ ref('kpi_credited_interval') }} as intervals
    inner join next_steps
        on
            intervals.deal_id = next_steps.deal_id
            and (next_steps.ended_on is null or intervals.started_on < next_steps.ended_on)
            and (intervals.ended_on is null or intervals.ended_on > next_steps.started_on)
    cross join ends

),

---------- summed once: by day, and by month for each set of properties

{% for relation, properties in properties_of.items() %}
{%- set own = daily | selectattr('relation', 'equalto', relation) | list %}
dated_{{ relation }} as (

    select
        {{ relation }}.*,
        -- the lens of the main cut is the only one that is told by days
        case when {{ relation }}.credit_lens = '{{ cuts()[0].credit_lens }}' then {{ relation }}.day end as own_day,
        months.month_day
    from {{ relation }}
    left join months
        on {{ relation }}.day = months.day
    where {{ relation }}.day is not null

),

{{ relation }}_sums as (

    select
        credit_lens,
        grouping(month_day) = 1 as is_of_day,
        coalesce(own_day, month_day) as day,
        {{ (seat + properties) | join(',\n        ') }}
        {%- for measure in own %}{% for basis in bases_of(measure) %},
        sum(
            {%- if measure.filter -%}
                case when {{ in_basis(measure.filter, basis) }} then {{ in_basis(measure.sql, basis) }} end
            {%- else -%}
                {{ in_basis(measure.sql, basis) }}
            {%- endif -%}
        ) as {{ measure.name }}_{{ basis }}
        {%- endfor %}{% endfor %}
    from dated_{{ relation }}
    group by
        grouping sets (
            (credit_lens, own_day, {{ seat | join(', ') }}),
            (credit_lens, month_day, {{ (seat + properties) | join(', ') }})
        )

),

{{ relation }}_in_cuts as (

    {{ in_every_cut(relation ~ '_sums', ['is_of_day', 'day'] + seat, own, properties) }}

),

{% endfor %}
cells as (

    {% for relation in properties_of %}
    select
        cut_id,
        day,
        {{ seat | join(',\n        ') }}
        {%- for measure in daily %},
        {{ measure.name if measure.relation == relation else 'null as ' ~ measure.name }}
        {%- endfor %}
    from {{ relation }}_in_cuts
    where is_of_day = (cut_id = {{ main_cut() }})
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
