"""The floor for speed: the published kpi_value of the example export, in plain DuckDB SQL on two threads.

    python benchmarks/floor.py FOLDER OUT.duckdb [AS_OF]

What a good SQL author would write for this one export if nothing else were asked for: no versions, no history, no
gate, no other table, definitions and stages written into the query. Everything the pipeline takes beyond this is the
price of what it does more.
"""

import sys
from datetime import date
from pathlib import Path

import duckdb

THREADS = 2

READ = """
create temp table deal as
select
    'files:' || opportunity_id as deal_id,
    'files:' || sales_agent as manager_id,
    account,
    engage_date as created_on,
    close_date as closed_on,
    close_value as amount,
    -- What is closed on the first day not counted or later is still open.
    deal_stage = 'Won' and close_date < getvariable('as_of') as is_won,
    deal_stage = 'Lost' and close_date < getvariable('as_of') as is_lost
from read_csv(getvariable('folder') || '/sales_pipeline.csv', header = true, columns = {
    'opportunity_id': 'varchar', 'sales_agent': 'varchar', 'product': 'varchar', 'account': 'varchar',
    'deal_stage': 'varchar', 'engage_date': 'date', 'close_date': 'date', 'close_value': 'decimal(18, 2)'
});

create temp table team as
select 'files:' || sales_agent as manager_id, sales_agent, manager as head, regional_office as region
from read_csv(getvariable('folder') || '/sales_teams.csv', header = true, all_varchar = true);

create temp table entity as
select row_number() over () as entity_id, *
from (
    select 'company' as entity_level, 'company' as entity_key,
        null::varchar as department_id, null::varchar as manager_id, 'Company' as entity_name
    union all
    select 'department', 'files:' || name, 'files:' || name, null, name
    from (select distinct unnest([head, region]) as name from team)
    union all
    select 'manager', manager_id, null, manager_id, sales_agent from team
    union all
    select 'manager_in_department', manager_id || '|files:' || head, 'files:' || head, manager_id,
        sales_agent || ', ' || head
    from team
);

-- Manager → each entity that the manager's deals count for.
create temp table bridge as
select team.manager_id, entity.entity_id
from team
inner join entity
    on entity.manager_id = team.manager_id
    or (entity.manager_id is null and entity.department_id in ('files:' || team.head, 'files:' || team.region))
    or entity.entity_level = 'company';
"""

PERIODS = """
create temp table period as
with

days as (

    select
        least(min(created_on), min(closed_on)) as first_on,
        getvariable('as_of') - 1 as last_on
    from deal

),

starts as (

    select 'day' as period_grain, unnest(generate_series(first_on, last_on, interval 1 day)) as period_start,
        interval 1 day as length
    from days
    union all
    select 'week', unnest(generate_series(date_trunc('week', first_on), last_on, interval 7 day)), interval 7 day
    from days
    union all
    select 'month', unnest(generate_series(date_trunc('month', first_on), last_on, interval 1 month)), interval 1 month
    from days
    union all
    select 'quarter', unnest(generate_series(date_trunc('quarter', first_on), last_on, interval 3 month)),
        interval 3 month from days
    union all
    select 'year', unnest(generate_series(date_trunc('year', first_on), last_on, interval 1 year)), interval 1 year
    from days

)

select
    row_number() over () as period_id,
    period_grain,
    period_start::date as period_start,
    (period_start + length)::date - 1 as period_end,
    -- Where the period goes on, a snapshot shows the end of the last day counted.
    least(period_end, getvariable('as_of') - 1) as moment,
    period_end < getvariable('as_of') as is_complete
from starts;

create temp table day_period as
select period_id, unnest(generate_series(period_start, moment, interval 1 day))::date as happened_on
from period;
"""

MEASURES = """
create temp table purchase as
select
    deal_id,
    row_number() over one_by_one as number,
    lag(closed_on, 2) over one_by_one > closed_on - 365 as is_regular,
    lead(closed_on) over one_by_one as next_on
from deal
where is_won and account is not null
window one_by_one as (partition by account order by closed_on, deal_id);

create temp table created_cell as
select
    period_id,
    entity_id,
    count(*) as created_deals,
    sum(amount) as created_amount,
    count_if(is_won and closed_on - created_on <= 90) as won_within_90d
from deal
inner join day_period on deal.created_on = day_period.happened_on
inner join bridge using (manager_id)
group by all;

create temp table closed_cell as
select
    period_id,
    entity_id,
    count(*) as closed_deals,
    count_if(is_won) as won_deals,
    count_if(is_lost) as lost_deals,
    sum(amount) filter (where is_won) as won_amount,
    case when count_if(is_lost and coalesce(amount, 0) = 0) = 0
        then coalesce(sum(amount) filter (where is_lost), 0) end as lost_amount,
    sum(closed_on - created_on) filter (where is_won) as cycle_days,
    median(closed_on - created_on) filter (where is_won) as cycle_days_median,
    count(created_on) filter (where is_won) as deals_with_cycle,
    count_if(number = 1) as new_customers,
    count_if(number >= 2) as repeat_deals,
    sum(amount) filter (where number >= 2) as returning_amount,
    count(distinct account) filter (where number >= 1) as active_customers,
    count(distinct account) filter (where number >= 2) as repeat_customers,
    count(distinct account) filter (where is_regular) as regular_customers
from deal
inner join day_period on deal.closed_on = day_period.happened_on
inner join bridge using (manager_id)
left join purchase using (deal_id)
group by all;

create temp table lapsed_cell as
select period_id, entity_id, count(distinct account) as lost_customers
from purchase
inner join deal using (deal_id)
inner join day_period on deal.closed_on + 365 = day_period.happened_on
inner join bridge using (manager_id)
where next_on is null or next_on > closed_on + 365
group by all;

create temp table open_cell as
with

first_purchase as (

    select account, closed_on as bought_on
    from purchase
    inner join deal using (deal_id)
    where number = 1

)

select
    period_id,
    entity_id,
    count(*) as open_deals,
    sum(amount) as open_amount,
    count_if(moment - created_on > 30) as stale_deals,
    count(account) + count(amount) as filled_columns,
    count(distinct account) filter (where bought_on is null or bought_on > moment) as potential_customers
from period
inner join deal
    on (deal.created_on is null or deal.created_on <= period.moment)
    and (deal.closed_on is null or deal.closed_on > period.moment)
inner join bridge using (manager_id)
left join first_purchase using (account)
where period_grain <> 'day'
group by all;

create temp table measure as
with

cell as (

    select period_id, entity_id from created_cell
    union
    select period_id, entity_id from closed_cell
    union
    select period_id, entity_id from lapsed_cell
    union
    select period_id, entity_id from open_cell
    union
    select period_id, entity_id from period cross join entity where period_grain not in ('day', 'week')

)

select
    period_id,
    entity_id,
    coalesce(created_deals, 0) as created_deals,
    coalesce(won_within_90d, 0) as won_within_90d,
    coalesce(closed_deals, 0) as closed_deals,
    coalesce(won_deals, 0) as won_deals,
    coalesce(lost_deals, 0) as lost_deals,
    coalesce(cycle_days, 0) as cycle_days,
    coalesce(deals_with_cycle, 0) as deals_with_cycle,
    cycle_days_median,
    coalesce(new_customers, 0) as new_customers,
    coalesce(repeat_deals, 0) as repeat_deals,
    coalesce(active_customers, 0) as active_customers,
    coalesce(repeat_customers, 0) as repeat_customers,
    coalesce(regular_customers, 0) as regular_customers,
    coalesce(lost_customers, 0) as lost_customers,
    coalesce(open_deals, 0) as open_deals,
    coalesce(stale_deals, 0) as stale_deals,
    coalesce(filled_columns, 0) as filled_columns,
    coalesce(potential_customers, 0) as potential_customers,
    -- An amount is 0 where nothing happened, and unknown where something did and no amount is known.
    if(created_cell.period_id is null, 0, created_amount) as created_amount,
    if(coalesce(won_deals, 0) = 0, 0, won_amount) as won_amount,
    if(closed_cell.period_id is null, 0, lost_amount) as lost_amount,
    if(coalesce(repeat_deals, 0) = 0, 0, returning_amount) as returning_amount,
    if(open_cell.period_id is null, 0, open_amount) as open_amount,
    -- No open stage has a probability.
    if(open_cell.period_id is null, 0, null) as weighted_open_amount
from cell
left join created_cell using (period_id, entity_id)
left join closed_cell using (period_id, entity_id)
left join lapsed_cell using (period_id, entity_id)
left join open_cell using (period_id, entity_id);
"""

# code, unit, does it exist by day, value or numerator, denominator, sample. The export has no leads and no expected
# close dates.
KPIS = (
    ("won_amount", "USD", True, "won_amount", "", "won_deals"),
    ("won_deals", "count", True, "won_deals", "", "won_deals"),
    ("lost_deals", "count", True, "lost_deals", "", "lost_deals"),
    ("closed_deals", "count", True, "closed_deals", "", "closed_deals"),
    ("avg_won_amount", "USD", True, "won_amount", "won_deals", "won_deals"),
    ("created_deals", "count", True, "created_deals", "", "created_deals"),
    ("created_amount", "USD", True, "created_amount", "", "created_deals"),
    ("win_rate", "ratio", True, "won_deals", "closed_deals", "closed_deals"),
    ("win_rate_value", "ratio", False, "won_amount", "won_amount + lost_amount", "closed_deals"),
    ("win_rate_cohort_90d", "ratio", False, "won_within_90d", "created_deals", "created_deals"),
    ("leads_created", "count", True, "0", "", "0"),
    ("lead_conversion", "ratio", False, "0", "0", "0"),
    ("sales_cycle_days", "days", False, "cycle_days", "deals_with_cycle", "deals_with_cycle"),
    ("sales_cycle_days_median", "days", False, "cycle_days_median", "", "deals_with_cycle"),
    (
        "sales_velocity",
        "USD_per_day",
        False,
        "open_deals * won_amount * won_deals",
        "closed_deals * cycle_days",
        "closed_deals",
    ),
    ("open_deals", "count", False, "open_deals", "", "open_deals"),
    ("open_amount", "USD", False, "open_amount", "", "open_deals"),
    ("weighted_open_amount", "USD", False, "weighted_open_amount", "", "open_deals"),
    ("stale_open_share", "ratio", False, "stale_deals", "open_deals", "open_deals"),
    ("slipped_amount", "USD", True, "0", "", "0"),
    ("data_completeness", "ratio", False, "filled_columns", "3 * open_deals", "open_deals"),
    ("new_customers", "count", True, "new_customers", "", "new_customers"),
    ("repeat_deals", "count", True, "repeat_deals", "", "repeat_deals"),
    ("active_customers", "count", False, "active_customers", "", "active_customers"),
    ("repeat_customers", "count", False, "repeat_customers", "", "repeat_customers"),
    ("regular_customers", "count", False, "regular_customers", "", "regular_customers"),
    ("potential_customers", "count", False, "potential_customers", "", "potential_customers"),
    ("lost_customers", "count", False, "lost_customers", "", "lost_customers"),
    ("repeat_rate", "ratio", False, "repeat_customers", "active_customers", "active_customers"),
    ("returning_amount_share", "ratio", False, "returning_amount", "won_amount", "won_deals"),
)


def publish() -> str:
    """The statement that evaluates every formula in every cell, and keeps the rows that the contract asks for."""
    evaluated = "\n    union all\n".join(evaluate(code, *formula) for code, _, _, *formula in KPIS)
    units = ", ".join(f"('{code}', '{unit}', {is_by_day})" for code, unit, is_by_day, *_ in KPIS)
    return f"""
create table kpi_value as
with

evaluated as (

{evaluated}

)

select
    kpi_code,
    period_grain,
    period_start,
    period_end,
    -- A cohort has had its 90 days only that much later.
    period_end + if(kpi_code = 'win_rate_cohort_90d', 90, 0) < getvariable('as_of') as is_complete,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    numerator,
    denominator,
    value,
    unit,
    sample_size
from evaluated
inner join (values {units}) as kpi (kpi_code, unit, is_by_day) using (kpi_code)
inner join period using (period_id)
inner join entity using (entity_id)
where
    (is_by_day or period_grain <> 'day')
    and (period_grain not in ('day', 'week') or sample_size > 0 or value <> 0);
"""


def evaluate(code: str, over: str, under: str, sample: str) -> str:
    value = f"if({under} > 0, {over} / ({under}), null)" if under else over
    numerator, denominator = (over, under) if under else ("null", "null")
    return (
        f"    select '{code}' as kpi_code, period_id, entity_id, ({numerator})::decimal(38, 6) as numerator, "
        f"({denominator})::decimal(38, 6) as denominator, ({value})::decimal(28, 8) as value, "
        f"({sample})::bigint as sample_size from measure"
    )


def compute(folder: Path, out: Path, as_of: date) -> None:
    """Write the table kpi_value of the export in `folder`, as of the day `as_of` begins, into the new file `out`."""
    with duckdb.connect(str(out), config={"threads": THREADS}) as connection:
        connection.execute("set variable folder = ?", [str(folder)])
        connection.execute("set variable as_of = ?::date", [as_of])
        for statements in (READ, PERIODS, MEASURES, publish()):
            connection.execute(statements)


if __name__ == "__main__":
    source, target, *moment = sys.argv[1:]
    compute(Path(source), Path(target), date.fromisoformat(moment[0]) if moment else date(2018, 1, 1))
