"""A small CRM whose export lies in a folder, and a warehouse that takes it night after night."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from kpimart.extract.files import open_files
from kpimart.extract.landing import LandedBatch, accept_held, held_together, judge, land, pending_batches
from kpimart.extract.packages import FetchReport, fetch
from kpimart.extract.records import ObjectRead
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse

FIRST_NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)
HEADER = "opportunity,agent,stage,created,closed,amount"

STAGES = (
    {"name": "Talking", "outcome": "open", "position": 1},
    {"name": "Won", "outcome": "won", "position": 2},
    {"name": "Lost", "outcome": "lost", "position": 3},
)
DEAL_COLUMNS = {
    "id": "opportunity",
    "manager": "agent",
    "stage": {"column": "stage", "values": {"Gewonnen": "Won"}},
    "created_at": "created",
    "closed_at": "closed",
    "amount": "amount",
}


class Clock:
    """A clock that people set."""

    def __init__(self) -> None:
        self.now = FIRST_NIGHT

    def __call__(self) -> datetime:
        return self.now

    def next_night(self) -> None:
        self.now += timedelta(days=1)


class Crm:
    """An export folder, its mapping, and the warehouse behind it."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.folder = root / "export"
        self.folder.mkdir()
        self.home = root / "home"
        self.landing: str | None = None
        self.clock = clock
        self.files: dict[str, Any] = {}
        self.map_deals()

    def map_deals(self, *, columns: dict[str, Any] | None = None, **mapping: Any) -> None:
        """Map deals.csv to deals, with these columns besides the usual ones; None takes one away."""
        chosen = {**DEAL_COLUMNS, **(columns or {})}
        kept = {name: column for name, column in chosen.items() if column is not None}
        self.files["deals"] = ({"file": "deals.csv", "columns": kept, **mapping},)

    def map(self, object_name: str, file: str, columns: dict[str, Any], **mapping: Any) -> None:
        """Map one more file to an object."""
        self.files[object_name] = (*self.files.get(object_name, ()), {"file": file, "columns": columns, **mapping})

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        values: dict[str, Any] = {
            "home": self.home,
            "landing": self.landing,
            "time_zone": "Europe/Berlin",
            "files": {"stages": STAGES, **self.files},
        }
        return Settings(**values)

    def write(self, *rows: str, file: str = "deals.csv", header: str = HEADER, ending: str = "\n") -> None:
        """Write a CSV file of these rows."""
        self.write_bytes("".join(f"{line}{ending}" for line in (header, *rows)).encode(), file=file)

    def write_bytes(self, content: bytes, *, file: str = "deals.csv") -> None:
        """Write a file of these bytes."""
        (self.folder / file).write_bytes(content)

    def read(self) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]], list[ObjectRead]]:
        """What the source hands over: rows per object with their payloads parsed, quarantined records, accounts."""
        rows: dict[str, list[dict[str, Any]]] = {}
        quarantined: list[dict[str, Any]] = []
        reads: list[ObjectRead] = []
        for item in open_files(self.settings, self.folder, extracted_at=self.clock()):
            if isinstance(item, ObjectRead):
                reads.append(item)
            else:
                parsed = [{**row, "payload": orjson.loads(row["payload"])} for row in item.rows.to_pylist()]
                rows.setdefault(item.object_name, []).extend(parsed)
                quarantined.extend(item.quarantined.to_pylist())
        return rows, quarantined, reads

    def refused(self) -> dict[str, Any]:
        """The one record that is quarantined."""
        _, quarantined, _ = self.read()
        (only,) = quarantined
        return only

    def fetch(self) -> FetchReport:
        """Leave one load package."""
        return fetch(self.settings, "files", folder=self.folder, clock=self.clock)

    def land(self) -> list[LandedBatch]:
        """Land what is complete."""
        with open_warehouse(self.home) as connection:
            return land(connection, self.settings, clock=self.clock)

    def judge(self, verdict: Any = "accepted") -> None:
        """Judge what is pending."""
        with open_warehouse(self.home) as connection:
            judge(connection, pending_batches(connection), verdict, None, self.clock)

    def accept(self) -> None:
        """Accept what was held last."""
        with open_warehouse(self.home) as connection:
            accept_held(connection, held_together(connection, None), "accepted by hand", self.clock)

    def night(self, verdict: Any = "accepted") -> LandedBatch:
        """Fetch, land and judge, and let a day pass."""
        self.fetch()
        (batch,) = self.land()
        self.judge(verdict)
        self.clock.next_night()
        return batch

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with open_warehouse(self.home) as connection:
            return connection.execute(sql).fetchall()

    def versions(self, object_name: str = "deals") -> list[tuple[Any, ...]]:
        """(id, is_deleted, payload) of every accepted version, from the first to the latest."""
        return self.query(f"""
            select id, is_deleted, payload from raw.files__{object_name}
            join ops.batch_verdict using (batch_id) where verdict = 'accepted'
            order by id, updated_at nulls first, landed_at
        """)

    def latest(self, object_name: str = "deals") -> dict[str, dict[str, Any]]:
        """The payload of the latest accepted version of each record that is there."""
        latest = {record_id: (is_deleted, payload) for record_id, is_deleted, payload in self.versions(object_name)}
        return {key: orjson.loads(payload) for key, (is_deleted, payload) in latest.items() if not is_deleted}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crm(tmp_path: Path, clock: Clock) -> Crm:
    return Crm(tmp_path, clock)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    (tmp_path / "home").mkdir()
    with open_warehouse(tmp_path / "home") as connection:
        yield connection
