-- One row per state of an opportunity; Tryton's workflow has these six, and no other pipeline.
{% set states = [
    ('lead', 'Lead', 'open'),
    ('opportunity', 'Opportunity', 'open'),
    ('converted', 'Converted', 'open'),
    ('won', 'Won', 'won'),
    ('lost', 'Lost', 'lost'),
    ('cancelled', 'Cancelled', 'lost'),
] %}
{% for code, stage_name, outcome in states %}
select
    'tryton:opportunity:{{ code }}' as stage_id,
    'tryton:opportunity' as pipeline_id,
    'Opportunity' as pipeline_name,
    '{{ stage_name }}' as stage_name,
    '{{ outcome }}' as outcome,
    {{ loop.index }} as position,
    cast(null as decimal(5, 4)) as probability
{% if not loop.last %}union all{% endif %}
{% endfor %}
