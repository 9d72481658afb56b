{#-
    What counts for closed months, one row each, whatever it is: the same of the release that a month was closed on and
    of this build, so that the two can be compared. kpimart/frozen.py renders it over the tables of a release.

    `of` names the relations that it is read from; `columns` are those of counted_columns. Relations of the rows:

    events      what happened to a deal in the month
    open        deals open on its last evening
    purchases   deals of known customers that were won in it for the first time
    lapses      the last purchases of those who had not bought for too long on a day of it
    leads       leads created in it
    activities  what was done in it
    targets     what was to be won in it
-#}
{% macro counted_columns() -%}
    {{ return({
        'subject_id': 'varchar',
        'occurred_on': 'date',
        'what': 'varchar',
        'sign': 'integer',
        'entity_keys': 'varchar[]',
        'manager_id': 'varchar',
        'department_id': 'varchar',
        'account_id': 'varchar',
        'amount': 'decimal(18, 2)',
        'weighted_amount': 'decimal(18, 2)',
        'native_amount': 'decimal(18, 2)',
        'currency_code': 'varchar',
        'cycle_days': 'integer',
        'days_to_win': 'integer',
        'has_slipped': 'boolean',
        'purchase_number': 'integer',
        'is_regular': 'boolean',
        'is_prospect': 'boolean',
        'fields_filled': 'integer',
        'tells_next_steps': 'boolean',
        'has_next_step': 'boolean',
        'is_stale': 'boolean',
        'is_converted': 'boolean',
        'first_response_hours': 'decimal(10, 2)',
        'target_amount': 'decimal(28, 8)',
    }) }}
{%- endmacro %}

{#- Whether measures count an event. -#}
{% macro is_measured(events) -%}
    ({{ events }}.event_type in ('created', 'won', 'lost', 'reopened') or {{ events }}.has_slipped)
{%- endmacro %}

{% macro counted_rows(of, columns) -%}
    with

    months as (

        select
            period_start,
            period_end
        from {{ of.months }}

    ),

    {% set event = {
        'occurred_on': 'events.occurred_on',
        'what': 'events.event_type',
        'sign': 'events.sign',
        'amount': 'events.amount',
        'native_amount': 'events.native_amount',
        'currency_code': 'events.currency_code',
        'cycle_days': 'events.cycle_days',
        'days_to_win': 'events.days_to_win',
        'has_slipped': 'coalesce(events.has_slipped, false)',
        'purchase_number': 'events.purchase_number',
    } %}
    events as (

        select
            months.period_start,
            'events' as relation,
            events.deal_id as subject_id,
            events.credited_on as organised_on,
            events.manager_id,
            events.department_id,
            {{ counted_as(event, columns) }}
        from {{ of.events }} as events
        inner join months
            on events.occurred_on between months.period_start and months.period_end
        where {{ is_measured('events') }}

    ),

    steps as (

        select
            months.period_start,
            steps.deal_id
        from {{ of.next_steps }} as steps
        inner join months
            on
                steps.started_on <= months.period_end
                and (steps.ended_on is null or steps.ended_on > months.period_end)
        group by months.period_start, steps.deal_id

    ),

    first_purchases as (

        select
            account_id,
            min(won_on) as won_on
        from {{ of.purchases }}
        group by account_id

    ),

    {% set interval = {
        'occurred_on': 'months.period_end',
        'account_id': 'intervals.account_id',
        'amount': 'intervals.amount',
        'weighted_amount': 'intervals.weighted_amount',
        'is_prospect': 'intervals.account_id is not null and coalesce(first_purchases.won_on > months.period_end, true)',
        'fields_filled': 'intervals.fields_filled',
        'tells_next_steps': 'intervals.tells_next_steps',
        'has_next_step': 'steps.deal_id is not null',
        'is_stale': 'coalesce(intervals.stale_on <= months.period_end, false)',
    } %}
    intervals as (

        select
            months.period_start,
            'open' as relation,
            intervals.deal_id as subject_id,
            months.period_end as organised_on,
            intervals.manager_id,
            intervals.department_id,
            {{ counted_as(interval, columns) }}
        from {{ of.intervals }} as intervals
        inner join months
            on
                intervals.started_on <= months.period_end
                and (intervals.ended_on is null or intervals.ended_on > months.period_end)
        left join steps
            on months.period_start = steps.period_start and intervals.deal_id = steps.deal_id
        left join first_purchases
            on intervals.account_id = first_purchases.account_id

    ),

    {% set purchase = {
        'occurred_on': 'purchases.won_on',
        'account_id': 'purchases.account_id',
        'purchase_number': 'purchases.purchase_number',
        'is_regular': 'purchases.is_regular',
    } %}
    purchases as (

        {% for relation, day in [('purchases', 'won_on'), ('lapses', 'lapsed_on')] %}
        select
            months.period_start,
            '{{ relation }}' as relation,
            purchases.deal_id as subject_id,
            purchases.won_on as organised_on,
            purchases.manager_id,
            purchases.department_id,
            {{ counted_as(purchase, columns) }}
        from {{ of.purchases }} as purchases
        inner join months
            on purchases.{{ day }} between months.period_start and months.period_end
        {% if not loop.last %}union all{% endif %}
        {% endfor %}

    ),

    {% set lead = {
        'occurred_on': 'leads.created_on',
        'is_converted': 'leads.is_converted',
        'first_response_hours': 'leads.first_response_hours',
    } %}
    leads as (

        select
            months.period_start,
            'leads' as relation,
            leads.lead_id as subject_id,
            leads.created_on as organised_on,
            leads.manager_id,
            leads.department_id,
            {{ counted_as(lead, columns) }}
        from {{ of.leads }} as leads
        inner join months
            on leads.created_on between months.period_start and months.period_end

    ),

    activities as (

        select
            months.period_start,
            'activities' as relation,
            activities.activity_id as subject_id,
            activities.occurred_on as organised_on,
            activities.manager_id,
            activities.department_id,
            {{ counted_as({'occurred_on': 'activities.occurred_on', 'what': 'activities.activity_type'}, columns) }}
        from {{ of.activities }} as activities
        inner join months
            on activities.occurred_on between months.period_start and months.period_end

    ),

    seated as (

        {% for relation in ['events', 'intervals', 'purchases', 'leads', 'activities'] %}
        select * from {{ relation }}
        {% if not loop.last %}union all{% endif %}
        {% endfor %}

    ),

    trees as (

        {{ trees_of('seated', of.closure) }}

    ),

    targets as (

        select
            months.period_start,
            targets.entity_level,
            targets.entity_key,
            targets.target_value
        from {{ of.targets }} as targets
        inner join months
            on targets.period_start = months.period_start
        where
            targets.period_grain = 'month'
            and targets.kpi_code = 'won_amount'
            and targets.entity_level is not null
            and targets.target_value is not null

    )

    select
        seated.period_start,
        seated.relation,
        {%- for column, data_type in columns.items() %}
        {{ entity_keys_of('seated') if column == 'entity_keys' else 'cast(seated.' ~ column ~ ' as ' ~ data_type ~ ')' }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from seated
    left join trees
        on seated.department_id = trees.department_id and seated.organised_on = trees.organised_on

    union all

    select
        targets.period_start,
        'targets' as relation,
        {%- set target = {
            'subject_id': "targets.entity_level || '|' || targets.entity_key",
            'occurred_on': 'targets.period_start',
            'sign': '1',
            'entity_keys': "[targets.entity_level || '|' || targets.entity_key]",
            'target_amount': 'targets.target_value',
        } %}
        {%- for column, data_type in columns.items() %}
        cast({{ target.get(column, 'null') }} as {{ data_type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from targets
{%- endmacro %}

{#- What a relation has no word for is empty; a row that takes nothing back counts once. -#}
{% macro counted_as(told, columns) -%}
    {%- for column, data_type in columns.items() if column not in ['subject_id', 'entity_keys', 'manager_id', 'department_id'] -%}
    cast({{ told.get(column, '1' if column == 'sign' else 'null') }} as {{ data_type }}) as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}

{#- The departments that a seat of `rows` lies below on the day whose tree counts. -#}
{% macro trees_of(rows, closure) -%}
    select
        seats.department_id,
        seats.organised_on,
        list('department|' || closure.ancestor_department_id order by closure.ancestor_department_id) as above
    from (
        select
            department_id,
            organised_on
        from {{ rows }}
        group by department_id, organised_on
    ) as seats
    inner join {{ closure }} as closure
        on
            seats.department_id = closure.department_id
            and seats.organised_on >= closure.valid_from
            and seats.organised_on < closure.valid_to
    group by seats.department_id, seats.organised_on
{%- endmacro %}

{#- Level and key of every entity that a row of a seat counts for. -#}
{% macro entity_keys_of(rows) -%}
    [
        'company|company',
        'manager|' || {{ rows }}.manager_id,
        'manager_in_department|' || {{ rows }}.manager_id || '|' || {{ rows }}.department_id
    ] || coalesce(trees.above, cast([] as varchar[]))
{%- endmacro %}
