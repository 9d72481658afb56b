select
    closure.department_id,
    departments.department_name,
    departments.parent_department_id
from {{ ref('dim_department_closure') }} as closure
inner join {{ ref('dim_department') }} as departments
    on closure.department_id = departments.department_id
where closure.department_id = closure.ancestor_department_id and closure.depth > 0
group by closure.department_id, departments.department_name, departments.parent_department_id
order by closure.department_id
