"""A CRM's database for real: a PostgreSQL, read typed and at one moment, and modelled as the same data in files are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from postgres import running_postgres

from kpimart.errors import AccessRefused, BadSourceData
from kpimart.extract.files import open_files
from kpimart.extract.landing import judge, land, pending_batches, record_decisions
from kpimart.extract.packages import fetch, object_names
from kpimart.extract.records import Batch
from kpimart.extract.sql import database_url, open_sql, snapshot
from kpimart.paths import DBT_PROJECT, SEEDS
from kpimart.settings import Settings
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_database, open_warehouse, raw_table

NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
STAGES = (
    {"name": "Talking", "outcome": "open", "position": 1},
    {"name": "Won", "outcome": "won", "position": 2, "probability": 1},
)
DEALS = {
    "id": "key",
    "stage": {"column": "Stage", "values": {"Gewonnen": "Won"}},
    "manager": "owner",
    "amount": "amount",
    "created_at": "created",
    "closed_at": "closed",
    "expected_close_on": "due",
    "is_deleted": "gone",
    "updated_at": "changed",
    "product": "weight",
}
MANAGERS = {"id": "name", "department": "team", "hired_on": "since"}

DEAL_ROWS: list[dict[str, Any]] = [
    {
        "key": UUID(int=1),
        "Stage": "Gewonnen",
        "owner": 7,
        "amount": Decimal("1054.00"),
        "created": datetime(2026, 1, 5, 10),  # noqa: DTZ001
        "closed": datetime(2026, 2, 1, 10, tzinfo=UTC),
        "due": date(2026, 3, 1),
        "gone": False,
        "changed": datetime(2026, 2, 1, 10, 0, 0, 123456, tzinfo=UTC),
        "weight": 1.5,
    },
    {
        "key": UUID(int=2),
        "Stage": "Talking",
        "changed": datetime(2026, 7, 1, 10, tzinfo=UTC),
        "gone": True,
        "weight": 1e300,
    },
]
TABLES = {
    "deal": (
        'key uuid primary key, "Stage" text, owner integer, amount numeric(18, 2), created timestamp, '
        "closed timestamptz, due date, gone boolean, changed timestamptz, weight double precision",
        DEAL_ROWS,
        pa.schema(
            [
                ("key", pa.string()),
                ("Stage", pa.string()),
                ("owner", pa.int32()),
                ("amount", pa.decimal128(18, 2)),
                ("created", pa.timestamp("us")),
                ("closed", pa.timestamp("us", "UTC")),
                ("due", pa.date32()),
                ("gone", pa.bool_()),
                ("changed", pa.timestamp("us", "UTC")),
                ("weight", pa.float64()),
            ]
        ),
    ),
    "manager": (
        "name integer primary key, team text, since date",
        [{"name": 7, "team": "East", "since": date(2020, 1, 1)}],
        pa.schema([("name", pa.int32()), ("team", pa.string()), ("since", pa.date32())]),
    ),
}


@dataclass(frozen=True)
class Crm:
    """A CRM's database, and the same as Parquet files."""

    engine: sa.Engine
    folder: Path
    home: Path

    def settings(self, **mapping: Any) -> Settings:
        """Both sources mapped alike; `mapping` is added to the deals of the database."""
        sql = {
            "url": self.engine.url.render_as_string(hide_password=False),
            "stages": STAGES,
            "deals": [{"table": "crm.deal", "columns": DEALS, **mapping}],
            "managers": [{"table": "crm.manager", "columns": MANAGERS}],
        }
        files = {
            "stages": STAGES,
            "deals": [{"file": "deal.parquet", "columns": DEALS}],
            "managers": [{"file": "manager.parquet", "columns": MANAGERS}],
        }
        return Settings(home=self.home, time_zone="Europe/Berlin", sources=("files", "sql"), files=files, sql=sql)

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server of this module's own."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def crm(postgres: str, tmp_path: Path) -> Iterator[Crm]:
    crm = Crm(sa.create_engine(sa.make_url(postgres).set(drivername="postgresql+psycopg")), tmp_path, tmp_path / "home")
    crm.run("drop schema if exists crm cascade", "create schema crm")
    for name, (columns, rows, schema) in TABLES.items():
        crm.run(f"create table crm.{name} ({columns})")
        wanted = sa.table(name, *map(sa.column, schema.names), schema="crm")
        full = [{column: row.get(column) for column in schema.names} for row in rows]
        with crm.engine.begin() as connection:
            connection.execute(sa.insert(wanted), full)
        texts = [{key: str(value) if isinstance(value, UUID) else value for key, value in row.items()} for row in full]
        pq.write_table(pa.Table.from_pylist(texts, schema), tmp_path / f"{name}.parquet")
    yield crm
    crm.engine.dispose()


def rows(items: Iterator[Any]) -> dict[str, list[dict[str, Any]]]:
    """Object → the rows that a source hands over."""
    found: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if isinstance(item, Batch):
            assert item.quarantined.num_rows == 0, item.quarantined.to_pylist()
            found.setdefault(item.object_name, []).extend(item.rows.to_pylist())
    return found


def test_typed_values_become_the_texts_that_a_parquet_file_gives(crm: Crm) -> None:
    from_files = rows(open_files(crm.settings(), crm.folder, extracted_at=NOW))
    crm.run("alter database postgres set timezone to 'Asia/Tokyo'")
    crm.engine.dispose()
    assert rows(open_sql(crm.settings(), {}, extracted_at=NOW)) == from_files
    assert json.loads(from_files["deals"][0]["payload"])["amount"] == "1054.00"


def test_all_objects_are_seen_as_they_were_at_one_moment(crm: Crm) -> None:
    items = open_sql(crm.settings(), {}, extracted_at=NOW)
    first = next(items)
    crm.run("insert into crm.manager values (8, 'West', null)")
    assert first.object_name == "deals"
    assert [row["id"] for row in rows(items)["managers"]] == ["7"]


def test_nothing_can_be_written(crm: Crm) -> None:
    with (
        snapshot(database_url(crm.settings().sql)) as connection,
        pytest.raises(sa.exc.DBAPIError, match="read-only transaction"),
    ):
        connection.exec_driver_sql("delete from crm.deal")


def test_a_long_table_comes_in_chunks_and_is_never_held_whole(crm: Crm) -> None:
    crm.run("insert into crm.manager select number, 'East', null from generate_series(100, 50099) as number")
    batches = [item for item in open_sql(crm.settings(), {}, extracted_at=NOW) if isinstance(item, Batch)]
    assert [batch.rows.num_rows for batch in batches if batch.object_name == "managers"] == [20_000, 20_000, 10_001]


def test_a_user_without_the_right_to_read_is_told_which_table_it_is(crm: Crm) -> None:
    crm.run("drop role if exists reader", "create role reader login", "grant usage on schema crm to reader")
    reader = crm.settings()
    url = crm.engine.url.set(username="reader").render_as_string(hide_password=False)
    reader = Settings(sql={**reader.model_dump(include={"sql"})["sql"], "url": url})
    with pytest.raises(AccessRefused, match=r"deals: crm\.deal: permission denied for table deal"):
        list(open_sql(reader, {}, extracted_at=NOW))


def test_a_time_that_is_none_is_told(crm: Crm) -> None:
    crm.run("update crm.deal set closed = 'infinity'")
    with pytest.raises(BadSourceData, match=r"deals: crm\.deal: timestamp too large"):
        list(open_sql(crm.settings(), {}, extracted_at=NOW))


# ---- night after night


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def take_in(crm: Crm, settings: Settings, clock: Clock, source: str, verdict: Any = "accepted") -> dict[str, int]:
    """Fetch, land and judge; the number of rows read of each object."""
    with open_warehouse(crm.home) as connection:
        held = connection.execute("select batch_id from ops.batch_verdict where verdict = 'held'").fetchall()
    fetch(settings, source, folder=crm.folder, clock=clock, held={batch_id for (batch_id,) in held})
    with open_warehouse(crm.home) as connection:
        landed = land(connection, settings, clock=clock)
        judge(connection, pending_batches(connection), verdict, None, clock)
    return {each.object_name: each.rows_read for batch in landed for each in batch.objects}


def test_a_night_reads_what_changed_and_what_a_held_batch_brought_again(crm: Crm) -> None:
    settings, clock = crm.settings(extent="delta"), Clock()
    crm.home.mkdir()
    assert take_in(crm, settings, clock, "sql") == {"deals": 2, "managers": 1}
    crm.run("""update crm.deal set amount = 1, changed = '2026-10-31 22:00+00' where "Stage" = 'Gewonnen'""")
    assert take_in(crm, settings, clock, "sql", "held") == {"deals": 2, "managers": 1}
    assert take_in(crm, settings, clock, "sql") == {"deals": 2, "managers": 1}
    assert take_in(crm, settings, clock, "sql") == {"deals": 1, "managers": 1}
    with open_warehouse(crm.home) as connection:
        accepted = connection.execute("""
            select json_extract_string(payload, 'amount') from raw.sql__deals join ops.batch_verdict using (batch_id)
            where verdict = 'accepted' and id = '00000000-0000-0000-0000-000000000001' order by landed_at
        """).fetchall()
    assert accepted == [("1054.00",), ("1.00",)]


def test_staging_of_a_database_equals_staging_of_its_files(crm: Crm) -> None:
    settings, clock = crm.settings(), Clock()
    crm.home.mkdir()
    for source in settings.sources:
        take_in(crm, settings, clock, source)
    with open_warehouse(crm.home) as connection:
        record_decisions(connection, settings, SEEDS, clock)
        for source in settings.sources:
            for name in object_names(source):
                connection.execute(f"create table if not exists {raw_table(source, name)} ({RAW_COLUMNS})")
    dbt("run", "--select", "path:models/staging/files", "path:models/staging/sql", home=crm.home)
    from_files, from_sql = (staged(crm.home, source) for source in settings.sources)
    assert from_sql == from_files
    assert from_sql["deal_version"][0][:2] == ("crm:00000000-0000-0000-0000-000000000001", "crm:7")
    assert from_sql["manager_assignment"] == [("crm:7", "crm:East", None, None)]
    assert len(from_sql["pipeline_stage"]) == 2


def dbt(*arguments: str, home: Path) -> None:
    folders = ("--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT, "--target-path", home / "target")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("dbt"),
            *arguments,
            *folders,
            *("--log-path", home, "--no-use-colors", "--vars", '{"crms": ["files", "sql"]}'),
        ],
        env={**os.environ, "DBT_KPIMART_DATABASE": str(home / WAREHOUSE_FILE)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def staged(home: Path, source: str) -> dict[str, list[tuple[Any, ...]]]:
    """Entity → its sorted rows, without what tells the sources and their nights apart."""
    with open_database(home / WAREHOUSE_FILE) as connection:
        tables = connection.execute(
            f"select table_name from duckdb_tables() where table_name like 'stg_{source}__%' order by all"
        ).fetchall()
        told = "columns(c -> c not in ('recorded_at', 'effective_at'))"
        return {
            name.removeprefix(f"stg_{source}__"): [
                tuple(value.replace(f"{source}:", "crm:") if isinstance(value, str) else value for value in row)
                for row in connection.execute(f"select {told} from staging.{name} order by all").fetchall()
            ]
            for (name,) in tables
        }
