-- One row per version of a deal that was read, and per business day on which its history says that it changed before:
-- as it stood after the day's last change, which is what a reading every night would have found.
-- HubSpot has one closing date: of an open deal it is the expected one.
{% set fields = (company().get('hubspot') or {}).get('fields') or {} %}
{% set product = fields.get('product') %}
{% set lead_source = fields.get('source') or 'hs_analytics_source' %}
{% set loss_reason = fields.get('loss_reason') or 'closed_lost_reason' %}
{% set with_history = ['dealstage', 'pipeline', 'hubspot_owner_id', 'amount', 'closedate'] %}
{% set properties = {} %}
{% set others = ['dealname', 'deal_currency_code', 'createdate', product, lead_source, loss_reason] %}
{% for name in with_history + others if name %}
{% do properties.update({name: 'VARCHAR'}) %}
{% endfor %}
{% set histories = {} %}
{% for name in with_history %}
{% do histories.update({name: [{'value': 'VARCHAR', 'timestamp': 'VARCHAR'}]}) %}
{% endfor %}
with

stages as (

    select * from {{ ref('stg_hubspot__pipeline_stage') }}

),

versions as (

    {{ parsed_versions('hubspot', 'deals', {
        'properties': properties,
        'propertiesWithHistory': histories,
        'associations': {'companies': ['VARCHAR'], 'contacts': ['VARCHAR']},
    }) }}

),

---------- what the history of its properties says

entries as (

    {% for name in with_history %}
    select
        id,
        version_number,
        '{{ name }}' as property,
        unnest(source.propertieswithhistory.{{ name }}) as entry
    from versions
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

dated as (

    select
        id,
        version_number,
        property,
        {{ iso_moment('entry.timestamp') }} as changed_at,
        -- a value that was taken away is one too
        coalesce(entry.value, '') as property_value
    from entries

),

-- Each version tells the whole history again.
told as (

    select
        id,
        property,
        changed_at,
        property_value,
        min(version_number) as told_by
    from dated
    where changed_at is not null
    group by id, property, changed_at, property_value

),

changes as (

    select
        id,
        changed_at,
        {% for name in with_history %}
        max(case when property = '{{ name }}' then property_value end) as {{ name }},
        {% endfor %}
        max(told_by) as told_by
    from told
    group by id, changed_at

),

stood as (

    select
        id,
        told_by,
        {% for name in with_history %}
        last_value({{ name }} ignore nulls) over (partition by id order by changed_at) as {{ name }}_then,
        {% endfor %}
        changed_at
    from changes

),

remembered as (

    select
        id,
        told_by,
        max(changed_at) as effective_at,
        {% for name in with_history %}
        arg_max({{ name }}_then, changed_at) as {{ name }},
        {% endfor %}
        false as is_seen
    from stood
    group by id, told_by, {{ business_date('changed_at') }}

),

---------- what was seen

seen as (

    select
        id,
        version_number as told_by,
        effective_at,
        {% for name in with_history %}
        source.properties['{{ name }}'] as {{ name }},
        {% endfor %}
        true as is_seen
    from versions

),

states as (

    select * from remembered
    union all
    select * from seen

),

---------- what only the version tells

described as (

    select
        ---------- ids
        id,
        {{ crm_id('hubspot', 'source.associations.companies[1]') }} as account_id,
        {{ crm_id('hubspot', 'source.associations.contacts[1]') }} as lead_id,

        ---------- text
        nullif(source.properties.dealname, '') as deal_name,
        {% if product %}
        nullif(source.properties."{{ product }}", '') as product,
        {% else %}
        cast(null as varchar) as product,
        {% endif %}
        nullif(source.properties."{{ lead_source }}", '') as lead_source,
        nullif(source.properties."{{ loss_reason }}", '') as loss_reason,
        coalesce(
            nullif(source.properties.deal_currency_code, ''), {{ sql_text(company().base_currency) }}
        ) as currency_code,

        ---------- times
        {{ iso_moment('source.properties.createdate') }} as created_at,

        ---------- version
        is_deleted,
        version_number,
        is_latest,
        has_source_time,
        recorded_at

    from versions

),

renamed as (

    select
        ---------- ids
        {{ crm_id('hubspot', 'states.id') }} as deal_id,
        {{ crm_id('hubspot', "nullif(states.hubspot_owner_id, '')") }} as manager_id,
        described.account_id,
        described.lead_id,
        {{ crm_id('hubspot', "coalesce(nullif(states.pipeline, ''), 'default')") }} as pipeline_id,
        nullif(states.dealstage, '') as dealstage,

        ---------- text
        described.deal_name,
        described.product,
        described.lead_source,
        described.loss_reason,

        ---------- amounts
        {{ amount('states.amount') }} as native_amount,
        described.currency_code,

        ---------- times
        described.created_at,
        {{ iso_moment('states.closedate') }} as closes_at,

        ---------- flags
        described.is_deleted and states.is_seen as is_deleted,

        ---------- version
        row_number() over (
            partition by states.id
            order by states.is_seen and described.is_latest, states.effective_at, states.is_seen, states.told_by
        ) as version_number,
        described.is_latest and states.is_seen as is_latest,
        described.has_source_time or not states.is_seen as has_source_time,
        states.effective_at,
        described.recorded_at

    from states
    inner join described
        on states.id = described.id and states.told_by = described.version_number

),

staged as (

    select
        renamed.*,
        renamed.pipeline_id || ':' || renamed.dealstage as stage_id,
        coalesce(stages.outcome, 'open') <> 'open' as is_closed
    from renamed
    left join stages
        on renamed.pipeline_id || ':' || renamed.dealstage = stages.stage_id

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
    case when is_closed then closes_at end as closed_at,
    case when not is_closed then {{ business_date('closes_at') }} end as expected_close_on,
    is_deleted,
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from staged
