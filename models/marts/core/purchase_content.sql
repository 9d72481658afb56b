-- One row per purchase: the number that it has among those of its account, and the build that found it to have it.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='deal_id', on_schema_change='fail'
) }}

with

purchases as (

    select
        deal_id,
        hash(purchase_number) as content
    from {{ ref('fct_customer_purchase') }}

)

{{ what_changed('purchases', ['deal_id']) }}
