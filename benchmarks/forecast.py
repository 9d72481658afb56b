"""What a forecast of a sales department costs: fits, backtest, reconciliation, intervals and both tables.

    python -m benchmarks.forecast [--managers N] [--departments N] [--months N]

A company of 40 managers in 8 departments with figures of four KPIs over 36 months lies in the tables that the step
reads. A process of its own then writes kpi_forecast and forecast_accuracy, with a backtest over twelve origins: first
with nothing kept, then again, with the fits of the first time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.publishing import cpu_seconds
from benchmarks.run import machine, peak_memory
from kpimart import schema
from kpimart.insight.forecast import FORECAST_KPIS
from kpimart.insight.statistics.forecast import write
from kpimart.insight.statistics.forecast.methods import HORIZON
from kpimart.warehouse import open_database

AIM_SECONDS = 90

# A season, a little growth, and managers of their own strength; a deal that is open is won in three months or never.
COMPANY = """
create schema finance; create schema core; create schema kpi; create schema seeds;

create table core.build_moment as select 'benchmark' as build_id;
create table seeds.kpi_catalogue as select unnest({kpis}) as kpi_code, kpi_code as formula;
create table kpi.kpi_value as select unnest({kpis}) as kpi_code, 'count' as unit;

create table finance.forecast_month as
select
    cast(number as integer) as period_number,
    cast(date '2023-01-01' + to_months(cast(number as integer)) as date) as period_start,
    cast(date '2023-01-01' + to_months(cast(number as integer) + 1) as date) - 1 as period_end,
    number < {months} as is_complete,
    true as is_loaded_later
from range({months} + {horizon}) as numbers (number);

create table core.dim_entity as
select
    'company' as entity_level, 'company' as entity_key, null as department_id, null as manager_id,
    'Company' as entity_name
union all
select 'department', 'd' || number, 'd' || number, null, 'Department ' || number
from range({departments}) as numbers (number)
union all
select 'manager', 'm' || number, null, 'm' || number, 'Manager ' || number
from range({managers}) as numbers (number);

create table finance.forecast_seat as
select
    seats.period_number, seats.manager_id, seats.department_id, levels.entity_level,
    case levels.entity_level
        when 'company' then 'company' when 'manager' then seats.manager_id else seats.department_id
    end as entity_key
from (
    select period_number, 'm' || number as manager_id, 'd' || number % {departments} as department_id
    from range({managers}) as numbers (number)
    cross join finance.forecast_month
    where is_complete
) as seats
cross join (values ('company'), ('department'), ('manager')) as levels (entity_level);

create table figures as
select
    codes.kpi_code, seats.period_number, seats.manager_id, seats.entity_level, seats.entity_key,
    cast(
        (3 + hash(seats.manager_id) % 5) * (1 + 0.3 * sin(seats.period_number / 6.0 * pi()))
        * (1 + seats.period_number / 90.0)
        + hash(codes.kpi_code, seats.manager_id, seats.period_number) % 4 as integer
    ) as value
from finance.forecast_seat as seats
cross join (select unnest({kpis}) as kpi_code) as codes;

create table finance.forecast_input as
select
    kpi_code, entity_level, entity_key, period_number, period_number as known_number,
    cast(sum(value) as decimal(38, 2)) as change
from figures
group by all;

create table finance.forecast_pipeline as
select
    period_number, entity_level, entity_key, 'stage ' || hash(manager_id, period_number) % 5 as stage_id,
    cast(hash(period_number, manager_id) % 4 as integer) as age_group, later.months_later,
    period_number + later.months_later as known_number,
    cast(sum(case later.months_later when 0 then 2 * value else value // 4 end) as bigint) as deals,
    cast(deals as decimal(38, 2)) as amount, deals as prospects
from figures
cross join (values (0), (1), (2), (3)) as later (months_later)
where kpi_code = 'won_deals' and period_number + later.months_later < {months}
group by all;
"""


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "company.duckdb"
        with open_database(database, read_only=False) as connection:
            connection.execute(
                COMPANY.format(
                    kpis=list(FORECAST_KPIS),
                    months=options.months,
                    horizon=HORIZON,
                    departments=options.departments,
                    managers=options.managers,
                )
            )
            make_ops(connection)
        for kept in ("nothing kept", "all fits kept"):
            command = [sys.executable, "-c", f"from benchmarks.forecast import child; child({str(database)!r})"]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            wall, cpu, memory, rows = json.loads(said.splitlines()[-1])
            print(
                f"{options.managers} managers, {options.departments} departments, {options.months} months, {kept}: "
                f"{wall:.1f} s ({cpu:.1f} s of CPU; aim {AIM_SECONDS}), {memory:.2f} GiB, {rows:,} rows",
                flush=True,
            )


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--managers", type=int, default=40, help="how many managers (40)")
    parser.add_argument("--departments", type=int, default=8, help="how many departments (8)")
    parser.add_argument("--months", type=int, default=36, help="months that are over (36)")
    return parser.parse_args(arguments)


def make_ops(connection: duckdb.DuckDBPyConnection) -> None:
    for step in schema.STEPS:
        connection.execute(step.sql)


def child(database: str) -> None:
    """Write both tables; prints seconds by the clock and of CPU, GiB, and rows."""
    wall = time.perf_counter()
    with open_database(Path(database), read_only=False) as connection:
        write.write(connection)
        rows = connection.execute(
            "select (select count(*) from finance.kpi_forecast) + (select count(*) from finance.forecast_accuracy)"
        ).fetchall()[0][0]
    print(json.dumps([time.perf_counter() - wall, cpu_seconds(), peak_memory() / 1024, rows]))


if __name__ == "__main__":
    main()
