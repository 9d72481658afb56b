{#-
    Every measure, once: what is counted or summed, dated by which clock, added up how.

    relation    the rows it reads: a CTE of kpi_measure_day, or of kpi_measure for what is counted anew
    clock       the moment that dates it: that of the event, of the lead's creation, of the activity, of the purchase, of
                the account's lapse, or the end of the period
    sql         its value on one row
    filter      which rows count
    additivity  additive:     a sum over events, any grain is the sum of its days
                snapshot:     a state at the end of the period, the running sum of its changes
                distinct:     counted anew for each period and entity
                distribution: a median or a quantile, computed anew for each period and entity
                target:       what was set for a period and an entity, in the main cut; null where nothing was
    sample      the measure that counts the rows behind a sum: over none of them it is 0
    known       the measure that counts those of them with a value, what was taken back less: if there are some but none
                is known, it is null
    unknown     the measure that counts those without: as soon as there is one, it is null
    maturity_days   so many days after its period it may still change

    A deal that is shared counts for each by their share; `amount` is each one's part of it.
-#}
{% macro measures() -%}
    {% set of_events = {'relation': 'events', 'clock': 'occurred_at', 'additivity': 'additive'} %}
    {% set of_leads = {'relation': 'leads', 'clock': 'created_at', 'additivity': 'additive'} %}
    {% set of_activities = {'relation': 'activities', 'clock': 'occurred_at', 'additivity': 'additive'} %}
    {% set of_open = {'relation': 'open_changes', 'clock': 'period_end', 'additivity': 'snapshot'} %}
    {% set of_purchases = {'relation': 'purchases', 'clock': 'won_at', 'additivity': 'distinct'} %}
    {{ return([
        dict(of_events, name='won_deals', sql='sign * share', filter="event_type = 'won'"),
        dict(of_events, name='won_deals_with_amount', sql='sign * share',
            filter="event_type = 'won' and amount is not null"),
        dict(of_events, name='won_amount', sql='sign * amount', filter="event_type = 'won'",
            sample='won_deals', known='won_deals_with_amount'),
        dict(of_events, name='lost_deals', sql='sign * share', filter="event_type = 'lost'"),
        dict(of_events, name='lost_deals_without_amount', sql='sign * share',
            filter="event_type = 'lost' and coalesce(amount, 0) = 0"),
        dict(of_events, name='lost_amount', sql='sign * amount', filter="event_type = 'lost'",
            sample='lost_deals', unknown='lost_deals_without_amount'),
        dict(of_events, name='created_deals', sql='sign * share', filter="event_type = 'created'"),
        dict(of_events, name='created_deals_with_amount', sql='sign * share',
            filter="event_type = 'created' and amount is not null"),
        dict(of_events, name='created_amount', sql='sign * amount', filter="event_type = 'created'",
            sample='created_deals', known='created_deals_with_amount'),
        dict(of_events, name='created_deals_won_within_90_days', sql='sign * share', maturity_days=90,
            filter="event_type = 'created' and days_to_win <= 90"),
        dict(of_events, name='won_deals_with_cycle', sql='sign * share', filter="event_type = 'won' and cycle_days is not null"),
        dict(of_events, name='won_cycle_days', sql='sign * share * cycle_days',
            filter="event_type = 'won' and cycle_days is not null", sample='won_deals_with_cycle'),
        dict(of_events, name='slipped_deals', sql='sign * share', filter='has_slipped'),
        dict(of_events, name='slipped_deals_with_amount', sql='sign * share', filter='has_slipped and amount is not null'),
        dict(of_events, name='slipped_amount', sql='sign * amount', filter='has_slipped',
            sample='slipped_deals', known='slipped_deals_with_amount'),
        dict(of_events, name='repeat_deals', sql='sign * share', filter="event_type = 'won' and purchase_number > 1"),
        dict(of_events, name='repeat_deals_with_amount', sql='sign * share',
            filter="event_type = 'won' and purchase_number > 1 and amount is not null"),
        dict(of_events, name='returning_amount', sql='sign * amount', filter="event_type = 'won' and purchase_number > 1",
            sample='repeat_deals', known='repeat_deals_with_amount'),
        dict(of_events, name='new_customers', sql='sign * share', filter="event_type = 'won' and purchase_number = 1"),

        dict(of_events, name='reopened_deals', sql='sign * share', filter="event_type = 'reopened'"),
        dict(of_events, name='new_customers_with_amount', sql='sign * share',
            filter="event_type = 'won' and purchase_number = 1 and amount is not null"),
        dict(of_events, name='new_customer_amount', sql='sign * amount', filter="event_type = 'won' and purchase_number = 1",
            sample='new_customers', known='new_customers_with_amount'),

        dict(of_leads, name='leads_created', sql='1'),
        dict(of_leads, name='leads_converted', sql='1', filter='is_converted'),
        dict(of_leads, name='leads_responded', sql='1', filter='first_response_hours is not null'),
        dict(of_leads, name='lead_response_hours', sql='first_response_hours',
            filter='first_response_hours is not null', sample='leads_responded'),

        dict(of_activities, name='activities', sql='1'),
        dict(of_activities, name='calls', sql='1', filter="activity_type = 'call'"),
        dict(of_activities, name='meetings', sql='1', filter="activity_type = 'meeting'"),
        dict(of_activities, name='emails', sql='1', filter="activity_type = 'email'"),

        dict(of_open, name='open_deals', sql='sign * share'),
        dict(of_open, name='open_deals_with_amount', sql='sign * share', filter='amount is not null'),
        dict(of_open, name='open_amount', sql='sign * amount', sample='open_deals', known='open_deals_with_amount'),
        dict(of_open, name='open_deals_with_weight', sql='sign * share', filter='weighted_amount is not null'),
        dict(of_open, name='weighted_open_amount', sql='sign * weighted_amount', sample='open_deals',
            known='open_deals_with_weight'),
        dict(of_open, name='open_fields_filled', sql='sign * share * fields_filled', sample='open_deals'),
        dict(of_open, relation='stale_changes', name='stale_open_deals', sql='sign * share'),
        dict(of_open, name='open_deals_with_known_steps', sql='sign * share', filter='tells_next_steps'),
        dict(of_open, relation='next_step_changes', name='open_deals_with_next_step', sql='sign * share'),

        dict(of_purchases, name='active_customers', sql='account_id'),
        dict(of_purchases, name='repeat_customers', sql='account_id',
            filter='purchase_number > 1'),
        dict(of_purchases, name='regular_customers', sql='account_id',
            filter='is_regular'),
        dict(relation='lapses', clock='lapsed_on', additivity='distinct', name='lost_customers', sql='account_id'),
        dict(relation='prospects', clock='period_end', additivity='distinct', name='potential_customers', sql='account_id'),

        dict(relation='targets', clock='period', additivity='target', name='planned_amount', sql='target_amount',
            filter="kpi_code = 'won_amount'"),

        dict(relation='cycles', clock='occurred_at', additivity='distribution', name='won_cycle_days_median',
            sql='median(cycle_days)', sample='won_deals_with_cycle'),
    ]) }}
{%- endmacro %}

{#- The measures of one kind, or that read one relation. -#}
{% macro measures_where(key, value) -%}
    {{ return(measures() | selectattr(key, 'equalto', value) | list) }}
{%- endmacro %}

{% macro measure_type(measure) -%}
    {%- if measure.additivity == 'distribution' -%}
        decimal(18, 2)
    {%- elif measure.additivity == 'target' -%}
        decimal(28, 8)
    {%- elif 'amount' in measure.sql -%}
        decimal(38, 2)
    {%- else -%}
        decimal(38, 6)
    {%- endif -%}
{%- endmacro %}

{#- Counts are whole but where a deal is shared. -#}
{% macro is_count(measure) -%}
    {{ return(measure_type(measure) | trim == 'decimal(38, 6)') }}
{%- endmacro %}

{#- What a sum is once it is known what it is over: 0 over nothing, null where something has no known value. -#}
{% macro as_known(measure) -%}
    cast(
        {% if not measure.sample or measure.additivity == 'distribution' -%}
            {{ measure.name }}
        {%- elif measure.unknown -%}
            case when {{ measure.unknown }} = 0 then coalesce({{ measure.name }}, 0) end
        {%- elif measure.known -%}
            case
                when {{ measure.sample }} = 0 or {{ measure.known }} <> 0 or {{ measure.name }} <> 0
                    then coalesce({{ measure.name }}, 0)
            end
        {%- else -%}
            case when {{ measure.sample }} = 0 then coalesce({{ measure.name }}, 0) else {{ measure.name }} end
        {%- endif %} as {{ measure_type(measure) }}
    )
{%- endmacro %}

{#- Every measure of the main cut, in which counts are whole, as formulas take them. -#}
{% macro whole_measures(relation) -%}
    {%- for measure in measures() %}
    {% if is_count(measure) and measure.sql != 'first_response_hours' -%}
        cast({{ relation }}.{{ measure.name }} as bigint) as {{ measure.name }}
    {%- else -%}
        {{ relation }}.{{ measure.name }}
    {%- endif %}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
