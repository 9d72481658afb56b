-- One row per KPI, entity and period with a target at as_of: the last that was set before, for the part of the period
-- in which the entity was there; for a quarter or a year without one of its own, the sum of its parts.
{%- set additive = sql_list(additive_kpis()) %}

with

build as (

    select * from {{ ref('build_moment') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

presence as (

    select * from {{ ref('entity_working_days') }}

),

calendar as (

    select * from presence
    where entity_level = 'company'

),

versions as (

    select
        targets.*,
        row_number() over (
            partition by
                targets.kpi_code, targets.entity_level, targets.entity_key, targets.period_grain, targets.period_start
            order by targets.version_number desc
        ) as recency
    from {{ ref('fct_target') }} as targets
    cross join build
    where targets.set_at is null or targets.set_at < build.as_of

),

-- Who is not there in a period has no target for it. Of an unknown entity or period nothing can be said: it stays.
present as (

    select
        versions.kpi_code,
        versions.period_grain,
        versions.period_start,
        versions.entity_level,
        versions.entity_key,
        entities.entity_id,
        versions.target_value as set_value,
        versions.set_at,
        presence.days_there,
        calendar.working_days,
        versions.kpi_code in {{ additive }} as is_additive,
        entities.entity_id is not null and calendar.entity_id is not null and presence.entity_id is null as is_absent
    from versions
    left join entities
        on versions.entity_level = entities.entity_level and versions.entity_key = entities.entity_key
    left join calendar
        on versions.period_grain = calendar.period_grain and versions.period_start = calendar.period_start
    left join presence
        on
            entities.entity_id = presence.entity_id
            and versions.period_grain = presence.period_grain
            and versions.period_start = presence.period_start
    where versions.recency = 1 and versions.target_value is not null

),

prorated as (

    select
        kpi_code,
        period_grain,
        period_start,
        entity_level,
        entity_key,
        entity_id,
        set_value,
        set_at,
        false as is_summed,
        case
            when is_absent or (days_there = 0 and working_days > 0) then null
            when is_additive and days_there < working_days
                then cast(round(set_value * days_there / working_days, 8) as decimal(28, 8))
            else set_value
        end as target_value
    from present

),

{% for whole, part in [('quarter', 'month'), ('year', 'quarter')] %}
{%- set known = 'prorated' if loop.first else 'prorated_and_quarters' %}
---------- {{ part }}s of a {{ whole }}: each in which the entity is there must have its target

parts_of_{{ whole }} as (

    select
        wholes.entity_id,
        wholes.period_start,
        parts.period_start as part_start,
        count(*) over (partition by wholes.entity_id, wholes.period_start) as part_count
    from presence as wholes
    inner join presence as parts
        on
            wholes.entity_id = parts.entity_id
            and wholes.period_start <= parts.period_start
            and wholes.period_end >= parts.period_end
    where wholes.period_grain = '{{ whole }}' and parts.period_grain = '{{ part }}' and parts.days_there > 0

),

summed_{{ whole }}s as (

    select
        known.kpi_code,
        '{{ whole }}' as period_grain,
        parts.period_start,
        known.entity_level,
        known.entity_key,
        known.entity_id,
        cast(null as decimal(28, 8)) as set_value,
        max(known.set_at) as set_at,
        true as is_summed,
        cast(sum(known.target_value) as decimal(28, 8)) as target_value
    from parts_of_{{ whole }} as parts
    inner join {{ known }} as known
        on
            known.period_grain = '{{ part }}'
            and parts.entity_id = known.entity_id
            and parts.part_start = known.period_start
    left join prorated as own
        on
            own.period_grain = '{{ whole }}'
            and known.kpi_code = own.kpi_code
            and known.entity_id = own.entity_id
            and parts.period_start = own.period_start
    where known.kpi_code in {{ additive }} and own.kpi_code is null and known.target_value is not null
    group by known.kpi_code, parts.period_start, known.entity_level, known.entity_key, known.entity_id, parts.part_count
    having count(*) = parts.part_count

),

prorated_and_{{ whole }}s as (

    select * from {{ known }}
    union all
    select * from summed_{{ whole }}s

){{ ',' if not loop.last }}

{% endfor %}
select
    kpi_code,
    period_grain,
    period_start,
    entity_level,
    entity_key,
    entity_id,
    set_value,
    set_at,
    is_summed,
    target_value
from prorated_and_years
