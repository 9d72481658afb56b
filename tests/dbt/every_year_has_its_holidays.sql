{{ config(severity='warn') }}
{%- set calendar = company().holidays or '' %}

with

days as (

    select * from {{ ref('dim_day') }}

),

holidays as (

    select * from {{ ref('holiday') }}
    where calendar = '{{ calendar }}'

),

told as (

    select extract(year from cast(day as date)) as year
    from holidays
    group by extract(year from cast(day as date))

),

covered as (

    select extract(year from day) as year
    from days
    where is_covered
    group by extract(year from day)

)

select '{{ calendar }}: ' || cast(covered.year as varchar) as problem
from covered
left join told
    on covered.year = told.year
-- a company without a calendar has no holidays in any year
where told.year is null and exists (select * from holidays)
order by problem
