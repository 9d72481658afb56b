-- One row per deal as the exports last told it.
with

versions as (

    select * from {{ ref('stg_files__deal_version') }}

)

select * exclude (version_number, is_latest, has_source_time, effective_at, recorded_at)
from versions
where is_latest
