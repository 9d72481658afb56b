"""What it costs to find out what moved: the tables of the layer `insight`, over figures that are there.

    python -m benchmarks.insight [--managers N] [--months N] [--home FOLDER]

A warehouse is filled with the figures of a company (200 managers in 20 departments, every KPI of the catalogue, 60
months): each KPI of each entity at each grain, with a season, noise and here and there a trend. Nothing of it is
counted from deals, so that only what reads figures is measured. dbt makes the models of the layer, then the statistics
are computed, each by the clock and by the processor; the memory is the most that this process ever had.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.incremental import home_in
from benchmarks.publishing import cpu_seconds
from benchmarks.run import machine
from kpimart.insight.statistics.steps import STEPS
from kpimart.paths import DBT_PROJECT, SEEDS
from kpimart.warehouse import WAREHOUSE_FILE, open_database, transaction

MODELS = ("kpi_trend_level", "seasonal_index")
DEPARTMENTS = 20

CALENDAR = """
create schema core; create schema kpi; create schema seeds; create schema insight;

create table seeds.kpi_catalogue as from read_csv('{catalogue}', all_varchar = true);

create table core.dim_day as
select
    day::date as day, date_trunc('week', day)::date as week_start, date_trunc('month', day)::date as month_start,
    date_trunc('quarter', day)::date as quarter_start, date_trunc('year', day)::date as year_start,
    day >= date '{first}' and day <= date '{last}' as is_covered, isodow(day) < 6 as is_working_day
from generate_series(
    date_trunc('year', date '{first}') - interval 7 day, date '{last}' + interval 378 day, interval 1 day
) as days (day);

create table core.dim_period as
select
    period_grain, date_trunc(period_grain, day)::date as period_start, max(day)::date as period_end,
    max(day) <= date '{last}' as is_complete, count(*) filter (where is_working_day)::integer as working_days,
    count(*) filter (where is_working_day and day <= date '{last}')::integer as working_days_elapsed
from core.dim_day, (values ('day'), ('week'), ('month'), ('quarter'), ('year')) as grains (period_grain)
group by all having bool_or(is_covered);

create table core.dim_entity as
select
    row_number() over ()::integer as entity_id, entity_level, entity_key, entity_key as entity_name,
    case entity_level when 'department' then entity_key end as department_id,
    case entity_level when 'manager' then entity_key end as manager_id
from (
    select 'company' as entity_level, 'company' as entity_key
    union all select 'department', 'd' || i from range({departments}) as rows (i)
    union all select 'manager', 'm' || i from range({managers}) as rows (i)
);

create table core.entity_working_days as
select entity_id, entity_level, entity_key, period_grain, period_start, working_days, working_days as days_there
from core.dim_entity, core.dim_period where period_grain <> 'day';
"""
# At day and week only rows where something is: of a manager one day in three, of a department most.
FIGURES = """
create table kpi.kpi_value as
select
    kpi_code, period_grain, period_start, period_end, is_complete, entity_level, entity_key, department_id, manager_id,
    entity_name,
    case when formula like '%/%' then amount::decimal(38, 6) end as numerator,
    case when formula like '%/%' then 100::decimal(38, 6) end as denominator,
    (case when formula like '%/%' then amount / 100 else amount end)::decimal(28, 8) as value,
    replace(unit, 'currency', 'EUR') as unit, 10::bigint as sample_size
from (
    select
        *,
        round(
            working_days * (100 + 20 * sin(month(period_start) * pi() / 6) + 30 * random())
            * (1 + (entity_id % 10 = 0)::integer * (year(period_start) - 2020) * 0.1), 2
        ) as amount
    from core.dim_period, core.dim_entity, seeds.kpi_catalogue
    where
        list_position(['day', 'week', 'month', 'quarter', 'year'], period_grain)
        >= list_position(['day', 'week', 'month', 'quarter', 'year'], finest_grain)
        and period_start <= date '{last}'
        and (
            period_grain not in ('day', 'week')
            or random() < case entity_level when 'manager' then 0.3 else 0.9 end
        )
)
order by kpi_code, period_grain, period_start, entity_id
"""


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        database = folder / WAREHOUSE_FILE
        fill(database, options.managers, options.months)
        seconds, models = timed_models(folder, database)
        print(f"models: {seconds:.1f} s of CPU with dbt's own start; by the clock {models}", flush=True)
        for table, (wall, cpu) in timed_steps(database).items():
            print(f"{table}: {wall:.1f} s ({cpu:.1f} s of CPU)", flush=True)
        print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:,.0f} MiB")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--managers", type=int, default=200, help="how many managers (200)")
    parser.add_argument("--months", type=int, default=60, help="how many months (60)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


def fill(database: Path, managers: int, months: int) -> None:
    """Write the figures; DuckDB is told to spare memory, for that of the statistics is to be seen."""
    first = f"{2026 - months // 12}-01-01"
    with open_database(database, read_only=False) as connection:
        connection.execute("set memory_limit = '600MB'; set preserve_insertion_order = false; select setseed(0.5)")
        calendar = CALENDAR.format(
            catalogue=SEEDS / "kpi_catalogue.csv",
            first=first,
            last="2026-01-14",
            departments=DEPARTMENTS,
            managers=managers,
        )
        connection.execute(calendar)
        connection.execute(FIGURES.format(last="2026-01-14"))
        counts = connection.execute("select count(*), count(distinct kpi_code) from kpi.kpi_value").fetchall()
        print(f"{managers} managers, {counts[0][1]} KPIs, {months} months: {counts[0][0]:,} figures", flush=True)


def timed_models(folder: Path, database: Path) -> tuple[float, str]:
    """Seconds of CPU that dbt took to make the models, and what it says of each."""
    before = cpu_seconds()
    subprocess.run(
        [
            *(Path(sys.executable).with_name("dbt"), "run", "--quiet", "--select", *MODELS),
            *("--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT),
            *("--vars", json.dumps({"crms": ["files"]})),
            *("--target-path", folder / "target", "--log-path", folder),
        ],
        env={**os.environ, "DBT_KPIMART_DATABASE": str(database)},
        cwd=folder,
        check=True,
    )
    results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    told = ", ".join(f"{each['unique_id'].split('.')[-1]} {each['execution_time']:.1f} s" for each in results)
    return cpu_seconds() - before, told


def timed_steps(database: Path) -> dict[str, tuple[float, float]]:
    """Table of statistics → seconds by the clock, and of CPU."""
    taken = {}
    with open_database(database, read_only=False) as connection:
        for table, write in STEPS.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            with transaction(connection):
                write(connection)
            taken[table] = time.perf_counter() - wall, cpu_seconds() - cpu
    return taken


if __name__ == "__main__":
    main()
