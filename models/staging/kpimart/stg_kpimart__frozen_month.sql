-- One row per month that is closed, and how much of it was found on the release that it was closed on.
{{ config(materialized='view') }}

with

months as (

    select * from {{ source('frozen', 'month') }}

)

select
    period_start,
    release_id,
    status,
    problem
from months
