-- One row per employee that an opportunity was given to, by its revisions.
with

versions as (

    {{ parsed_versions('tryton', 'opportunities', {'employee': 'VARCHAR'}) }}

),

deals as (

    select deal_id from {{ ref('stg_tryton__deal') }}

),

told as (

    select
        id,
        source.employee,
        lag(source.employee) over (partition by id order by version_number) as employee_before,
        effective_at,
        recorded_at
    from versions
    where not is_deleted

)

select
    cast(
        'tryton:' || told.id || '|' || strftime(timezone('UTC', told.effective_at), '%Y-%m-%dT%H:%M:%S.%fZ') as varchar
    ) as owner_change_id,
    deals.deal_id,
    {{ crm_id('tryton', 'told.employee') }} as manager_id,
    told.effective_at as changed_at,
    told.recorded_at,
    cast(null as timestamptz) as superseded_at
from told
inner join deals
    on {{ crm_id('tryton', 'told.id') }} = deals.deal_id
where told.employee is not null and told.employee is distinct from told.employee_before
