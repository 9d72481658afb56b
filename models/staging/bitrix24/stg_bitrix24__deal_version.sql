-- One row per version of a deal that was read. Bitrix24 has one closing date: of an open deal it is the expected one.
-- A deal was closed when it was last moved; an amount of 0 is one that nobody entered.
{% set fields = (company().get('bitrix24') or {}).get('fields') or {} %}
{% set structure = {} %}
{% set standard = [
    'assignedById', 'companyId', 'contactId', 'leadId', 'categoryId', 'stageId', 'stageSemanticId', 'title', 'sourceId',
    'opportunity', 'currencyId', 'createdTime', 'movedTime', 'closedate', 'isRecurring'
] %}
{% for name in standard + fields.values() | list %}
{% do structure.update({name: 'VARCHAR'}) %}
{% endfor %}
with

versions as (

    {{ parsed_versions('bitrix24', 'deals', structure) }}

),

statuses as (

    {{ parsed_versions('bitrix24', 'statuses', {'ENTITY_ID': 'VARCHAR', 'STATUS_ID': 'VARCHAR', 'NAME': 'VARCHAR'}) }}

),

names as (

    select
        source.entity_id,
        source.status_id,
        max(source.name) as status_name
    from statuses
    where is_latest
    group by source.entity_id, source.status_id

),

renamed as (

    select
        ---------- ids
        {{ crm_id('bitrix24', 'id') }} as deal_id,
        {{ crm_id('bitrix24', "nullif(source.assignedbyid, '0')") }} as manager_id,
        {{ customer_id('bitrix24', 'source.companyid', 'source.contactid') }} as account_id,
        {{ crm_id('bitrix24', "nullif(source.leadid, '0')") }} as lead_id,
        coalesce(nullif(source.categoryid, ''), '0') as category_id,
        nullif(source.stageid, '') as stage_code,

        ---------- text
        nullif(source.title, '') as deal_name,
        {% for name in ['product', 'source', 'loss_reason'] %}
        {% set own = "nullif(source.\"" ~ fields[name] ~ "\", '')" if fields[name] else 'cast(null as varchar)' %}
        {{ own }} as own_{{ name }},
        {% endfor %}
        {{ 'true' if fields.loss_reason else 'false' }} as has_own_loss_reason,
        nullif(source.sourceid, '') as source_code,

        ---------- amounts
        nullif({{ amount('source.opportunity') }}, 0) as native_amount,
        coalesce(nullif(source.currencyid, ''), {{ sql_text(company().base_currency) }}) as currency_code,

        ---------- times
        {{ iso_moment('source.createdtime') }} as created_at,
        {{ iso_moment('source.movedtime') }} as moved_at,
        try_cast(left(source.closedate, 10) as date) as closes_on,

        ---------- flags
        coalesce(source.stagesemanticid, 'P') in ('S', 'F') as is_closed,
        coalesce(source.stagesemanticid, 'P') = 'F' as is_lost,
        is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at

    from versions
    -- a template that new deals are made from, again and again, is none itself
    where source.isrecurring is distinct from 'Y'

)

select
    ---------- ids
    renamed.deal_id,
    renamed.manager_id,
    renamed.account_id,
    renamed.lead_id,
    {{ crm_id('bitrix24', 'renamed.category_id') }} as pipeline_id,
    cast('bitrix24:' || renamed.category_id || ':' || renamed.stage_code as varchar) as stage_id,

    ---------- text
    renamed.deal_name,
    renamed.own_product as product,
    coalesce(renamed.own_source, sources.status_name, renamed.source_code) as lead_source,
    -- without a field for it, a portal has a stage for each reason to lose
    case
        when renamed.has_own_loss_reason then renamed.own_loss_reason
        when renamed.is_lost then stages.status_name
    end as loss_reason,

    ---------- amounts
    renamed.native_amount,
    renamed.currency_code,

    ---------- times
    renamed.created_at,
    case
        when renamed.is_closed then coalesce(renamed.moved_at, {{ start_of_day('renamed.closes_on') }})
    end as closed_at,
    case when not renamed.is_closed then renamed.closes_on end as expected_close_on,

    ---------- flags
    renamed.is_deleted,

    ---------- version
    renamed.version_number,
    renamed.is_latest,
    renamed.has_source_time,
    renamed.effective_at,
    renamed.recorded_at

from renamed
left join names as sources
    on renamed.source_code = sources.status_id and sources.entity_id = 'SOURCE'
left join names as stages
    on renamed.stage_code = stages.status_id and starts_with(stages.entity_id, 'DEAL_STAGE')
