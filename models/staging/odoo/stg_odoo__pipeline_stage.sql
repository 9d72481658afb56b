-- One row per stage, those that are no longer there included, for the deals that were in them. Odoo has one pipeline;
-- lost is no stage of it, so there is one more.
with

versions as (

    {{ parsed_versions('odoo', 'stages', {'name': 'VARCHAR', 'sequence': 'VARCHAR', 'is_won': 'VARCHAR'}) }}

),

stages as (

    select
        id as code,
        coalesce(nullif(source.name, ''), id) as stage_name,
        case when source.is_won = 'true' then 'won' else 'open' end as outcome,
        coalesce(try_cast(source.sequence as integer), 0) as position
    from versions
    where is_latest

    union all

    select
        'lost' as code,
        'Lost' as stage_name,
        'lost' as outcome,
        coalesce(max(try_cast(source.sequence as integer)), 0) + 1 as position
    from versions
    where is_latest

)

select
    ---------- ids
    cast('odoo:crm:' || code as varchar) as stage_id,
    'odoo:crm' as pipeline_id,

    ---------- text
    'CRM' as pipeline_name,
    stage_name,
    outcome,

    ---------- numbers
    position,
    cast(null as decimal(5, 4)) as probability
from stages
