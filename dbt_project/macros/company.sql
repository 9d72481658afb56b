{#-
    What the company decided (time zone, currency, definitions, file mapping), as raw keeps it: a dictionary.
    Unit tests override this macro; while dbt parses there is no warehouse yet, and the parts it needs are empty.
-#}
{% macro company() -%}
    {%- set decided = namespace(payload='{}') -%}
    {%- if execute and adapter.get_relation(target.database, 'raw', 'kpimart__setting') -%}
        {%- set rows = run_query(
            "select payload from raw.kpimart__setting where id = 'company' order by landed_at desc limit 1"
        ) -%}
        {%- for row in rows -%}{%- set decided.payload = row[0] -%}{%- endfor -%}
    {%- endif -%}
    {%- set company = {
        'time_zone': 'UTC',
        'base_currency': 'USD',
        'profile': 'growth',
        'calendar': 'months',
        'fiscal_year_start': 1,
        'fiscal_year_first_week': 'nearest',
        'fiscal_year_named_after': 'start',
        'week_starts_on': 'monday',
        'working_days': ['monday', 'tuesday', 'wednesday', 'thursday', 'friday'],
        'working_hours': {'start': '09:00:00', 'end': '18:00:00'},
        'holidays': none,
        'thresholds': {'max_rate_age_days': 31},
        'definitions': {
            'regular_window_days': 365, 'regular_min_purchases': 3, 'lost_after_days': 365, 'stale_after_days': 30,
            'idle_after_days': 90, 'min_leaderboard_sample': 3, 'min_comparison_sample': 10
        },
    } -%}
    {#- What is younger than the recorded decisions is at its default. -#}
    {%- for name, value in fromjson(decided.payload).items() -%}
        {%- do company.update({name: dict(company[name], **value) if value is mapping and name in company else value}) -%}
    {%- endfor -%}
    {{ return(company) }}
{%- endmacro %}

{#- The business date of a moment: the day it is in the company's time zone. -#}
{% macro business_date(moment) -%}
    cast(timezone('{{ company().time_zone }}', {{ moment }}) as date)
{%- endmacro %}

{#- The moment at which a business date begins. -#}
{% macro start_of_day(day) -%}
    timezone('{{ company().time_zone }}', cast({{ day }} as timestamp))
{%- endmacro %}

{#- A moment before every other: the start of what has no known start. -#}
{% macro always() -%}
    timestamptz '0001-01-03 00:00:00+00'
{%- endmacro %}
