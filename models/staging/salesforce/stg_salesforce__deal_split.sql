-- One row per share of a manager in an opportunity: the splits of its amount, those that add up to the whole and those
-- that come on top. Of several types that add up to the whole the one that Salesforce made itself is credited.
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

of_amount as (

    select
        id,
        not coalesce(source.istotalvalidated, false) as is_overlay,
        row_number() over (
            partition by coalesce(source.istotalvalidated, false)
            order by coalesce(source.developername = 'Revenue', false) desc, id
        ) as place
    from types
    where is_latest and not is_deleted and (source.splitfield = 'Amount' or source.splitfield like '%.Amount')

),

credited_types as (

    select
        id,
        is_overlay
    from of_amount
    where is_overlay or place = 1

)

select
    {{ crm_id('salesforce', 'splits.source.opportunityid') }} as deal_id,
    {{ crm_id('salesforce', 'splits.source.splitownerid') }} as manager_id,
    cast(coalesce(try_cast(splits.source.splitpercentage as decimal(9, 6)), 0) * 0.01 as decimal(9, 8)) as share,
    credited_types.is_overlay,
    cast(null as date) as valid_from
from splits
inner join credited_types
    on splits.source.splittypeid = credited_types.id
where splits.is_latest and not splits.is_deleted
