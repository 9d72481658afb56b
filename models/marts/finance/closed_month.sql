-- One row per month that is closed and over in this build, and the moments of the release that it was closed on. A build
-- that speaks of an earlier moment than that release has nothing to say of what came after it.
with

closings as (

    select * from {{ ref('fct_period_close') }}
    where is_in_force

),

periods as (

    select * from {{ ref('dim_period') }}
    where period_grain = 'month' and is_complete

),

build as (

    select * from {{ ref('build_moment') }}

)

select
    closings.period_start,
    closings.period_end,
    closings.release_id,
    closings.as_of,
    closings.known_at,
    closings.frozen_status = 'whole' as is_whole
from closings
-- under another calendar the days of the month are another month's
inner join periods
    on closings.period_start = periods.period_start and closings.period_end = periods.period_end
cross join build
where closings.frozen_status in ('whole', 'figures_only') and build.as_of >= closings.as_of
