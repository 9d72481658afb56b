-- One row per stretch of days in which the tree of departments stays as it is. The stretches cover all of time.
with

closure as (

    select * from {{ ref('dim_department_closure') }}

),

turns as (

    select valid_from from closure
    union
    select valid_to as valid_from from closure
    where valid_to < date '9999-12-31'
    union
    -- where there are no departments
    select date '0001-01-01' as valid_from

)

select
    cast(row_number() over (order by valid_from) as integer) as organisation_id,
    valid_from,
    coalesce(lead(valid_from) over (order by valid_from), date '9999-12-31') as valid_to
from turns
