-- One row per version of a deal that the export brought.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='deal_id', on_schema_change='fail'
) }}
{{ mapped_deal_version('files') }}
