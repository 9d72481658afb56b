-- One row per version of an opportunity that was read, and per business day on which its history says that its stage,
-- amount or date changed before: as it stood after the day's last change, which a reading every night would have found.
-- Its pipeline is its record type. CloseDate is the day on which it is expected to close, or did.
{% set fields = (company().get('salesforce') or {}).get('fields') or {} %}
{% set structure = {
    'Name': 'VARCHAR', 'OwnerId': 'VARCHAR', 'StageName': 'VARCHAR', 'IsClosed': 'BOOLEAN', 'Amount': 'VARCHAR',
    'CurrencyIsoCode': 'VARCHAR', 'CloseDate': 'VARCHAR', 'CreatedDate': 'VARCHAR', 'AccountId': 'VARCHAR',
    'LeadSource': 'VARCHAR', 'RecordTypeId': 'VARCHAR',
} %}
{% for name in fields.values() %}{% do structure.update({name: 'VARCHAR'}) %}{% endfor %}
with

stages as (

    select * from {{ ref('stg_salesforce__pipeline_stage') }}

),

leads as (

    select
        deal_id,
        min(lead_id) as lead_id
    from {{ ref('stg_salesforce__lead') }}
    where deal_id is not null
    group by deal_id

),

versions as (

    {{ parsed_versions('salesforce', 'opportunities', structure) }}

),

history as (

    {{ parsed_versions('salesforce', 'opportunity_history', {
        'OpportunityId': 'VARCHAR', 'StageName': 'VARCHAR', 'Amount': 'VARCHAR', 'CloseDate': 'VARCHAR',
        'CreatedDate': 'VARCHAR'
    }) }}

),

---------- what was seen

seen as (

    select
        ---------- ids
        id,
        {{ crm_id('salesforce', 'source.ownerid') }} as manager_id,
        {{ crm_id('salesforce', 'source.accountid') }} as account_id,
        -- the record type 012000000000000AAA stands for none
        {{ crm_id('salesforce', "coalesce(nullif(source.recordtypeid, '012000000000000AAA'), 'default')") }}
            as pipeline_id,

        ---------- text
        source.stagename as stage_name,
        source.name as deal_name,
        {{ 'source."' ~ fields.product ~ '"' if fields.product else 'cast(null as varchar)' }} as product,
        {{ 'source."' ~ (fields.source or 'LeadSource') ~ '"' }} as lead_source,
        {{ 'source."' ~ fields.loss_reason ~ '"' if fields.loss_reason else 'cast(null as varchar)' }} as loss_reason,

        ---------- amounts
        source.amount,
        coalesce(source.currencyisocode, {{ sql_text(company().base_currency) }}) as currency_code,

        ---------- times
        {{ iso_moment('source.createddate') }} as created_at,
        source.closedate as close_date,

        ---------- flags
        coalesce(source.isclosed, false) as is_closed,
        is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at,
        true as is_seen

    from versions

),

---------- what its history says

entries as (

    select
        id,
        source.opportunityid as opportunity_id,
        source.stagename as stage_name,
        source.amount,
        source.closedate as close_date,
        {{ iso_moment('source.createddate') }} as changed_at,
        recorded_at
    from history
    -- an entry changes only by being deleted together with its opportunity
    where version_number = 1 and source.stagename is not null

),

-- All else is told by the first version that is not older.
told as (

    select
        entries.*,
        seen.version_number as told_by,
        row_number() over (partition by entries.id order by seen.version_number) as choice
    from entries
    inner join seen
        on entries.opportunity_id = seen.id and entries.changed_at <= seen.effective_at

),

days as (

    select
        *,
        row_number() over (
            partition by opportunity_id, told_by, recorded_at, {{ business_date('changed_at') }}
            order by changed_at desc, id desc
        ) as place
    from told
    where choice = 1

),

remembered as (

    select
        seen.id,
        seen.manager_id,
        seen.account_id,
        seen.pipeline_id,
        days.stage_name,
        seen.deal_name,
        seen.product,
        seen.lead_source,
        seen.loss_reason,
        days.amount,
        seen.currency_code,
        seen.created_at,
        days.close_date,
        coalesce(stages.outcome, 'open') <> 'open' as is_closed,
        false as is_deleted,
        seen.version_number,
        false as is_latest,
        true as has_source_time,
        days.changed_at as effective_at,
        greatest(days.recorded_at, seen.recorded_at) as recorded_at,
        false as is_seen
    from days
    inner join seen
        on days.opportunity_id = seen.id and days.told_by = seen.version_number
    left join stages
        on seen.pipeline_id || ':' || days.stage_name = stages.stage_id
    where days.place = 1

),

all_versions as (

    select * from seen
    union all
    select * from remembered

)

select
    {{ crm_id('salesforce', 'all_versions.id') }} as deal_id,
    all_versions.manager_id,
    all_versions.account_id,
    leads.lead_id,
    all_versions.pipeline_id,
    all_versions.pipeline_id || ':' || all_versions.stage_name as stage_id,
    all_versions.deal_name,
    all_versions.product,
    all_versions.lead_source,
    all_versions.loss_reason,
    {{ amount('all_versions.amount') }} as native_amount,
    all_versions.currency_code,
    all_versions.created_at,
    case when all_versions.is_closed then {{ start_of_day('try_cast(all_versions.close_date as date)') }} end
        as closed_at,
    try_cast(all_versions.close_date as date) as expected_close_on,
    all_versions.is_deleted,
    row_number() over (
        partition by all_versions.id
        order by
            all_versions.is_latest,
            all_versions.effective_at,
            all_versions.is_seen,
            all_versions.version_number,
            all_versions.recorded_at
    ) as version_number,
    all_versions.is_latest,
    all_versions.has_source_time,
    all_versions.effective_at,
    all_versions.recorded_at
from all_versions
left join leads
    on {{ crm_id('salesforce', 'all_versions.id') }} = leads.deal_id
