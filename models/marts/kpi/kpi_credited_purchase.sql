-- One row per purchase that was made by `as_of`, credit lens, and manager who is credited with it.
{{ config(materialized='view') }}
{%- set carried = ['deal_id', 'account_id', 'won_on', 'lapsed_on', 'purchase_number', 'is_regular'] %}
{%- set properties = ['pipeline_id', 'product', 'lead_source'] %}

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

purchases as (

    select
        purchases.*,
        {%- for property in properties %}
        deals.{{ property }},
        {%- endfor %}
        deals.current_manager_id,
        deals.current_department_id,
        organisations.organisation_id,
        present.organisation_id as present_organisation_id
    from {{ ref('kpi_counted_purchase') }} as purchases
    cross join build
    inner join organisations
        on purchases.won_on >= organisations.valid_from and purchases.won_on < organisations.valid_to
    inner join organisations as present
        on build.last_day >= present.valid_from and build.last_day < present.valid_to
    left join deals
        on purchases.deal_id = deals.deal_id

),

shared as (

    select
        {%- for column in carried + properties %}
        purchases.{{ column }},
        {%- endfor %}
        purchases.organisation_id,
        shares.manager_id,
        assignments.department_id,
        shares.is_overlay
    from purchases
    inner join shares
        on
            purchases.deal_id = shares.deal_id
            and purchases.won_on >= shares.valid_from
            and purchases.won_on < shares.valid_to
    inner join assignments
        on
            shares.manager_id = assignments.manager_id
            and purchases.won_on >= assignments.valid_from
            and purchases.won_on < assignments.valid_to

),

shared_purchases as (

    select distinct
        deal_id,
        won_on
    from shared
    where not is_overlay

),

unshared as (

    select purchases.*
    from purchases
    left join shared_purchases
        on purchases.deal_id = shared_purchases.deal_id and purchases.won_on = shared_purchases.won_on
    where shared_purchases.deal_id is null

),

credited as (

    {% for relation, lens in [('purchases', 'at_event'), ('unshared', 'split')] %}
    select
        '{{ lens }}' as credit_lens,
        {%- for column in carried + properties %}
        {{ column }},
        {%- endfor %}
        manager_id,
        department_id,
        organisation_id
    from {{ relation }}
    union all
    {% endfor %}
    select
        'current_owner' as credit_lens,
        {%- for column in carried + properties %}
        {{ column }},
        {%- endfor %}
        coalesce(current_manager_id, manager_id) as manager_id,
        coalesce(current_department_id, department_id) as department_id,
        present_organisation_id as organisation_id
    from purchases
    union all
    select
        case when is_overlay then 'overlay' else 'split' end as credit_lens,
        {%- for column in carried + properties %}
        {{ column }},
        {%- endfor %}
        manager_id,
        department_id,
        organisation_id
    from shared

)

select
    credit_lens,
    {%- for column in carried + properties %}
    {{ column }},
    {%- endfor %}
    manager_id,
    department_id,
    organisation_id
from credited
