{#- The stretches of time of an entity follow one another; one without an end is the last. #}
{% test no_overlap(model, entity, starts, ends) %}

with

followed as (

    select
        {{ entity }},
        {{ starts }},
        {{ ends }},
        lead({{ starts }}) over (
            partition by {{ entity }} order by {{ starts }} nulls first, {{ ends }} nulls last
        ) as next_start
    from {{ model }}

)

select
    {{ entity }},
    {{ starts }},
    {{ ends }},
    next_start
from followed
where {{ ends }} < {{ starts }} or next_start < coalesce({{ ends }}, timestamptz '9999-12-31')

{% endtest %}
