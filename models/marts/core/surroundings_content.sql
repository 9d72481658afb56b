-- One row per dated fact that deals are credited and converted by: the seat of a manager, the rate of a currency, the
-- shape of the organisation. A hash of it, and the build that found it new, changed or gone.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['fact', 'fact_key', 'valid_from'],
    on_schema_change='fail'
) }}

with

assignments as (

    select * from {{ ref('manager_assignment') }}

),

rates as (

    select * from {{ ref('int_exchange_rate') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

facts as (

    select
        'seat' as fact,
        manager_id as fact_key,
        valid_from,
        hash(department_id, valid_to) as content
    from assignments

    union all

    select
        'rate' as fact,
        currency_code as fact_key,
        valid_from,
        hash(rate, valid_to) as content
    from rates

    union all

    select
        'constant_rate' as fact,
        currency_code as fact_key,
        date '0001-01-01' as valid_from,
        hash(max(constant_rate)) as content
    from rates
    group by currency_code

    union all

    select
        'organisation' as fact,
        '' as fact_key,
        valid_from,
        hash(organisation_id, valid_to) as content
    from organisations

)

{{ what_changed('facts', ['fact', 'fact_key', 'valid_from']) }}
