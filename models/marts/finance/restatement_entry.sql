-- One row per closed month, entity, cause and thing by which the month is no longer as closed: what was told of it before
-- the cause, and what is told after it.
{%- set told = ['occurred_on', 'manager_id', 'amount'] %}

with

months as (

    select * from {{ ref('closed_month') }}

),

entities as (

    select * from {{ ref('dim_entity') }}

),

counted as (

    select
        period_start,
        relation,
        subject_id,
        entry_number,
        from_step,
        until_step,
        sign,
        occurred_on,
        manager_id,
        sign * coalesce(amount, target_amount) as amount,
        case
            when relation in ('events', 'activities') then what
            when relation = 'open' then 'open'
            else rtrim(relation, 's')
        end as what,
        unnest(entity_keys) as entity
    from {{ ref('restated_row') }}
    where entry_number > 0

),

turns as (

    select
        *,
        from_step as step,
        true as is_after
    from counted
    where from_step > 0

    union all

    select
        *,
        until_step as step,
        false as is_after
    from counted
    where until_step < {{ no_step() }}

),

compared as (

    select
        period_start,
        split_part(entity, '|', 1) as entity_level,
        substr(entity, length(split_part(entity, '|', 1)) + 2) as entity_key,
        step,
        relation,
        subject_id,
        entry_number,
        coalesce(max(what) filter (where is_after), max(what)) as what,
        coalesce(sum(sign) filter (where not is_after), 0) as count_before,
        coalesce(sum(sign) filter (where is_after), 0) as count_after
        {%- for column in told %},
        max({{ column }}) filter (where not is_after) as {{ column }}_before,
        max({{ column }}) filter (where is_after) as {{ column }}_after
        {%- endfor %}
    from turns
    group by period_start, entity, step, relation, subject_id, entry_number

)

select
    'month' as period_grain,
    compared.period_start,
    months.period_end,
    compared.entity_level,
    compared.entity_key,
    entities.department_id,
    entities.manager_id,
    entities.entity_name,
    compared.step,
    list_extract({{ restatement_causes() }}, compared.step) as cause,
    compared.relation,
    compared.what,
    compared.subject_id,
    compared.entry_number,
    cast(compared.count_before as integer) as count_before,
    cast(compared.count_after as integer) as count_after,
    cast(compared.amount_before as decimal(38, 2)) as amount_before,
    cast(compared.amount_after as decimal(38, 2)) as amount_after,
    compared.occurred_on_before,
    compared.occurred_on_after,
    compared.manager_id_before,
    compared.manager_id_after
from compared
inner join months
    on compared.period_start = months.period_start
left join entities
    on compared.entity_level = entities.entity_level and compared.entity_key = entities.entity_key
