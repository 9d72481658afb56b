"""A company of three managers and a dozen deals, and `kpimart` working for it as its users meet it.

Everything lies below one folder that stays: `kpimart.toml`, `export/`, and `var/`, the home. What a home was at some
moment is kept beside it and brought back, so that each test starts from a release without paying for a run.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest

from kpimart import pipeline
from kpimart.build import Build
from kpimart.publish.release import Release, publish
from kpimart.quality.gate import Judge
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

KPIMART = (str(Path(sys.executable).with_name("kpimart")),)
SECONDS = 300
# Homes that are kept: after the first night; and in the night after it, when the build is made, and when it is judged.
RELEASED = "released"
BUILT = "built"
JUDGED = "judged"
# Without these, root meets the same locked doors as everybody else.
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")

CONFIG = """
time_zone = "Europe/Berlin"
base_currency = "USD"
as_of = 2026-04-01

[thresholds]
max_quarantined_share = 0.3
max_vanished_share = 0.2

[files]
folder = "export"

[[files.stages]]
name = "Talking"
outcome = "open"
position = 1

[[files.stages]]
name = "Won"
outcome = "won"
position = 2

[[files.stages]]
name = "Lost"
outcome = "lost"
position = 3

[[files.deals]]
file = "deals.csv"
[files.deals.columns]
id = "deal"
manager = "agent"
account = "account"
stage = "stage"
created_at = "created"
closed_at = "closed"
amount = "amount"
currency = "currency"
updated_at = "changed"

[[files.managers]]
file = "agents.csv"
[files.managers.columns]
id = "agent"
name = "agent"
department = "team"

[[files.departments]]
file = "teams.csv"
[files.departments.columns]
id = "team"
name = "team"
parent = "region"
head = "head"
"""

# Won in the first quarter of 2026: Ann 1,600.00, Bob 2,500.50, Cid 400.00; five deals and 4,500.50 together.
DEALS = """\
deal,agent,account,stage,created,closed,amount,currency,changed
D01,Ann,Acme,Won,2026-01-05,2026-02-10,1000.00,USD,2026-02-10
D02,Ann,Bolt,Lost,2026-01-07,2026-02-12,300.00,USD,2026-02-12
D03,Bob,Acme,Won,2026-01-12,2026-03-03,2500.50,USD,2026-03-03
D04,Bob,Crest,Talking,2026-02-02,,700.00,USD,2026-02-02
D05,Cid,Crest,Won,2026-02-05,2026-03-20,400.00,USD,2026-03-20
D06,Cid,Dune,Talking,2026-02-20,,950.00,USD,2026-02-20
D07,Ann,Dune,Won,2026-01-20,2026-02-27,250.00,USD,2026-02-27
D08,Bob,Bolt,Lost,2026-01-25,2026-03-01,80.00,USD,2026-03-01
D09,Cid,Acme,Lost,2026-03-02,2026-03-25,120.00,USD,2026-03-25
D10,Ann,Elm,Won,2026-03-04,2026-03-28,350.00,USD,2026-03-28
D11,Bob,Elm,Talking,2026-03-10,,610.00,USD,2026-03-10
D12,Cid,Bolt,Talking,2026-03-15,,45.00,USD,2026-03-15
"""
AGENTS = """\
agent,team
Ann,North
Bob,North
Cid,South
"""
TEAMS = """\
team,region,head
North,Europe,Nora
South,Europe,Sven
Europe,,Eve
"""
EXPORT = {"deals.csv": DEALS, "agents.csv": AGENTS, "teams.csv": TEAMS}

# The next night's export: D04 is won, D13 is new, and the amount of D10 was corrected.
NEXT_DEALS = (
    DEALS.replace(
        "Talking,2026-02-02,,700.00,USD,2026-02-02", "Won,2026-02-02,2026-03-30,720.00,USD,2026-03-30"
    ).replace("350.00,USD,2026-03-28", "355.00,USD,2026-03-31")
    + "D13,Cid,Fern,Talking,2026-03-30,,60.00,USD,2026-03-30\n"
)

# Differs from run to run of the same content: the history of runs, and when the warehouse learned of something, of
# which the id of an event is made too.
HISTORY_OF_RUNS = {"release", "quality_result"}
MOMENTS_OF_LEARNING = {"recorded_at", "deal_event_id"}

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and all it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams in one line, so that a message is found wherever it was wrapped."""
        return " ".join(f"{self.out} {self.err}".split())


class Company:
    """The company's folder."""

    first_run: Ended

    def __init__(self, root: Path) -> None:
        self.root = root
        self.export = root / "export"
        self.home = root / "var"
        self._kept = root / "kept"
        self.export.mkdir(parents=True)
        self._kept.mkdir()
        self.reset_files()

    def reset_files(self) -> None:
        """Write the export and the settings as they are at first."""
        shutil.rmtree(self.export)
        self.export.mkdir()
        for name, content in EXPORT.items():
            self.write(name, content)
        self.configure()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the export."""
        (self.export / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def configure(self, config: str = CONFIG) -> None:
        """Write kpimart.toml."""
        (self.root / "kpimart.toml").write_text(config)

    # ------------------------------------------------------------------------------------------------------- commands

    def kpimart(self, *arguments: str, command: Sequence[str] = KPIMART, **environment: str) -> Ended:
        """Run a command in the company's folder to its end."""
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def environment(self, **more: str) -> dict[str, str]:
        """What a command finds around it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KPIMART_")}
        return {**kept, **more}

    def run_here(self, **moments: Any) -> pipeline.Run:
        """A whole run in this process, which pays for its imports once, and has one process that judges."""
        with mock.patch.object(pipeline, "Judge", return_value=contextlib.nullcontext(shared_judge())):
            return pipeline.run(self.settings(), files=self.export, **moments)

    def extract_here(self) -> None:
        """The export as it is now, read and accepted."""
        with mock.patch.object(pipeline, "Judge", return_value=contextlib.nullcontext(shared_judge())):
            pipeline.extract(self.settings(), files=self.export)

    def settings(self) -> Settings:
        """What kpimart.toml says now."""
        return load_settings(self.root / "kpimart.toml", home=self.home)

    def publish_numbered(self, number: int) -> Release:
        """Publish one more release, in which every figure, and every deal's amount, is this number."""
        with open_warehouse(self.home) as connection:
            connection.execute(f"update kpi.kpi_value set value = {number}")
            connection.execute(f"update core.fct_deal set amount = {number}")
            build_id, as_of, known_at = connection.execute(
                "select max_by(build_id, started_at), max(as_of), max(known_at) from ops.build"
            ).fetchall()[0]
            name = f"{datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=number):%Y%m%dT%H%M%SZ}"
            connection.execute(
                "insert into ops.quality_result select * replace (? as subject_id) from ops.quality_result "
                "where subject_id = ?",
                [name, build_id],
            )
        return publish(Build(name, as_of, known_at, self.home / WAREHOUSE_FILE), self.home)

    # ---------------------------------------------------------------------------------------------------------- homes

    def keep(self, name: str) -> Path:
        """Keep the home as it is; returns where it is kept."""
        place = self._kept / name
        copy_tree(self.home, place)
        return place

    def rewind(self, name: str) -> None:
        """Make the home what it was when it was kept, and the files what they are at first."""
        copy_tree(self._kept / name, self.home)
        self.reset_files()

    def start_anew(self) -> None:
        """An empty home, but for what dbt remembers of the project."""
        for path in self.home.iterdir():
            if path.name != "dbt":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.reset_files()

    def published(self) -> dict[str, str]:
        """SHA-256 of every file that people can open, the served one and all releases."""
        return checksums(self.home / "reporting")

    def ask(self, sql: str) -> Rows:
        """Ask the warehouse."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def change_warehouse(self, sql: str) -> None:
        """Do to the warehouse what nobody should."""
        with duckdb.connect(str(self.home / "warehouse.duckdb")) as connection:
            connection.execute(sql)

    def ask_served(self, sql: str) -> Rows:
        """Ask what is served, as people do."""
        with duckdb.connect(str(self.home / "reporting" / "reporting.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self) -> dict[str, Rows]:
        """The served tables, see `tables_of`."""
        return tables_of(self.home / "reporting" / "reporting.duckdb")

    def leftovers(self) -> list[str]:
        """What an interrupted run may leave in the home, and the next one must take away."""
        names = [path.relative_to(self.home).as_posix() for path in self.home.rglob("*")]
        signs = (".partial", ".wal", ".tmp", ".gate", ".spill", ".next", "writer.pid", "scratch/", ".dlt/files/")
        landing = self.home / "landing" / "files"
        complete = {marker.stem.removeprefix("files__") for marker in (landing / "_dlt_loads").iterdir()}
        incomplete = [
            str(file) for file in landing.glob("*/*.parquet") if ".".join(file.name.split(".")[:2]) not in complete
        ]
        # What dbt remembers of a build in a scratch file stays, as it does of the others.
        left = [name for name in names if any(sign in name for sign in signs) and not name.startswith("dbt/")]
        return sorted(left + incomplete)


def tables_of(release: Path) -> dict[str, Rows]:
    """The tables of a release as sorted rows, without what differs from run to run."""
    with duckdb.connect(str(release), read_only=True) as connection:
        names = connection.execute(
            "select table_name, column_name from duckdb_columns() where not internal order by all"
        ).fetchall()
        tables: dict[str, list[str]] = {}
        for table, column in names:
            if table not in HISTORY_OF_RUNS and column not in MOMENTS_OF_LEARNING:
                tables.setdefault(table, []).append(f'"{column}"')
        return {
            table: connection.execute(f'select {", ".join(columns)} from "{table}" order by all').fetchall()
            for table, columns in tables.items()
        }


def company_in(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The one company of the session, as it was after its first night."""
    company = released_company(tmp_path_factory.getbasetemp() / "company")
    company.rewind(RELEASED)
    return company


@functools.cache
def released_company(root: Path) -> Company:
    """The company after its first night, whose home is kept as RELEASED. All tests of a session share it."""
    company = Company(root)
    company.first_run = company.kpimart("run", "--json")
    if company.first_run.code != 0:
        raise AssertionError(company.first_run)
    company.keep(RELEASED)
    return company


@functools.cache
def undisturbed_tables(company: Company) -> dict[str, Rows]:
    """What the night after the first publishes when nothing goes wrong."""
    company.rewind(RELEASED)
    company.write("deals.csv", NEXT_DEALS)
    company.run_here()
    return company.tables()


@dataclass(frozen=True)
class Steps:
    """How each step of a night ended in a process of its own, and what was published in the end."""

    ended: dict[str, Ended]
    tables: dict[str, Rows]
    releases: int


@functools.cache
def night_in_steps(company: Company) -> Steps:
    """The night after the first, step by step; the homes BUILT and JUDGED are kept on the way."""
    company.rewind(RELEASED)
    company.write("deals.csv", NEXT_DEALS)
    ended = {step: company.kpimart(step, "--json") for step in ("extract", "build")}
    company.keep(BUILT)
    ended["validate"] = company.kpimart("validate", "--json")
    company.keep(JUDGED)
    ended["publish"] = company.kpimart("publish", "--json")
    return Steps(ended, company.tables(), len(list((company.home / "reporting" / "releases").iterdir())))


@functools.cache
def shared_judge() -> Judge:
    """One process that judges, until the tests end."""
    life = contextlib.ExitStack()
    atexit.register(life.close)
    return life.enter_context(Judge())


def differing(found: dict[str, Rows], expected: dict[str, Rows]) -> list[str]:
    """The names of the tables that are not the same on both sides."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def copy_tree(source: Path, target: Path) -> None:
    """Copy a home; files that are one file under two names stay one."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def checksums(folder: Path) -> dict[str, str]:
    """Path below the folder → SHA-256, of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
