-- One row per inquiry: those that lie among the incoming ones, or lay there and were declined, as they were last seen,
-- and those that were accepted. What amoCRM calls a lead is a deal from then on, under the same number.
with

versions as (

    {{ parsed_versions('amocrm', 'unsorted', {
        'source_name': 'VARCHAR', 'created_at': 'VARCHAR', '_embedded': {'leads': [{'id': 'VARCHAR'}]}
    }) }}

),

inquiries as (

    select
        {{ crm_id('amocrm', 'source._embedded.leads[1].id') }} as lead_id,
        max(nullif(source.source_name, '')) as lead_source,
        min({{ epoch_moment('source.created_at') }}) as created_at
    from versions
    where is_latest and source._embedded.leads[1].id is not null
    group by lead_id

),

acceptances as (

    {{ amocrm_acceptances() }}

),

raw_deals as (

    {{ parsed_versions('amocrm', 'leads', {'created_at': 'VARCHAR'}) }}

),

came as (

    select
        {{ crm_id('amocrm', 'id') }} as deal_id,
        {{ epoch_moment('source.created_at') }} as created_at
    from raw_deals
    where is_latest

),

deals as (

    select
        deal.deal_id,
        deal.manager_id,
        deal.account_id,
        came.created_at,
        acceptances.accepted_at
    from {{ ref('stg_amocrm__deal') }} as deal
    inner join came
        on deal.deal_id = came.deal_id
    left join acceptances
        on deal.deal_id = acceptances.deal_id

)

select
    ---------- ids
    coalesce(inquiries.lead_id, deals.deal_id) as lead_id,
    deals.manager_id,
    deals.account_id,
    deals.deal_id,

    ---------- text
    inquiries.lead_source,

    ---------- times
    coalesce(inquiries.created_at, deals.created_at) as created_at,
    deals.accepted_at as converted_at,

    ---------- flags
    false as is_deleted

from inquiries
full outer join deals
    on inquiries.lead_id = deals.deal_id
where inquiries.lead_id is not null or deals.accepted_at is not null
