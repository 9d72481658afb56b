-- One row per version of a deal that an export brought.
with

versions as (

    {{ raw_versions('files', 'deals') }}

),

{% for mapping in files_mappings('deals') %}
rows_{{ loop.index }} as (

    {{ files_rows(mapping, 'versions') }}

),

mapped_{{ loop.index }} as (

    select
        ---------- ids
        {{ crm_id('files', 'id') }} as deal_id,
        {{ files_id(mapping, 'manager') }} as manager_id,
        {{ files_id(mapping, 'account') }} as account_id,
        {{ files_id(mapping, 'lead') }} as lead_id,
        'files:' || coalesce({{ files_text(mapping, 'pipeline') }}, 'default') as pipeline_id,
        cast(
            'files:' || coalesce({{ files_text(mapping, 'pipeline') }}, 'default')
            || ':' || {{ files_text(mapping, 'stage') }} as varchar
        ) as stage_id,

        ---------- text
        {{ files_text(mapping, 'name') }} as deal_name,
        {{ files_text(mapping, 'product') }} as product,
        {{ files_text(mapping, 'source') }} as lead_source,
        {{ files_text(mapping, 'loss_reason') }} as loss_reason,

        ---------- amounts
        {{ files_amount(mapping, 'amount') }} as native_amount,
        coalesce(
            {{ files_text(mapping, 'currency') }}, {{ sql_text(mapping.get('currency') or company().base_currency) }}
        ) as currency_code,

        ---------- times
        {{ files_moment(mapping, 'created_at') }} as created_at,
        {{ files_moment(mapping, 'closed_at') }} as closed_at,
        {{ files_date(mapping, 'expected_close_on') }} as expected_close_on,

        ---------- flags
        is_deleted or coalesce(cast({{ files_text(mapping, 'is_deleted') }} as boolean), false) as is_deleted,

        ---------- version
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at

    from rows_{{ loop.index }}

),

{% endfor %}
mapped as (

    {% for mapping in files_mappings('deals') %}
    select * from mapped_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
