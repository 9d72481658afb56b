-- One row per business day and grain: the period that the day lies in.
with

build as (

    select * from {{ ref('build_moment') }}

),

events as (

    select * from {{ ref('fct_deal_event') }}

),

leads as (

    select * from {{ ref('fct_lead') }}

),

span as (

    select
        build.last_day,
        least(
            (select min(events.occurred_on) from events),
            (select min(leads.created_on) from leads),
            build.last_day
        ) as first_day
    from build

),

days as (

    select cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as day
    from span

)

{% for grain in grains() %}
select
    day,
    '{{ grain }}' as period_grain,
    {{ period_start(grain, 'day') }} as period_start
from days
{% if not loop.last %}union all{% endif %}
{% endfor %}
