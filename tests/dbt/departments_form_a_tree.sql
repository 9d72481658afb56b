with

closure as (

    select
        closure.*,
        organisations.organisation_id
    from {{ ref('dim_department_closure') }} as closure
    inner join {{ ref('dim_organisation') }} as organisations
        on closure.valid_from <= organisations.valid_from and closure.valid_to > organisations.valid_from

),

faults as (

    select
        department_id,
        organisation_id,
        count(*) filter (where depth > 0 and ancestor_department_id = department_id) > 0 as is_below_itself,
        count(*) filter (where depth = 1) as departments_above
    from closure
    group by department_id, organisation_id

)

select
    faults.department_id,
    departments.department_name,
    departments.parent_department_id,
    faults.is_below_itself,
    faults.departments_above,
    organisations.valid_from
from faults
inner join {{ ref('dim_organisation') }} as organisations
    on faults.organisation_id = organisations.organisation_id
inner join {{ ref('build_moment') }} as build
    on organisations.valid_from <= build.last_day
left join {{ ref('dim_department') }} as departments
    on faults.department_id = departments.department_id
where faults.is_below_itself or faults.departments_above > 1
order by organisations.valid_from, faults.department_id
