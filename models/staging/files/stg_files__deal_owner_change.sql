-- One row per version of a change of owner: from changed_at on the deal is this manager's.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='owner_change_id', on_schema_change='fail'
) }}
{{ mapped_deal_owner_change('files') }}
