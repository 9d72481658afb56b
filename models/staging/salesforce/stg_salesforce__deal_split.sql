-- One row per share of a manager in an opportunity: the splits of its amount that add up to the whole. Overlay splits,
-- which may come on top, are not credited.
with

types as (

    {{ parsed_versions('salesforce', 'split_types', {
        'DeveloperName': 'VARCHAR', 'SplitField': 'VARCHAR', 'IsTotalValidated': 'BOOLEAN'
    }) }}

),

splits as (

    {{ parsed_versions('salesforce', 'splits', {
        'OpportunityId': 'VARCHAR', 'SplitOwnerId': 'VARCHAR', 'SplitPercentage': 'VARCHAR', 'SplitTypeId': 'VARCHAR'
    }) }}

),

credited_type as (

    select id
    from types
    where
        is_latest and not is_deleted and source.istotalvalidated
        and (source.splitfield = 'Amount' or source.splitfield like '%.Amount')
    order by (source.developername = 'Revenue') desc, id
    limit 1

)

select
    {{ crm_id('salesforce', 'splits.source.opportunityid') }} as deal_id,
    {{ crm_id('salesforce', 'splits.source.splitownerid') }} as manager_id,
    cast(try_cast(splits.source.splitpercentage as decimal(9, 6)) / 100 as decimal(9, 8)) as share,
    cast(null as date) as valid_from
from splits
inner join credited_type
    on splits.source.splittypeid = credited_type.id
where splits.is_latest and not splits.is_deleted
