-- One row per business day that the build covers and grain: the period that the day lies in.
with

days as (

    select * from {{ ref('dim_day') }}
    where is_covered

)

{% for grain in grains() %}
select
    day,
    '{{ grain }}' as period_grain,
    {{ 'day' if grain == 'day' else grain ~ '_start' }} as period_start
from days
{% if not loop.last %}union all{% endif %}
{% endfor %}
