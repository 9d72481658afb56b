-- One row per manager as the exports last told it.
with

versions as (

    select * from {{ ref('stg_files__manager_version') }}

)

select
    manager_id,
    department_id,
    manager_name,
    hired_on,
    left_on,
    is_deleted
from versions
where is_latest
