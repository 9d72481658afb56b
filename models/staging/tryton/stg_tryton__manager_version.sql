-- One row per version of an employee. Who has a team sits in it; else in the supervisor's, else in the company.
with

employees as (

    {{ parsed_versions('tryton', 'employees', {
        'rec_name': 'VARCHAR',
        'company': 'VARCHAR',
        'supervisor': 'VARCHAR',
        'start_date': 'VARCHAR',
        'end_date': 'VARCHAR',
    }) }}

),

heads as (

    select distinct source.supervisor as id
    from employees
    where is_latest and not is_deleted and source.supervisor <> id

)

select
    ---------- ids
    {{ crm_id('tryton', 'employees.id') }} as manager_id,
    {{ crm_id('tryton', "case
        when heads.id is not null then 'team-' || heads.id
        when employees.source.supervisor <> employees.id then 'team-' || employees.source.supervisor
        else 'company-' || employees.source.company
    end") }} as department_id,

    ---------- text
    coalesce(nullif(employees.source.rec_name, ''), employees.id) as manager_name,

    ---------- dates
    try_cast(employees.source.start_date as date) as hired_on,
    try_cast(employees.source.end_date as date) as left_on,

    ---------- flags
    employees.is_deleted,

    ---------- version
    employees.version_number,
    employees.is_latest,
    employees.has_source_time,
    employees.effective_at,
    employees.recorded_at

from employees
left join heads
    on employees.id = heads.id
