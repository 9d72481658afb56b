-- One row per version of a stage change: from changed_at on the deal is in this stage. The first is its creation.
with

versions as (

    {{ parsed_versions('bitrix24', 'deal_stage_history', {
        'OWNER_ID': 'VARCHAR', 'CATEGORY_ID': 'VARCHAR', 'STAGE_ID': 'VARCHAR', 'CREATED_TIME': 'VARCHAR'
    }) }}

),

renamed as (

    select
        ---------- ids
        {{ crm_id('bitrix24', 'id') }} as stage_change_id,
        {{ crm_id('bitrix24', 'source.owner_id') }} as deal_id,
        cast('bitrix24:' || coalesce(source.category_id, '0') || ':' || source.stage_id as varchar) as stage_id,

        ---------- text
        source.stage_id as stage_name,

        ---------- times
        {{ iso_moment('source.created_time') }} as changed_at,

        ---------- version
        recorded_at,
        superseded_at

    from versions
    where not is_deleted

)

select * from renamed
where deal_id is not null and stage_id is not null and changed_at is not null
