-- One row per lead as Bitrix24 last told it; it became the deal that names it.
with

versions as (

    {{ parsed_versions('bitrix24', 'leads', {
        'assignedById': 'VARCHAR', 'companyId': 'VARCHAR', 'contactId': 'VARCHAR', 'sourceId': 'VARCHAR',
        'stageSemanticId': 'VARCHAR', 'createdTime': 'VARCHAR', 'movedTime': 'VARCHAR', 'dateClosed': 'VARCHAR'
    }) }}

),

statuses as (

    {{ parsed_versions('bitrix24', 'statuses', {'ENTITY_ID': 'VARCHAR', 'STATUS_ID': 'VARCHAR', 'NAME': 'VARCHAR'}) }}

),

sources as (

    select
        source.status_id,
        max(source.name) as source_name
    from statuses
    where is_latest and source.entity_id = 'SOURCE'
    group by source.status_id

),

deals as (

    select
        lead_id,
        arg_min(deal_id, try_cast(split_part(deal_id, ':', 2) as bigint)) as deal_id
    from {{ ref('stg_bitrix24__deal') }}
    where lead_id is not null and not is_deleted
    group by lead_id

)

select
    ---------- ids
    {{ crm_id('bitrix24', 'versions.id') }} as lead_id,
    {{ crm_id('bitrix24', "nullif(versions.source.assignedbyid, '0')") }} as manager_id,
    {{ customer_id('bitrix24', 'versions.source.companyid', 'versions.source.contactid') }} as account_id,
    deals.deal_id,

    ---------- text
    coalesce(sources.source_name, nullif(versions.source.sourceid, '')) as lead_source,

    ---------- times
    {{ iso_moment('versions.source.createdtime') }} as created_at,
    case
        when versions.source.stagesemanticid = 'S'
            then coalesce({{ iso_moment('versions.source.dateclosed') }}, {{ iso_moment('versions.source.movedtime') }})
    end as converted_at,

    ---------- flags
    versions.is_deleted

from versions
left join sources
    on versions.source.sourceid = sources.status_id
left join deals
    on {{ crm_id('bitrix24', 'versions.id') }} = deals.lead_id
where versions.is_latest
