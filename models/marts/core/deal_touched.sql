-- One row per deal to derive anew beyond what is known of it alone: it changed, or the seat of a manager of it, the
-- rate of its currency or the shape of the organisation did, or what was to come when the last build was made has come.
with

build as (

    select * from {{ ref('stg_kpimart__build') }}

),

live_builds as (

    select * from {{ ref('stg_kpimart__live_build') }}

),

known as (

    select * from {{ ref('int_deal__knowledge') }}

),

owner_stays as (

    select * from {{ ref('int_deal__owner_stays') }}

),

entries as (

    select * from {{ ref('int_deal__entries') }}

),

surroundings as (

    select * from {{ ref('surroundings_content') }}

),

-- The time that passed since the last build that finished; one that died may have gone beyond this one's.
passed as (

    select
        coalesce(max(case when is_finished then as_of end), {{ always() }}) as since,
        max(as_of) as until
    from live_builds

),

-- From which day on the surroundings are others. A seat that was told ahead is taken on its day.
turns as (

    select
        surroundings.fact,
        surroundings.fact_key,
        min(surroundings.valid_from) as valid_from
    from surroundings
    cross join build
    cross join passed
    where
        surroundings.changed_in = build.build_id
        or (
            surroundings.fact = 'seat'
            and surroundings.valid_from >= {{ business_date('passed.since') }}
            and surroundings.valid_from <= {{ business_date('passed.until') }}
        )
    group by surroundings.fact, surroundings.fact_key

),

-- What a deal has to do with its surroundings: whom it is, or was, credited to, and on which days it is converted.
ties as (

    select
        deal_id,
        'seat' as fact,
        coalesce(manager_id, {{ unassigned('deal_id') }}) as fact_key,
        date '9999-12-31' as day
    from known

    union all

    select
        deal_id,
        'seat' as fact,
        coalesce(manager_id, {{ unassigned('deal_id') }}) as fact_key,
        date '9999-12-31' as day
    from owner_stays

    {% for fact in ['rate', 'constant_rate'] %}
    union all

    select
        deal_id,
        '{{ fact }}' as fact,
        currency_code as fact_key,
        {{ business_date('coalesce(created_at, effective_at)') }} as day
    from known

    union all

    select
        deal_id,
        '{{ fact }}' as fact,
        currency_code as fact_key,
        credited_on as day
    from entries

    {% endfor %}
    union all

    select
        deal_id,
        'organisation' as fact,
        '' as fact_key,
        credited_on as day
    from entries

)

{{ deals('changed') }}

union

select ties.deal_id
from ties
inner join turns
    on
        ties.fact = turns.fact
        and ties.fact_key = turns.fact_key
        and ties.day >= turns.valid_from

{% for relation, moment in [('known', 'effective_at'), ('owner_stays', 'owned_from'), ('entries', 'occurred_at')] %}
union

select {{ relation }}.deal_id
from {{ relation }}
inner join passed
    on {{ relation }}.{{ moment }} >= passed.since and {{ relation }}.{{ moment }} < passed.until

{% endfor %}
