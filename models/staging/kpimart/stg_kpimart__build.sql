-- One row: the build that is being made, with the two moments it speaks of.
with

builds as (

    select * from {{ source('ops', 'build') }}

)

select
    build_id,
    as_of,
    known_at
from builds
order by started_at desc
limit 1
