-- One row per closed month, thing that counts for it, and stretch of causes in which the same is told of it: from what the
-- month was closed on, before the first cause, to what is known now, after the last. Of what nothing changed only that is
-- here which is counted together with something that did.
{%- set columns = counted_columns() %}
{%- set told = columns | reject('in', ['subject_id', 'sign']) | list %}
{%- set attributes = attributes_by_cause() %}
{%- set of_deals = "('events', 'open', 'purchases', 'lapses')" %}

with

months as (

    select * from {{ ref('closed_month') }}
    where is_whole

),

ledger as (

    select * from {{ ref('fct_deal_event') }}

),

---------- what is the same, and what is not

told_twice as (

    select
        frozen.*,
        frozen.sign as weight_before,
        0 as weight_after
    from {{ ref('frozen_counted') }} as frozen
    inner join months
        on frozen.period_start = months.period_start

    union all

    select
        counted.*,
        0 as weight_before,
        counted.sign as weight_after
    from {{ ref('closed_month_counted') }} as counted
    inner join months
        on counted.period_start = months.period_start

),

weighed as (

    select
        period_start,
        relation,
        subject_id,
        {%- for column in told %}
        {{ column }},
        {%- endfor %}
        cast(sum(weight_before) as integer) as weight_before,
        cast(sum(weight_after) as integer) as weight_after
    from told_twice
    group by
        period_start, relation, subject_id
        {%- for column in told %}, {{ column }}{% endfor %}

),

kept as (

    select
        *,
        case
            when weight_before * weight_after > 0
                then sign(weight_before) * least(abs(weight_before), abs(weight_after))
            else 0
        end as weight
    from weighed
    where weight_before <> 0 or weight_after <> 0

),

changed_in_month as (

    select
        * exclude (weight),
        true as is_in_month
    from kept
    where weight_before <> weight or weight_after <> weight

),

concerned as (

    select
        changed.period_start,
        changed.subject_id,
        months.period_end,
        months.as_of,
        months.known_at
    from changed_in_month as changed
    inner join months
        on changed.period_start = months.period_start
    where changed.relation in {{ of_deals }}
    group by changed.period_start, changed.subject_id, months.period_end, months.as_of, months.known_at

),

---------- the ledger of the deals concerned, by the moments of the closing and now

of_concerned as (

    select
        concerned.period_start,
        concerned.period_end,
        ledger.deal_event_id,
        ledger.deal_id as subject_id,
        ledger.account_id,
        ledger.event_type,
        ledger.sign,
        ledger.occurred_on,
        ledger.credited_on,
        ledger.recorded_at <= concerned.known_at as was_recorded,
        ledger.recorded_at <= concerned.known_at and ledger.occurred_at < concerned.as_of as was_known
    from ledger
    inner join concerned
        on ledger.deal_id = concerned.subject_id

),

standing as (

    select
        period_start,
        period_end,
        subject_id,
        event_type,
        credited_on,
        coalesce(sum(sign) filter (where was_recorded), 0) > 0 as was_recorded,
        coalesce(sum(sign) filter (where was_known), 0) > 0 as was_there,
        sum(sign) > 0 as is_there
    from of_concerned
    group by period_start, period_end, subject_id, event_type, credited_on

),

-- What is believed of a deal: then, and now.
beliefs as (

    select
        period_start,
        subject_id,
        max(credited_on) filter (where event_type = 'created' and was_there) > min(period_end) as was_created_later,
        max(credited_on) filter (where event_type = 'created' and is_there) > min(period_end) as is_created_later,
        max(credited_on) filter (where event_type in ('won', 'lost') and was_there) as closed_on_before,
        max(credited_on) filter (where event_type in ('won', 'lost') and is_there) as closed_on_after,
        min(credited_on) filter (where event_type = 'won' and was_there) as won_on_before,
        min(credited_on) filter (where event_type = 'won' and is_there) as won_on_after,
        coalesce(bool_or(event_type = 'deleted' and was_recorded), false) as was_deleted,
        coalesce(bool_or(event_type = 'deleted' and is_there), false) as is_deleted,
        coalesce(bool_or(event_type = 'merged' and was_recorded), false) as was_merged,
        coalesce(bool_or(event_type = 'merged' and is_there), false) as is_merged
    from standing
    group by period_start, subject_id

),

knowledge as (

    select
        period_start,
        subject_id,
        bool_or(was_known) as was_known,
        bool_or(not was_known) as is_touched,
        bool_or(not was_known and event_type = 'amount_changed') as has_new_amount
    from of_concerned
    group by period_start, subject_id

),

accounts_of_concerned as (

    select
        of_concerned.period_start,
        of_concerned.subject_id,
        of_concerned.account_id,
        concerned.as_of,
        concerned.known_at
    from of_concerned
    inner join concerned
        on of_concerned.period_start = concerned.period_start and of_concerned.subject_id = concerned.subject_id
    where of_concerned.account_id is not null
    group by
        of_concerned.period_start, of_concerned.subject_id, of_concerned.account_id, concerned.as_of, concerned.known_at

),

knowledge_of_accounts as (

    select
        accounts.period_start,
        accounts.subject_id,
        bool_or(ledger.recorded_at > accounts.known_at or ledger.occurred_at >= accounts.as_of) as is_touched
    from ledger
    inner join accounts_of_concerned as accounts
        on ledger.account_id = accounts.account_id
    group by accounts.period_start, accounts.subject_id

),

-- By today's rules the ledger would have told the release otherwise than it was told.
retold as (

    select
        period_start,
        subject_id,
        what,
        occurred_on
    from (
        select
            period_start,
            subject_id,
            event_type as what,
            occurred_on,
            sign as weight
        from of_concerned
        where
            was_known
            and occurred_on between period_start and period_end
            and event_type in ('created', 'won', 'lost', 'reopened')
        union all
        select
            weighed.period_start,
            weighed.subject_id,
            weighed.what,
            weighed.occurred_on,
            -weighed.weight_before as weight
        from weighed
        inner join concerned
            on weighed.period_start = concerned.period_start and weighed.subject_id = concerned.subject_id
        where weighed.relation = 'events' and weighed.what <> 'close_date_moved'
    ) as known_and_counted
    group by period_start, subject_id, what, occurred_on
    having sum(weight) <> 0

),

---------- where something moved to, or came from

counted_events as (

    select
        of_concerned.period_start,
        of_concerned.was_known,
        events.*,
        events.credited_on as organised_on
    from {{ ref('kpi_counted_event') }} as events
    inner join of_concerned
        on events.deal_event_id = of_concerned.deal_event_id
    where
        events.occurred_on not between of_concerned.period_start and of_concerned.period_end
        and {{ is_measured('events') }}

),

trees as (

    {{ trees_of('counted_events', ref('dim_department_closure')) }}

),

elsewhere as (

    select
        events.period_start,
        'events' as relation,
        events.deal_id as subject_id,
        {%- set event = {
            'occurred_on': 'events.occurred_on',
            'what': 'events.event_type',
            'manager_id': 'events.manager_id',
            'department_id': 'events.department_id',
            'amount': 'events.amount',
            'native_amount': 'events.native_amount',
            'currency_code': 'events.currency_code',
            'cycle_days': 'events.cycle_days',
            'days_to_win': 'events.days_to_win',
            'has_slipped': 'coalesce(events.has_slipped, false)',
            'purchase_number': 'events.purchase_number',
        } %}
        {%- for column in told %}
        {{ entity_keys_of('events') if column == 'entity_keys' else 'cast(' ~ event.get(column, 'null') ~ ' as ' ~ columns[column] ~ ')' }} as {{ column }},
        {%- endfor %}
        case when events.was_known then events.sign else 0 end as weight_before,
        events.sign as weight_after
    from counted_events as events
    left join trees
        on events.department_id = trees.department_id and events.organised_on = trees.organised_on

),

changed_elsewhere as (

    select
        period_start,
        relation,
        subject_id,
        {%- for column in told %}
        {{ column }},
        {%- endfor %}
        cast(sum(weight_before) as integer) as weight_before,
        cast(sum(weight_after) as integer) as weight_after,
        false as is_in_month
    from elsewhere
    group by
        period_start, relation, subject_id
        {%- for column in told %}, {{ column }}{% endfor %}
    having sum(weight_before) <> sum(weight_after)

),

changed as (

    select
        *,
        case
            when weight_before * weight_after > 0
                then sign(weight_before) * least(abs(weight_before), abs(weight_after))
            else 0
        end as weight
    from (
        select * from changed_in_month
        union all
        select * from changed_elsewhere
    ) as changed_anywhere

),

---------- pairs: the same thing, told otherwise

{% for side in ['before', 'after'] %}
units_{{ side }} as (

    select
        units.*,
        row_number() over (
            partition by units.period_start, units.relation, units.subject_id, units.event_type, units.sign
            order by
                units.is_in_month desc
                {%- for column in told %}, units.{{ column }}{% endfor %}
        ) as unit_number
    from (
        select
            changed.period_start,
            changed.relation,
            changed.subject_id,
            {%- for column in told %}
            changed.{{ column }},
            {%- endfor %}
            changed.is_in_month,
            case when changed.relation = 'events' then changed.what else '' end as event_type,
            cast(sign(changed.weight_{{ side }} - changed.weight) as integer) as sign,
            unnest(generate_series(1, abs(changed.weight_{{ side }} - changed.weight))) as copy_number
        from changed
    ) as units

),

{% endfor %}
paired as (

    select
        coalesce(units_before.period_start, units_after.period_start) as period_start,
        coalesce(units_before.relation, units_after.relation) as relation,
        coalesce(units_before.subject_id, units_after.subject_id) as subject_id,
        coalesce(units_before.event_type, units_after.event_type) as event_type,
        coalesce(units_before.sign, units_after.sign) as sign,
        coalesce(units_before.unit_number, units_after.unit_number) as unit_number,
        units_before.unit_number is not null as was_there,
        units_after.unit_number is not null as is_there,
        coalesce(units_before.is_in_month, false) as was_in_month,
        coalesce(units_after.is_in_month, false) as is_in_month
        {%- for column in told %},
        case when units_before.unit_number is null then units_after.{{ column }} else units_before.{{ column }} end as {{ column }}_before,
        case when units_after.unit_number is null then units_before.{{ column }} else units_after.{{ column }} end as {{ column }}_after
        {%- endfor %}
    from units_before
    full outer join units_after
        on
            units_before.period_start = units_after.period_start
            and units_before.relation = units_after.relation
            and units_before.subject_id = units_after.subject_id
            and units_before.event_type = units_after.event_type
            and units_before.sign = units_after.sign
            and units_before.unit_number = units_after.unit_number
    where coalesce(units_before.is_in_month, false) or coalesce(units_after.is_in_month, false)

),

---------- why

leads_and_activities as (

    select
        'leads' as relation,
        lead_id as subject_id
    from {{ ref('kpi_counted_lead') }}
    union all
    select
        'activities' as relation,
        activity_id as subject_id
    from {{ ref('kpi_counted_activity') }}

),

of_other_months as (

    select
        relation,
        subject_id,
        min(period_start) as first_month,
        max(period_start) as last_month
    from {{ ref('frozen_counted') }}
    where relation in ('leads', 'activities')
    group by relation, subject_id

),

described as (

    select
        paired.*,
        paired.relation in {{ of_deals }} as is_of_deal,
        coalesce(beliefs.was_deleted, false) as was_deleted,
        coalesce(beliefs.is_deleted, false) as is_deleted,
        coalesce(beliefs.was_merged, false) as was_merged,
        coalesce(beliefs.is_merged, false) as is_merged,
        coalesce(beliefs.was_created_later, false) as was_created_later,
        coalesce(beliefs.is_created_later, false) as is_created_later,
        beliefs.closed_on_before,
        beliefs.closed_on_after,
        beliefs.won_on_before,
        beliefs.won_on_after,
        coalesce(knowledge.was_known, false) as was_known,
        -- of a deal without dates the ledger need not tell
        coalesce(knowledge.is_touched, true) as is_touched,
        coalesce(knowledge.has_new_amount, false) as has_new_amount,
        coalesce(knowledge_of_accounts.is_touched, false) as is_account_touched,
        retold.subject_id is not null as is_retold,
        leads_and_activities.subject_id is not null as is_elsewhere,
        coalesce(
            of_other_months.first_month <> paired.period_start or of_other_months.last_month <> paired.period_start, false
        ) as was_elsewhere,
        -- what was added and taken back at one moment changes what is there by itself
        sum(case when paired.was_there then 0 else paired.sign end) over (
            partition by
                paired.period_start, paired.relation, paired.subject_id, paired.event_type, paired.occurred_on_after,
                paired.was_there
        ) = 0 as is_replaced,
        bool_or(paired.event_type in ('won', 'lost') and paired.was_there and not paired.is_there) over (
            partition by paired.period_start, paired.relation, paired.subject_id
        ) as has_lost_a_closing
    from paired
    left join beliefs
        on paired.period_start = beliefs.period_start and paired.subject_id = beliefs.subject_id
    left join knowledge
        on paired.period_start = knowledge.period_start and paired.subject_id = knowledge.subject_id
    left join knowledge_of_accounts
        on
            paired.period_start = knowledge_of_accounts.period_start
            and paired.subject_id = knowledge_of_accounts.subject_id
    left join retold
        on
            paired.relation = 'events'
            and paired.period_start = retold.period_start
            and paired.subject_id = retold.subject_id
            and paired.event_type = retold.what
            and paired.occurred_on_before = retold.occurred_on
    left join leads_and_activities
        on paired.relation = leads_and_activities.relation and paired.subject_id = leads_and_activities.subject_id
    left join of_other_months
        on paired.relation = of_other_months.relation and paired.subject_id = of_other_months.subject_id

),

-- What is gone, or has come, without being the same thing at another time.
with_presence as (

    select
        *,
        case
            when relation = 'targets' then {{ step_of('target_changed') }}
            when not is_of_deal and was_there
                then case when is_elsewhere then {{ step_of('date_moved') }} else {{ step_of('deleted') }} end
            when not is_of_deal
                then case when was_elsewhere then {{ step_of('date_moved') }} else {{ step_of('late_entry') }} end
            when not is_touched and (relation in ('events', 'open') or not is_account_touched)
                then {{ step_of('definition_changed') }}
            when is_merged <> was_merged then {{ step_of('merged') }}
            when is_deleted <> was_deleted then {{ step_of('deleted') }}
            when not was_known and not was_there then {{ step_of('late_entry') }}
            when relation = 'events'
                then
                    case
                        when is_retold then {{ step_of('definition_changed') }}
                        when not was_there and is_replaced then {{ step_of('amount_edit') }}
                        when event_type = 'reopened' or sign < 0 then {{ step_of('reopened') }}
                        when event_type in ('won', 'lost') and (was_there or has_lost_a_closing)
                            then {{ step_of('reopened') }}
                        when was_there then {{ step_of('date_moved') }}
                        else {{ step_of('late_entry') }}
                    end
            when relation = 'open' and was_there
                then
                    case
                        when is_created_later or closed_on_before is not null then {{ step_of('date_moved') }}
                        else {{ step_of('late_entry') }}
                    end
            when relation = 'open'
                then
                    case
                        when was_created_later then {{ step_of('date_moved') }}
                        when closed_on_before is not null and closed_on_after is null then {{ step_of('reopened') }}
                        when closed_on_before is not null then {{ step_of('date_moved') }}
                        else {{ step_of('late_entry') }}
                    end
            when won_on_after is null then {{ step_of('reopened') }}
            when won_on_before is null then {{ step_of('late_entry') }}
            when won_on_before <> won_on_after then {{ step_of('date_moved') }}
            else {{ step_of('customer_history') }}
        end as presence_step,
        case
            when is_of_deal and not is_touched then {{ step_of('definition_changed') }}
            else {{ step_of('date_moved') }}
        end as date_step
    from described

),

with_steps as (

    select
        *,
        -- what has to be filed under a cause, each attribute under one
        {{ step_of('reassigned') }} as seat_step,
        case
            when
                relation = 'events'
                and (
                    (native_amount_before is distinct from native_amount_after)
                    or (currency_code_before is distinct from currency_code_after)
                )
                then {{ step_of('amount_edit') }}
            when relation = 'open' and has_new_amount then {{ step_of('amount_edit') }}
            else {{ step_of('rate') }}
        end as amount_step,
        case
            when is_of_deal and not is_touched and not is_account_touched then {{ step_of('definition_changed') }}
            else {{ step_of('customer_history') }}
        end as customer_step,
        case
            when is_of_deal and not is_touched then {{ step_of('definition_changed') }}
            else {{ step_of('matured') }}
        end as outcome_step,
        {{ step_of('details') }} as detail_step,
        {{ step_of('target_changed') }} as target_step
    from with_presence

),

numbered as (

    select
        *,
        case
            -- a weight goes with its amount
            when (amount_before is distinct from amount_after) then amount_step
            when is_of_deal and not is_touched then {{ step_of('definition_changed') }}
            else detail_step
        end as weight_step,
        row_number() over (
            partition by period_start, relation, subject_id order by event_type, sign, unit_number
        ) as entry_number,
        case
            when not was_there then presence_step
            when was_in_month then 0
            else date_step
        end as first_step,
        case
            when not is_there then presence_step
            when is_in_month then {{ no_step() }}
            else date_step
        end as end_step
    from with_steps

),

---------- the stretches in between

steps as (

    select cast(unnest(generate_series(0, {{ restatement_causes() | length }})) as integer) as step

),

points as (

    select
        numbered.*,
        steps.step as from_step
    from numbered
    inner join steps
        on
            numbered.first_step = steps.step
            or (
                numbered.first_step < steps.step
                and numbered.end_step > steps.step
                and (
                    {%- for group, of_group in attributes.items() %}
                    {{ 'or ' if not loop.first }}(
                        numbered.{{ group }}_step = steps.step
                        and (
                            {%- for column in of_group %}
                            {{ 'or ' if not loop.first }}numbered.{{ column }}_before is distinct from numbered.{{ column }}_after
                            {%- endfor %}
                        )
                    )
                    {%- endfor %}
                )
            )

),

stretches as (

    select
        period_start,
        relation,
        subject_id,
        entry_number,
        from_step,
        coalesce(
            lead(from_step) over (partition by period_start, relation, subject_id, entry_number order by from_step), end_step
        ) as until_step,
        sign
        {%- for group, of_group in attributes.items() %}{% for column in of_group %},
        case when {{ group }}_step <= from_step then {{ column }}_after else {{ column }}_before end as {{ column }}
        {%- endfor %}{% endfor %}
    from points

),

---------- what is counted together with it

accounts_changed as (

    select
        period_start,
        relation,
        account_id
    from stretches
    where account_id is not null
    group by period_start, relation, account_id

),

months_with_other_wins as (

    select period_start from stretches
    where relation = 'events' and what = 'won'
    group by period_start

),

kept_with_it as (

    select
        kept.*,
        0 as entry_number
    from kept
    inner join months_with_other_wins as months_changed
        on kept.period_start = months_changed.period_start
    where kept.weight <> 0 and kept.relation = 'events' and kept.what = 'won'

    union all

    select
        kept.*,
        0 as entry_number
    from kept
    inner join accounts_changed
        on
            kept.period_start = accounts_changed.period_start
            and kept.relation = accounts_changed.relation
            and kept.account_id = accounts_changed.account_id
    where kept.weight <> 0

)

select
    period_start,
    relation,
    subject_id,
    cast(entry_number as integer) as entry_number,
    cast(from_step as integer) as from_step,
    cast(until_step as integer) as until_step,
    sign
    {%- for column in told %},
    {{ column }}
    {%- endfor %}
from stretches

union all

select
    period_start,
    relation,
    subject_id,
    cast(entry_number as integer) as entry_number,
    cast(0 as integer) as from_step,
    cast({{ no_step() }} as integer) as until_step,
    cast(weight as integer) as sign
    {%- for column in told %},
    {{ column }}
    {%- endfor %}
from kept_with_it
