-- One row per version of a deal that was read: a lead, in amoCRM's words. All amounts are in the account's currency,
-- and one of 0 is one that nobody entered; a day on which a deal is expected to close is not known.
{% set fields = (company().get('amocrm') or {}).get('fields') or {} %}
with

versions as (

    {{ parsed_versions('amocrm', 'leads', {
        'name': 'VARCHAR',
        'price': 'VARCHAR',
        'responsible_user_id': 'VARCHAR',
        'status_id': 'VARCHAR',
        'pipeline_id': 'VARCHAR',
        'created_at': 'VARCHAR',
        'closed_at': 'VARCHAR',
        'custom_fields_values': [{'field_id': 'VARCHAR', 'field_name': 'VARCHAR', 'values': [{'value': 'VARCHAR'}]}],
        '_embedded': {
            'companies': [{'id': 'VARCHAR'}],
            'contacts': [{'id': 'VARCHAR', 'is_main': 'BOOLEAN'}],
            'loss_reason': [{'name': 'VARCHAR'}],
        },
    }) }}

),

accounts as (

    {{ parsed_versions('amocrm', 'account', {'currency': 'VARCHAR'}) }}

),

account as (

    select max(source.currency) as currency_code
    from accounts
    where is_latest

),

acceptances as (

    {{ amocrm_acceptances() }}

),

renamed as (

    select
        ---------- ids
        {{ crm_id('amocrm', 'id') }} as deal_id,
        {{ crm_id('amocrm', "nullif(source.responsible_user_id, '0')") }} as manager_id,
        {{ customer_id('amocrm', 'source._embedded.companies[1].id', 'coalesce(
            list_filter(source._embedded.contacts, lambda contact: contact.is_main)[1].id,
            source._embedded.contacts[1].id
        )') }} as account_id,
        {{ crm_id('amocrm', "coalesce(source.pipeline_id, 'default')") }} as pipeline_id,
        cast('amocrm:' || source.pipeline_id || ':' || source.status_id as varchar) as stage_id,

        ---------- text
        nullif(source.name, '') as deal_name,
        {{ amocrm_custom_field(fields.product) }} as product,
        {{ amocrm_custom_field(fields.source) }} as lead_source,
        {{
            amocrm_custom_field(fields.loss_reason) if fields.loss_reason else 'source._embedded.loss_reason[1].name'
        }} as loss_reason,

        ---------- amounts
        nullif({{ amount('source.price') }}, 0) as native_amount,

        ---------- times
        {{ epoch_moment('source.created_at') }} as created_at,
        case
            when source.status_id in ('142', '143') then {{ epoch_moment('source.closed_at') }}
        end as closed_at,

        ---------- flags
        is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at

    from versions

)

select
    renamed.deal_id,
    renamed.manager_id,
    renamed.account_id,
    cast(null as varchar) as lead_id,
    renamed.pipeline_id,
    renamed.stage_id,
    renamed.deal_name,
    renamed.product,
    renamed.lead_source,
    renamed.loss_reason,
    renamed.native_amount,
    coalesce(nullif(account.currency_code, ''), {{ sql_text(company().base_currency) }}) as currency_code,
    -- what came as an inquiry became a deal when somebody accepted it
    coalesce(acceptances.accepted_at, renamed.created_at) as created_at,
    renamed.closed_at,
    cast(null as date) as expected_close_on,
    renamed.is_deleted,
    renamed.version_number,
    renamed.is_latest,
    renamed.has_source_time,
    renamed.effective_at,
    renamed.recorded_at
from renamed
cross join account
left join acceptances
    on renamed.deal_id = acceptances.deal_id
