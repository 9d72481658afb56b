-- One row per version of a department and the days on which it held. The first version holds from always; one that is
-- dated before what was seen earlier corrects it from its day on.
with

build as (

    select
        as_of,
        {{ business_date('as_of - interval 1 microsecond') }} as last_day
    from {{ ref('stg_kpimart__build') }}

),

versions as (

    select
        *,
        min(case when is_deleted then 1 else 0 end) over (partition by department_id) = 1 as was_never_there
    from ({{ from_every_crm('department_version') }}) as every_version

),

-- A department that was deleted stays as it was, for those who were in it.
told as (

    select
        *,
        row_number() over (partition by department_id order by version_number) as place
    from versions
    where not is_deleted or was_never_there

),

dated as (

    select
        told.*,
        case
            when told.place = 1 then date '0001-01-01'
            -- what came at or after `as_of` does not change the last day that the build covers
            when told.effective_at >= build.as_of
                then greatest({{ business_date('told.effective_at') }}, build.last_day + 1)
            else {{ business_date('told.effective_at') }}
        end as valid_from
    from told
    cross join build

),

bounded as (

    select
        *,
        coalesce(
            min(valid_from) over (
                partition by department_id order by place rows between 1 following and unbounded following
            ),
            date '9999-12-31'
        ) as valid_to
    from dated

)

select
    department_id,
    parent_department_id,
    head_manager_id,
    department_name,
    head_name,
    valid_from,
    valid_to
from bounded
-- of several versions of a day the last one holds
where valid_from < valid_to
