-- One row per deal that HubSpot merged with another into a new one, which tells their ids. A new one that is merged
-- again tells those of all before it; the first that told of a deal is the one that it became.
with

versions as (

    {{ parsed_versions('hubspot', 'deals', {'properties': {'hs_merged_object_ids': 'VARCHAR'}}) }}

),

told as (

    select
        trim(unnest(string_split(source.properties.hs_merged_object_ids, ';'))) as id,
        id as merged_into_id,
        recorded_at
    from versions

),

in_order as (

    select
        *,
        row_number() over (partition by id order by recorded_at, merged_into_id) as place
    from told
    where id <> '' and id <> merged_into_id

)

select
    {{ crm_id('hubspot', 'id') }} as deal_id,
    {{ crm_id('hubspot', 'merged_into_id') }} as merged_into_deal_id,
    cast(null as timestamptz) as merged_at,
    recorded_at,
    cast(null as timestamptz) as superseded_at
from in_order
where place = 1
