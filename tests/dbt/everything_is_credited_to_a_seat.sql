{%- set credited = {
    'fct_deal': 'deal_id',
    'fct_deal_event': 'deal_event_id',
    'fct_deal_open_interval': 'deal_id',
    'fct_customer_purchase': 'deal_id',
    'fct_lead': 'lead_id',
    'fct_activity': 'activity_id'
} %}

with

credits as (

    {% for model, id in credited.items() %}
    select
        '{{ model }}' as found_in,
        min({{ id }}) as example,
        manager_id,
        department_id
    from {{ ref(model) }}
    -- a lead without a date of creation is in no figure
    {% if model == 'fct_lead' %}where created_on is not null{% endif %}
    group by manager_id, department_id
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

organisations as (

    select count(*) as organisation_count from {{ ref('dim_organisation') }}

),

-- In how many trees a seat counts for the company and for its manager.
seats as (

    select
        manager_id,
        department_id,
        count(*) filter (where entity_level = 'company') as companies,
        count(*) filter (where entity_level = 'manager') as managers
    from (
        select
            bridge.manager_id,
            bridge.department_id,
            entities.entity_level
        from {{ ref('bridge_entity') }} as bridge
        inner join {{ ref('dim_entity') }} as entities
            on bridge.entity_id = entities.entity_id
    ) as counted
    group by manager_id, department_id

)

select
    credits.found_in,
    credits.example,
    credits.manager_id,
    credits.department_id
from credits
cross join organisations
left join seats
    on credits.manager_id = seats.manager_id and credits.department_id = seats.department_id
where
    seats.companies is distinct from organisations.organisation_count
    or seats.managers is distinct from organisations.organisation_count
