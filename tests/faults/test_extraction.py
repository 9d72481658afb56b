"""Whatever goes wrong while a CRM is read over HTTP, after the next good run raw is as if nothing had.

The demo company is served as a CRM, faults befall its answers as a schedule says, and the records are compared with
those of a reading without faults: for a company that stands still, row by row; for one that lives on meanwhile, in the
final versions and in all the history that the CRM itself tells.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from kpimart.clock import utc_now
from kpimart.demo.nights import reading
from kpimart.demo.server import Served, World, serve
from kpimart.demo.server.faults import Fault
from kpimart.errors import SourceUnreachable
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse
from sampling import IS_FULL, sample

CRMS = ("hubspot", "bitrix24", "amocrm")
UNTIL, OPENED_ON = date(2026, 10, 16), date(2026, 9, 28)

# The server sleeps longer than the client waits, and a client of these tests is in a hurry.
PATIENCE = {"attempts": 5, "timeout_seconds": 1, "backoff_seconds": 0.001, "longest_wait_seconds": 0.02}
TIMEOUT = 1.3
SECONDS = 120

Row = tuple[Any, ...]


@dataclass
class Reader:
    """A warehouse that reads one CRM of a served company."""

    crm: str
    home: Path
    url: str

    @property
    def settings(self) -> Settings:
        hurried = {self.crm: {"requests_per_second": 10_000}}
        return reading(Settings(home=self.home, sources=(self.crm,), http=PATIENCE, **hurried), self.url)  # type: ignore[arg-type]

    def fetch(self) -> None:
        fetch(self.settings, self.crm, folder=None, clock=utc_now)

    def land(self) -> None:
        with open_warehouse(self.home) as connection:
            land(connection, self.settings, clock=utc_now)
            judge(connection, pending_batches(connection), "accepted", None, utc_now)

    def rows(self) -> dict[str, list[Row]]:
        """Object → every version, without the times of fetching and landing; those of what vanished are such, too."""
        with open_warehouse(self.home) as connection:
            tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
            return {
                table: connection.execute(
                    f"""
                    select id, case when not is_deleted then updated_at end as changed, is_deleted, payload
                    from raw.{table}
                    order by all
                    """
                ).fetchall()
                for (table,) in tables
            }

    def latest(self) -> dict[str, list[Row]]:
        """Object → the version of each record that stands."""
        with open_warehouse(self.home) as connection:
            tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
            return {
                table: connection.execute(
                    f"""
                    select id, is_deleted, payload from raw.{table}
                    qualify row_number() over (partition by id order by updated_at desc nulls last, landed_at desc) = 1
                    order by all
                    """
                ).fetchall()
                for (table,) in tables
            }


@contextmanager
def company() -> Iterator[tuple[Served, str]]:
    """The company as it stood on that day, served."""
    served = Served(World(until=UNTIL, opened_on=OPENED_ON), limits=False)
    with serve(served) as url:
        yield served, url


@pytest.fixture(scope="module", params=CRMS)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int, Any]:
    """The CRM, how many requests a first load of it takes, and what raw holds after it."""
    with company() as (served, url):
        reader = Reader(request.param, tmp_path_factory.mktemp(request.param), url)
        reader.fetch()
        reader.land()
        return request.param, served.faults.requests[request.param], reader.rows()


STILL = [
    "rate_limited",
    "rate_limited_without_header",
    "server_error",
    "dropped_connection",
    "truncated_json",
    "malformed_json",
    "repeated_page",
    "out_of_order_page",
    "clock_skew",
]


def schedules(kinds: list[str]) -> st.SearchStrategy[list[Fault]]:
    """Up to a dozen faults, each at some request, once or for longer than the client is patient."""
    at = st.integers(0, 60)
    fault = st.builds(Fault, at=at, kind=st.sampled_from(kinds), times=st.sampled_from([1, 1, 1, 2, 6]))
    # They take their time, so there are few of them.
    late = st.builds(Fault, at=at, kind=st.just("timeout"), seconds=st.just(TIMEOUT))
    return st.builds(list.__add__, st.lists(fault, min_size=1, max_size=12), st.lists(late, max_size=1))


EXAMPLES = settings(
    max_examples=100 if IS_FULL else 2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_through(reader: Reader, served: Served, faults: list[Fault]) -> None:
    """One run that the faults befall, which may fail, and then a good one."""
    served.faults.order(reader.crm, faults)
    with suppress(SourceUnreachable):
        reader.fetch()
    served.faults.order(reader.crm, [])
    reader.fetch()
    reader.land()


@EXAMPLES
@given(faults=schedules(STILL))
def test_of_a_company_that_stands_still_raw_is_what_it_would_be_without_faults(
    undisturbed: tuple[str, int, Any], tmp_path: Path, faults: list[Fault]
) -> None:
    crm, _, expected = undisturbed
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    with company() as (served, url):
        reader = Reader(crm, tmp_path / "home", url)
        read_through(reader, served, faults)
        assert reader.rows() == expected


@EXAMPLES
@given(faults=schedules([*STILL, "clock_advances", "clock_advances", "clock_advances"]))
def test_of_a_company_that_lives_on_raw_ends_at_what_the_crm_says_in_the_end(
    undisturbed: tuple[str, int, Any], tmp_path: Path, faults: list[Fault]
) -> None:
    crm, *_ = undisturbed
    for folder in ("home", "fresh"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    with company() as (served, url):
        reader, fresh = Reader(crm, tmp_path / "home", url), Reader(crm, tmp_path / "fresh", url)
        read_through(reader, served, faults)
        fresh.fetch()
        fresh.land()
        read, there = reader.latest(), fresh.latest()
    live = {name: [row for row in rows if not row[1]] for name, rows in read.items()}
    assert live == {name: [row for row in rows if not row[1]] for name, rows in there.items()}


# Killed


# Packages end so soon that some are complete when the process is killed.
EXTRACT = """
from kpimart.cli import main
from kpimart.extract import packages, reading
packages.PACKAGE_RECORDS = reading.BATCH_RECORDS = 200
main()
"""


def killed_at(request: int, reader: Reader, served: Served) -> None:
    """`kpimart extract` in a process of its own, killed when the CRM gets its request of that number."""
    before = served.faults.requests[reader.crm]
    own = getattr(reader.settings, reader.crm)
    secrets = {name: value.get_secret_value() for name, value in own if isinstance(value, SecretStr)}
    variables = {"url": getattr(own, "url", None), "requests_per_second": "10000", **secrets}
    prefix = f"KPIMART_{reader.crm.upper()}__"
    extract = subprocess.Popen(
        [sys.executable, "-c", EXTRACT, "extract"],
        env={
            **os.environ,
            "KPIMART_HOME": str(reader.home),
            "KPIMART_SOURCES": f'["{reader.crm}"]',
            **{f"{prefix}{name.upper()}": value for name, value in variables.items() if value},
        },
        cwd=reader.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + SECONDS
    while extract.poll() is None and served.faults.requests[reader.crm] - before <= request:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    extract.kill()
    extract.wait()


def test_killed_anywhere_the_next_runs_leave_what_one_run_would_have(
    undisturbed: tuple[str, int, Any], tmp_path: Path
) -> None:
    crm, requests, expected = undisturbed
    with company() as (served, url):
        reader = Reader(crm, tmp_path / "home", url)
        reader.home.mkdir()
        for moment in sample([0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.2], 1):
            killed_at(round(moment * requests), reader, served)
        reader.fetch()
        reader.land()
        assert reader.rows() == expected
