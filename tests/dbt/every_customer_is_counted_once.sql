with

base as (

    select * from {{ ref('customer_base') }}

),

cohorts as (

    select * from {{ ref('cohort_retention') }}

),

-- All that accounts bought in a period was bought by some cohort.
bought as (

    select
        'won_amount' as counted,
        period_grain,
        period_start,
        entity_key,
        sum(coalesce(new_customer_amount, 0) + coalesce(returning_amount, 0)) as whole,
        0 as parts
    from base
    where entity_level = 'company'
    group by period_grain, period_start, entity_key

    union all

    select
        'active_customers' as counted,
        period_grain,
        period_start,
        entity_key,
        active_customers as whole,
        0 as parts
    from base
    where entity_level = 'company'

    union all

    select
        'first_time_customers' as counted,
        period_grain,
        period_start,
        entity_key,
        first_time_customers as whole,
        0 as parts
    from base

    {% for counted, sum, condition in [
        ('won_amount', 'coalesce(won_amount, 0)', "entity_level = 'company'"),
        ('active_customers', 'retained_customers', "entity_level = 'company'"),
        ('first_time_customers', 'cohort_customers', 'periods_since = 0'),
    ] %}
    union all

    select
        '{{ counted }}' as counted,
        period_grain,
        period_start,
        entity_key,
        0 as whole,
        {{ sum }} as parts
    from cohorts
    where {{ condition }}
    {% endfor %}

),

-- The customers at the end of the last period are those of today.
last_periods as (

    select
        period_grain,
        max(period_start) as period_start
    from {{ ref('dim_period') }}
    where period_grain = 'month'
    group by period_grain

),

held as (

    select
        base.entity_level,
        base.entity_key,
        base.closing_customers,
        base.lapsed_customers,
        0 as intervals_customers,
        0 as segment_customers,
        0 as segment_lapsed
    from base
    inner join last_periods
        on base.period_grain = last_periods.period_grain and base.period_start = last_periods.period_start
    where base.entity_level = 'manager'

    union all

    select
        entity_level,
        entity_key,
        0 as closing_customers,
        0 as lapsed_customers,
        customers as intervals_customers,
        0 as segment_customers,
        0 as segment_lapsed
    from {{ ref('buying_interval') }}
    where entity_level = 'manager'

    union all

    select
        'manager' as entity_level,
        manager_id as entity_key,
        0 as closing_customers,
        0 as lapsed_customers,
        0 as intervals_customers,
        case when customer_state <> 'lost' then 1 else 0 end as segment_customers,
        case when customer_state = 'lost' then 1 else 0 end as segment_lapsed
    from {{ ref('customer_segment') }}

),

held_by_entity as (

    select
        entity_key,
        sum(closing_customers) as closing_customers,
        sum(intervals_customers) as intervals_customers,
        sum(segment_customers) as segment_customers,
        sum(lapsed_customers) as lapsed_customers,
        sum(segment_lapsed) as segment_lapsed
    from held
    group by entity_key

),

compared as (

    select
        counted,
        period_grain,
        period_start,
        entity_key,
        sum(whole) as whole,
        sum(parts) as parts
    from bought
    group by counted, period_grain, period_start, entity_key

    {% for whole, parts in [
        ('closing_customers', 'intervals_customers'), ('closing_customers', 'segment_customers'),
        ('lapsed_customers', 'segment_lapsed'),
    ] %}
    union all

    select
        '{{ parts }}' as counted,
        last_periods.period_grain,
        last_periods.period_start,
        held_by_entity.entity_key,
        held_by_entity.{{ whole }} as whole,
        held_by_entity.{{ parts }} as parts
    from held_by_entity
    cross join last_periods
    {% endfor %}

)

select * from compared
where whole <> parts
order by counted, period_grain, period_start, entity_key
