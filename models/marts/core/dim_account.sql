-- One row per account.
with

accounts as (

    {{ from_every_crm('account') }}

)

select
    account_id,
    parent_account_id,
    account_name,
    segment,
    country,
    is_deleted
from accounts
