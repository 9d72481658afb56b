-- One row per stretch of an open deal that had begun by `as_of`, in business days, within one shape of the organisation:
-- it is open on the evening of started_on and no longer on the evening of ended_on. What was open before everything else
-- is open from the first day on.
{%- set stale_after_days = company().definitions.stale_after_days %}
{%- set amounts = ['amount', 'constant_amount', 'native_amount'] %}

with

build as (

    select
        as_of,
        last_day,
        (select min(days.day) from {{ ref('dim_period_day') }} as days) as first_day
    from {{ ref('build_moment') }}

),

intervals as (

    select * from {{ ref('fct_deal_open_interval') }}

),

organisations as (

    select * from {{ ref('dim_organisation') }}

),

-- A CRM in which no step was ever planned tells of none.
planning_crms as (

    select split_part(deal_id, ':', 1) as crm
    from {{ ref('fct_deal_next_step') }}
    group by split_part(deal_id, ':', 1)

),

counted as (

    select
        intervals.*,
        build.last_day,
        greatest(coalesce(intervals.started_on, build.first_day), build.first_day) as open_from,
        case when intervals.ended_at < build.as_of then greatest(intervals.ended_on, build.first_day) end as open_until
    from intervals
    cross join build
    where intervals.started_at is null or intervals.started_at < build.as_of

)

select
    counted.deal_id,
    counted.manager_id,
    counted.department_id,
    organisations.organisation_id,
    counted.account_id,
    counted.pipeline_id,
    counted.product,
    counted.lead_source,
    counted.currency_code,
    {%- for amount in amounts %}
    counted.{{ amount }},
    cast(round(cast(counted.{{ amount }} as decimal(26, 2)) * counted.probability, 2) as decimal(18, 2)) as weighted_{{ amount }},
    {%- endfor %}
    planning_crms.crm is not null as tells_next_steps,
    counted.expected_close_on,
    cast(counted.account_id is not null as integer)
    + cast(counted.amount is not null as integer)
    + cast(counted.expected_close_on is not null as integer) as fields_filled,
    counted.started_at,
    greatest(counted.open_from, organisations.valid_from) as started_on,
    case
        when organisations.valid_to <= coalesce(counted.open_until, counted.last_day) then organisations.valid_to
        else counted.open_until
    end as ended_on,
    counted.stage_entered_on + {{ stale_after_days + 1 }} as stale_on
from counted
inner join organisations
    on
        counted.open_from < organisations.valid_to
        and (
            counted.open_from >= organisations.valid_from
            or counted.open_until > organisations.valid_from
            or (counted.open_until is null and counted.last_day >= organisations.valid_from)
        )
left join planning_crms
    on split_part(counted.deal_id, ':', 1) = planning_crms.crm
