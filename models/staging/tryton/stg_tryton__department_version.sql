-- One row per version of a team or company that was seen. Tryton has no departments: an employee whom others have as
-- their supervisor heads a team, which is part of the team of the head's own supervisor, else of the company.
with

employees as (

    {{ parsed_versions('tryton', 'employees', {
        'rec_name': 'VARCHAR', 'company': 'VARCHAR', 'supervisor': 'VARCHAR',
    }) }}

),

companies as (

    {{ parsed_versions('tryton', 'companies', {'rec_name': 'VARCHAR'}) }}

),

-- A team that was there once stays, for those who were in it.
heads as (

    select distinct source.supervisor as id
    from employees
    where source.supervisor <> id

),

teams as (

    select
        employees.*,
        'team-' || employees.id as department_id,
        case
            when employees.source.supervisor <> employees.id then 'team-' || employees.source.supervisor
            else 'company-' || employees.source.company
        end as parent_department_id,
        employees.id as head_manager_id,
        employees.source.rec_name as department_name,
        employees.source.rec_name as head_name
    from employees
    inner join heads
        on employees.id = heads.id

),

departments as (

    select
        department_id,
        parent_department_id,
        head_manager_id,
        department_name,
        head_name,
        is_deleted,
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at
    from teams

    union all

    select
        'company-' || id as department_id,
        cast(null as varchar) as parent_department_id,
        cast(null as varchar) as head_manager_id,
        source.rec_name as department_name,
        cast(null as varchar) as head_name,
        is_deleted,
        version_number,
        is_latest,
        has_source_time,
        effective_at,
        recorded_at
    from companies

)

select
    ---------- ids
    {{ crm_id('tryton', 'department_id') }} as department_id,
    {{ crm_id('tryton', 'parent_department_id') }} as parent_department_id,
    {{ crm_id('tryton', 'head_manager_id') }} as head_manager_id,

    ---------- text
    coalesce(nullif(department_name, ''), department_id) as department_name,
    head_name,

    ---------- flags
    is_deleted,

    ---------- version
    version_number,
    is_latest,
    has_source_time,
    effective_at,
    recorded_at
from departments
