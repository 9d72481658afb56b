{#-
    The days on which a source's own history tells that a deal changed, and how it stood on each of those evenings.

    CTEs, to stand after two others: `entries` (deal_id, property, property_value, changed_at, recorded_at), what the
    history tells, and `seen`, the versions of the deals. Gives `days`: deal_id, changed_at, recorded_at, a column for
    each property, stage_entered_at, told_by (the first version that is not older), place (1: the last of its day).
-#}
{% macro evenings(properties) -%}
changes as (

    select
        deal_id,
        changed_at,
        {% for name in properties %}
        max(case when property = '{{ name }}' then property_value end) as {{ name }},
        {% endfor %}
        max(case when property = 'stage' then changed_at end) as stage_entered_at,
        max(recorded_at) as recorded_at
    from entries
    where changed_at is not null
    group by deal_id, changed_at

),

stood as (

    select
        deal_id,
        changed_at,
        recorded_at,
        {% for name in properties %}
        last_value({{ name }} ignore nulls) over story as {{ name }},
        {% endfor %}
        last_value(stage_entered_at ignore nulls) over story as stage_entered_at
    from changes
    window story as (partition by deal_id order by changed_at)

),

-- All else is told by the first version that is not older.
told as (

    select
        stood.*,
        seen.version_number as told_by,
        row_number() over (partition by stood.deal_id, stood.changed_at order by seen.version_number) as choice
    from stood
    inner join seen
        on stood.deal_id = seen.deal_id and stood.changed_at <= seen.effective_at

),

days as (

    select
        *,
        row_number() over (
            partition by deal_id, told_by, recorded_at, {{ business_date('changed_at') }} order by changed_at desc
        ) as place
    from told
    where choice = 1

)
{%- endmacro %}
