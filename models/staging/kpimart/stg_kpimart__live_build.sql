-- One row per build of the tables that this one builds. Only one that came to its end has brought them up to date.
with

builds as (

    select * from {{ source('ops', 'build') }}

),

this_build as (

    select * from {{ ref('stg_kpimart__build') }}

)

select
    builds.build_id,
    builds.as_of,
    builds.finished_at is not null as is_finished
from builds
where
    builds.database_path = (
        select here.database_path
        from builds as here
        inner join this_build
            on here.build_id = this_build.build_id
    )
