{#-
    The company's calendar (setting `calendar`).

    months                  months are months; quarters and years go from the month `fiscal_year_start` on; weeks are ISO's.
    4-4-5, 4-5-4, 5-4-4     years of whole weeks, four quarters of 13; the names say how many weeks each month of a quarter
                            has. The 53rd week, which a year has every five or six years, belongs to its last month.

    A year of weeks begins on a `week_starts_on`: the one nearest to the 1st of the month `fiscal_year_start` (nearest: as
    ISO 8601 and the US National Retail Federation do), or that of the week which the 1st lies in (containing: such a year
    ends with the last week that ends in the month before). 26 CFR 1.441-2 knows these two, and no other.
-#}
{% macro has_fiscal_weeks() -%}
    {{ return(company().calendar in ('4-4-5', '4-5-4', '5-4-4')) }}
{%- endmacro %}

{% macro grains() -%}
    {{ return(['day', 'week', 'month', 'quarter', 'year']) }}
{%- endmacro %}

{#- The weekdays in their order, as settings name them. -#}
{% macro weekdays() -%}
    {{ return(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']) }}
{%- endmacro %}

{#-
    CTEs, to stand after `days` (day). Give `calendar`: day and, of the week, month, quarter and year that it lies in, the
    first day and the name: 2026-W41, 2026-10, 2026-Q3, 2026. A year that is not the calendar's is FY2026, its quarters
    FY2026-Q3; where it is made of weeks, its months are FY2026-P10 and its weeks FY2026-W41.
-#}
{% macro calendar_of_days() -%}
    {{ fiscal_weeks() if has_fiscal_weeks() else fiscal_months() }}
{%- endmacro %}

{% macro fiscal_months() -%}
{%- set shift = company().fiscal_year_start - 1 -%}
begun as (

    select
        day,
        cast(date_trunc('week', day) as date) as week_start,
        cast(date_trunc('month', day) as date) as month_start,
        cast(date_trunc('quarter', day - interval {{ shift }} month) + interval {{ shift }} month as date) as quarter_start,
        {{ fiscal_year_month('day') }} as year_start
    from days

),

calendar as (

    select
        day,
        week_start,
        -- an ISO week is of the year that its Thursday lies in
        {{ padded('extract(year from week_start + 3)', 4) }} || '-W'
        || {{ padded('floor((extract(doy from week_start + 3) - 1) / 7) + 1', 2) }} as week_name,
        month_start,
        {{ padded('extract(year from day)', 4) }} || '-' || {{ padded('extract(month from day)', 2) }} as month_name,
        quarter_start,
        {{ fiscal_year_name('year_start') }} || '-Q'
        || {{ padded('floor((extract(month from day) + ' ~ (11 - shift) ~ ') % 12 / 3) + 1', 1) }} as quarter_name,
        year_start,
        {{ fiscal_year_name('year_start') }} as year_name
    from begun

)
{%- endmacro %}

{% macro fiscal_weeks() -%}
{%- set weeks = company().calendar.split('-') | map('int') | list -%}
{%- set until_second, until_third = weeks[0], weeks[0] + weeks[1] -%}
-- The month of the latest year that may have begun: one begins up to six days before its 1st.
anchored as (

    select
        day,
        {{ fiscal_year_month('day + 6') }} as anchor,
        {{ fiscal_year_month('day + 6', years_before=1) }} as anchor_before
    from days

),

begun as (

    select
        day,
        case when {{ first_week('anchor') }} <= day then anchor else anchor_before end as anchor
    from anchored

),

numbered as (

    select
        day,
        {{ first_week('anchor') }} as year_start,
        {{ fiscal_year_name('anchor') }} as year_name,
        cast(floor((day - {{ first_week('anchor') }}) / 7) as integer) as weeks_before
    from begun

),

-- The weeks of the year before the quarter, and of the quarter before the week; the last quarter may have 14.
divided as (

    select
        *,
        least(weeks_before - weeks_before % 13, 39) as weeks_before_quarter,
        weeks_before - least(weeks_before - weeks_before % 13, 39) as weeks_within_quarter
    from numbered

),

grouped as (

    select
        *,
        cast(weeks_before_quarter / 13 as integer) as quarters_before,
        case
            when weeks_within_quarter < {{ until_second }} then 0
            when weeks_within_quarter < {{ until_third }} then 1
            else 2
        end as months_within_quarter
    from divided

),

calendar as (

    select
        day,
        year_start + weeks_before * 7 as week_start,
        year_name || '-W' || {{ padded("weeks_before + 1", 2) }} as week_name,
        year_start + 7 * (
            weeks_before_quarter
            + case months_within_quarter when 0 then 0 when 1 then {{ until_second }} else {{ until_third }} end
        ) as month_start,
        year_name || '-P' || {{ padded("quarters_before * 3 + months_within_quarter + 1", 2) }} as month_name,
        year_start + weeks_before_quarter * 7 as quarter_start,
        year_name || '-Q' || cast(quarters_before + 1 as varchar) as quarter_name,
        year_start,
        year_name
    from grouped

)
{%- endmacro %}

{#- The 1st of the month that the fiscal year of a date begins with, where years are made of months. -#}
{% macro fiscal_year_month(day, years_before=0) -%}
    {%- set shift = company().fiscal_year_start - 1 -%}
    cast(
        date_trunc('year', {{ day }} - interval {{ shift }} month) + interval {{ shift }} month
        - interval {{ years_before }} year as date
    )
{%- endmacro %}

{#- The first day of a year of weeks, from the 1st of the month that it begins with. -#}
{% macro first_week(anchor) -%}
    {%- set weekday = weekdays().index(company().week_starts_on) -%}
    {%- set latest = 3 if company().fiscal_year_first_week == 'nearest' else 0 -%}
    (cast(date_trunc('week', {{ anchor }} + ({{ latest - weekday }})) as date) + {{ weekday }})
{%- endmacro %}

{#- The name of the year whose first month begins on a day. -#}
{% macro fiscal_year_name(first_of_month) -%}
    {%- set first_month = company().fiscal_year_start -%}
    {%- set ends_later = 1 if company().fiscal_year_named_after == 'end' and first_month > 1 else 0 -%}
    {{ "'FY' || " if first_month > 1 or has_fiscal_weeks() }}{{ padded('extract(year from ' ~ first_of_month ~ ') + ' ~ ends_later, 4) }}
{%- endmacro %}

{#- A number as text of so many digits. -#}
{% macro padded(number, digits) -%}
    lpad(cast(cast({{ number }} as integer) as varchar), {{ digits }}, '0')
{%- endmacro %}

{#- A local time of a business day, "09:30:00", as a moment; one that the clock change leaves out is read by the offset before it. -#}
{% macro time_of_day(day, time, hours_later=0) -%}
    {%- set hours, minutes = time.split(':')[0] | int, time.split(':')[1] | int -%}
    timezone(
        '{{ company().time_zone }}', cast({{ day }} as timestamp) + interval {{ (hours + hours_later) * 60 + minutes }} minute
    )
{%- endmacro %}

{#- The working time from the first row of dim_day to a moment, in seconds; `day`: the row of the day that it lies in. -#}
{% macro working_seconds(day, moment) -%}
    {{ day }}.working_seconds_before + case
        when {{ day }}.is_working_day
            then {{ dbt.datediff(day ~ '.opens_at', 'least(greatest(' ~ moment ~ ', ' ~ day ~ '.opens_at), ' ~ day ~ '.closes_at)', 'second') }}
        else 0
    end
{%- endmacro %}
