-- One row per deal as the exports last told it.
with

versions as (

    select * from {{ ref('stg_files__deal_version') }}

)

select
    deal_id,
    manager_id,
    account_id,
    lead_id,
    pipeline_id,
    stage_id,
    deal_name,
    product,
    lead_source,
    loss_reason,
    native_amount,
    currency_code,
    created_at,
    closed_at,
    expected_close_on,
    is_deleted
from versions
where is_latest
