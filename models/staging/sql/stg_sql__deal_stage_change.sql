-- One row per version of a stage change: from changed_at on the deal is in this stage.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='stage_change_id', on_schema_change='fail'
) }}
{{ mapped_deal_stage_change('sql') }}
