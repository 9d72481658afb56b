-- One row per lead that was created by `as_of`, with what had become of it by then.
with

build as (

    select * from {{ ref('build_moment') }}

),

leads as (

    select * from {{ ref('fct_lead') }}

)

select
    leads.lead_id,
    leads.manager_id,
    leads.department_id,
    leads.account_id,
    leads.deal_id,
    leads.lead_source,
    leads.created_at,
    leads.created_on,
    coalesce(leads.converted_at < build.as_of, false) as is_converted,
    case when leads.first_response_at < build.as_of then leads.first_response_hours end as first_response_hours
from leads
cross join build
where leads.created_at < build.as_of
