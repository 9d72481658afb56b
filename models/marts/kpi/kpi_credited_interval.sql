-- One row per stretch of an open deal, credit lens, and manager who is credited with it. In every lens but overlay the
-- shares of a stretch sum to one, and its amounts to those of the deal.
--
-- The stretches are named where they are read, not imported once: DuckDB would keep all of their columns in memory.
{{ config(materialized='view') }}
{%- set carried = [
    'deal_id', 'account_id', 'pipeline_id', 'product', 'lead_source', 'currency_code', 'tells_next_steps',
    'fields_filled', 'stale_on'
] %}
{%- set amounts = [
    'amount', 'constant_amount', 'native_amount', 'weighted_amount', 'weighted_constant_amount', 'weighted_native_amount'
] %}

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

---------- the owner at the time

at_event as (

    select
        {%- for column in carried + amounts %}
        {{ column }},
        {%- endfor %}
        manager_id,
        department_id,
        organisation_id,
        cast(1 as decimal(9, 6)) as share,
        started_on,
        ended_on
    from {{ ref('kpi_open_interval') }}

),

---------- the owner now

current_owner as (

    select
        {%- for column in carried + amounts %}
        intervals.{{ column }},
        {%- endfor %}
        coalesce(deals.current_manager_id, intervals.manager_id) as manager_id,
        coalesce(deals.current_department_id, intervals.department_id) as department_id,
        organisations.organisation_id,
        cast(1 as decimal(9, 6)) as share,
        intervals.started_on,
        intervals.ended_on
    from {{ ref('kpi_open_interval') }} as intervals
    cross join build
    inner join organisations
        on build.last_day >= organisations.valid_from and build.last_day < organisations.valid_to
    left join deals
        on intervals.deal_id = deals.deal_id

),

---------- those who share it

shared as (

    select
        {%- for column in carried %}
        intervals.{{ column }},
        {%- endfor %}
        {%- for amount in amounts %}
        intervals.{{ amount }} as whole_{{ amount }},
        {%- endfor %}
        intervals.organisation_id,
        intervals.started_at,
        shares.manager_id,
        shares.share,
        shares.is_overlay,
        shares.valid_from,
        greatest(intervals.started_on, shares.valid_from) as started_on,
        case when shares.valid_to <= coalesce(intervals.ended_on, build.last_day) then shares.valid_to else intervals.ended_on end
            as ended_on
    from {{ ref('kpi_open_interval') }} as intervals
    cross join build
    inner join shares
        on
            intervals.deal_id = shares.deal_id
            and intervals.started_on < shares.valid_to
            and shares.valid_from < coalesce(intervals.ended_on, build.last_day + 1)

),

apportioned as (

    select
        *,
        {%- for amount in amounts %}
        {{ apportioned('whole_' ~ amount, 'share', 'deal_id, started_at, organisation_id, valid_from') }} as {{ amount }}{{ ',' if not loop.last }}
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
        {{ relation }}.share,
        greatest({{ relation }}.started_on, assignments.valid_from) as started_on,
        case
            when assignments.valid_to <= coalesce({{ relation }}.ended_on, build.last_day) then assignments.valid_to
            else {{ relation }}.ended_on
        end as ended_on
    from {{ relation }}
    cross join build
    inner join assignments
        on
            {{ relation }}.manager_id = assignments.manager_id
            and {{ relation }}.started_on < assignments.valid_to
            and assignments.valid_from < coalesce({{ relation }}.ended_on, build.last_day + 1)
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

shared_days as (

    select distinct
        deal_id,
        valid_from,
        valid_to
    from shares
    where not is_overlay

),

-- The days on which a deal that is shared at times is its owner's alone.
unshared_days as (

    select
        deal_id,
        valid_to as valid_from,
        coalesce(lead(valid_from) over (partition by deal_id order by valid_from), date '9999-12-31') as valid_to
    from shared_days
    union all
    select
        deal_id,
        date '0001-01-01' as valid_from,
        min(valid_from) as valid_to
    from shared_days
    group by deal_id

),

shared_at_times as (

    select
        {%- for column in carried + amounts %}
        intervals.{{ column }},
        {%- endfor %}
        intervals.manager_id,
        intervals.department_id,
        intervals.organisation_id,
        cast(1 as decimal(9, 6)) as share,
        greatest(intervals.started_on, unshared_days.valid_from) as started_on,
        case
            when unshared_days.valid_to <= coalesce(intervals.ended_on, build.last_day) then unshared_days.valid_to
            else intervals.ended_on
        end as ended_on
    from {{ ref('kpi_open_interval') }} as intervals
    cross join build
    inner join unshared_days
        on
            intervals.deal_id = unshared_days.deal_id
            and intervals.started_on < unshared_days.valid_to
            and unshared_days.valid_from < coalesce(intervals.ended_on, build.last_day + 1)

),

never_shared as (

    select
        {%- for column in carried + amounts %}
        intervals.{{ column }},
        {%- endfor %}
        intervals.manager_id,
        intervals.department_id,
        intervals.organisation_id,
        cast(1 as decimal(9, 6)) as share,
        intervals.started_on,
        intervals.ended_on
    from {{ ref('kpi_open_interval') }} as intervals
    where intervals.deal_id not in (select shared_days.deal_id from shared_days)

)

{% for relation, lens in [
    ('at_event', 'at_event'), ('current_owner', 'current_owner'), ('never_shared', 'split'), ('shared_at_times', 'split'),
    ('seated', none)
] %}
select
    {{ "'" ~ lens ~ "' as credit_lens" if lens else 'credit_lens' }},
    {%- for column in carried %}
    {{ column }},
    {%- endfor %}
    manager_id,
    department_id,
    organisation_id,
    share,
    started_on,
    ended_on,
    {%- for amount in amounts %}
    {{ amount }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ relation }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
