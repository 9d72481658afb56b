-- One row per party. Tryton does not tell companies from persons, so without personal data a party's code is its name.
with

versions as (

    {{ parsed_versions('tryton', 'parties', {'code': 'VARCHAR', 'name': 'VARCHAR', 'replaced_by': 'VARCHAR'}) }}

)

select
    ---------- ids
    {{ crm_id('tryton', 'id') }} as account_id,
    cast(null as varchar) as parent_account_id,

    ---------- text
    coalesce(nullif(source.name, ''), nullif(source.code, ''), id) as account_name,
    cast(null as varchar) as segment,
    cast(null as varchar) as country,

    ---------- flags
    is_deleted or source.replaced_by is not null as is_deleted

from versions
where is_latest
