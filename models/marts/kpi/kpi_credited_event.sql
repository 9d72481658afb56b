-- One row per event that measures count, credit lens, and manager who is credited with it. In every lens but overlay the
-- shares of an event sum to one, and its amounts to those of the event.
--
-- The events are named where they are read, not imported once: DuckDB would keep all of their columns in memory.
{{ config(materialized='view') }}
{%- set carried = [
    'deal_event_id', 'deal_id', 'event_type', 'sign', 'pipeline_id', 'product', 'lead_source', 'currency_code',
    'occurred_on', 'credited_on', 'purchase_number', 'days_to_win', 'cycle_days', 'has_slipped'
] %}
{%- set amounts = ['amount', 'constant_amount', 'native_amount'] %}

with

build as (

    select * from {{ ref('build_moment') }}

),

deals as (

    select * from {{ ref('fct_deal') }}

),

shares as (

    select * from {{ ref('deal_share') }}

),

assignments as (

    select * from {{ ref('manager_assignment') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

---------- the owner when it happened

at_event as (

    select
        {%- for column in carried + amounts %}
        events.{{ column }},
        {%- endfor %}
        events.manager_id,
        events.department_id,
        events.organisation_id,
        cast(1 as decimal(9, 6)) as share
    from {{ ref('kpi_counted_event') }} as events
    where {{ is_measured('events') }}

),

---------- the owner now

-- A deal that is deleted has nobody now, and nothing left to credit.
current_owner as (

    select
        {%- for column in carried + amounts %}
        events.{{ column }},
        {%- endfor %}
        coalesce(deals.current_manager_id, events.manager_id) as manager_id,
        coalesce(deals.current_department_id, events.department_id) as department_id,
        organisations.organisation_id,
        cast(1 as decimal(9, 6)) as share
    from {{ ref('kpi_counted_event') }} as events
    cross join build
    inner join organisations
        on build.last_day >= organisations.valid_from and build.last_day < organisations.valid_to
    left join deals
        on events.deal_id = deals.deal_id
    where {{ is_measured('events') }}

),

---------- those who share it

shared as (

    select
        {%- for column in carried %}
        events.{{ column }},
        {%- endfor %}
        {%- for amount in amounts %}
        events.{{ amount }} as whole_{{ amount }},
        {%- endfor %}
        events.organisation_id,
        shares.manager_id,
        shares.share,
        shares.is_overlay
    from {{ ref('kpi_counted_event') }} as events
    inner join shares
        on
            events.deal_id = shares.deal_id
            and events.credited_on >= shares.valid_from
            and events.credited_on < shares.valid_to
    where {{ is_measured('events') }}

),

apportioned as (

    select
        *,
        {%- for amount in amounts %}
        {{ apportioned('whole_' ~ amount, 'share', 'deal_event_id') }} as {{ amount }}{{ ',' if not loop.last }}
        {%- endfor %}
    from shared
    where not is_overlay

),

rounded as (

    select
        *,
        {%- for amount in amounts %}
        cast(round(cast(whole_{{ amount }} as decimal(20, 2)) * share, 2) as decimal(18, 2)) as {{ amount }}{{ ',' if not loop.last }}
        {%- endfor %}
    from shared
    where is_overlay

),

seated as (

    {% for relation, lens in [('apportioned', 'split'), ('rounded', 'overlay')] %}
    select
        '{{ lens }}' as credit_lens,
        {%- for column in carried + amounts %}
        {{ relation }}.{{ column }},
        {%- endfor %}
        {{ relation }}.manager_id,
        assignments.department_id,
        {{ relation }}.organisation_id,
        {{ relation }}.share
    from {{ relation }}
    inner join assignments
        on
            {{ relation }}.manager_id = assignments.manager_id
            and {{ relation }}.credited_on >= assignments.valid_from
            and {{ relation }}.credited_on < assignments.valid_to
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

unshared as (

    select
        {%- for column in carried + amounts %}
        events.{{ column }},
        {%- endfor %}
        events.manager_id,
        events.department_id,
        events.organisation_id,
        cast(1 as decimal(9, 6)) as share
    from {{ ref('kpi_counted_event') }} as events
    where {{ is_measured('events') }} and events.deal_event_id not in (select apportioned.deal_event_id from apportioned)

)

{% for relation, lens in [('at_event', 'at_event'), ('current_owner', 'current_owner'), ('unshared', 'split'), ('seated', none)] %}
select
    {{ "'" ~ lens ~ "' as credit_lens" if lens else 'credit_lens' }},
    {%- for column in carried %}
    {{ column }},
    {%- endfor %}
    manager_id,
    department_id,
    organisation_id,
    share,
    {%- for amount in amounts %}
    {{ amount }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ relation }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
