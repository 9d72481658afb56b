-- One row: the moments that the figures of this build speak of, and the last business day that they cover.
with

build as (

    select * from {{ ref('stg_kpimart__build') }}

)

select
    build_id,
    as_of,
    known_at,
    {{ business_date("as_of - interval 1 microsecond") }} as last_day
from build
