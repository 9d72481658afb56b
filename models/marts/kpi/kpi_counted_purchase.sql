-- One row per purchase that was made by `as_of`, with whether its account had lapsed after it by then.
with

build as (

    select * from {{ ref('build_moment') }}

),

purchases as (

    select * from {{ ref('fct_customer_purchase') }}

)

select
    purchases.deal_id,
    purchases.account_id,
    purchases.manager_id,
    purchases.department_id,
    purchases.won_at,
    purchases.won_on,
    purchases.purchase_number,
    purchases.is_regular,
    case when purchases.lapsed_on <= build.last_day then purchases.lapsed_on end as lapsed_on
from purchases
cross join build
where purchases.won_at < build.as_of
