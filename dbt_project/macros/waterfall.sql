{#-
    What moves a pipeline between two evenings, in the order in which a waterfall is read: a bucket and its sign in the
    identity opening + Σ sign × bucket = closing. A changed amount moves no deal.
-#}
{% macro waterfall_buckets() -%}
    {{ return({
        'created': 1, 'transferred_in': 1, 'pulled_in': 1, 'increased': 1, 'reopened': 1,
        'won': -1, 'lost': -1, 'pushed_out': -1, 'decreased': -1, 'transferred_out': -1, 'deleted': -1,
    }) }}
{%- endmacro %}

{#- Buckets that move amounts only. -#}
{% macro buckets_of_amounts() -%}
    {{ return(['increased', 'decreased']) }}
{%- endmacro %}

{#- What came and went between the two evenings moves neither, and is told beside them. -#}
{% macro buckets_within() -%}
    {{ return(['won_within', 'lost_within']) }}
{%- endmacro %}

{#- A sum of amounts: 0 over no deals, null where there are some and the amount of none is known. -#}
{% macro known_amount(deals, deals_with_amount, amount) -%}
    case
        when {{ deals }} = 0 then cast(0 as decimal(28, 2))
        when {{ deals_with_amount }} > 0 then cast({{ amount }} as decimal(28, 2))
    end
{%- endmacro %}

{#- Whether a deal is in a pipeline: any that is open, or the one that is expected to close by `due_by`. -#}
{% macro is_in_pipeline(expected_close_on, due_by) -%}
    ({{ due_by }} is null or coalesce({{ expected_close_on }} <= {{ due_by }}, false))
{%- endmacro %}

{#- By days only the company is told of, so who has a deal makes no difference: 0 stands for all seats. -#}
{% macro seat_of(seat_id, periods='periods') -%}
    case when {{ periods }}.period_grain = 'day' and {{ seat_id }} is not null then 0 else {{ seat_id }} end
{%- endmacro %}
