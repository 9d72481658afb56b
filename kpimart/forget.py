"""Forgetting a person: erased from raw, landing, releases and backups, and recorded that it was done.

It is the one exception to raw's being append-only. Packages, releases and files are rewritten first, each in one step,
and the warehouse, from which is known what to look for, comes last, in one step too: killed anywhere, the same command
finds what is left, and finishes. Figures stay: see `extract.forgetting` for what is kept of a record.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from kpimart.clock import Clock
from kpimart.errors import SettingsError
from kpimart.extract.forgetting import (
    NOTHING_LEFT,
    Erasure,
    Forgotten,
    RecordName,
    changes_of_package,
    erase_from_package,
    erased_payload,
    erasure_of,
    hash_of,
    mentions_of,
    texts_in,
)
from kpimart.extract.packages import Package, complete_packages, landing_area, remove_incomplete
from kpimart.mentions import FORGOTTEN, Mentions, copy_erased, count_mentions
from kpimart.publish.amend import Order, Totals, amend_releases, mentions_in_releases
from kpimart.publish.files import sync
from kpimart.publish.release import current
from kpimart.publish.tables import payload_totals
from kpimart.reconcile import FOLDER_PREFIX
from kpimart.settings import Settings
from kpimart.sql import literal
from kpimart.warehouse import (
    NEW_DATABASE,
    WAREHOUSE_FILE,
    create_database,
    open_memory,
    open_warehouse,
    raw_table,
    storage_errors,
    writer_lock,
)
from kpimart.warehouse import literal as path_literal

BACKUPS = "backups"
_PARTS_OF_A_HOME = (WAREHOUSE_FILE, "landing", "reporting")
_ARCHIVES = (".gz", ".zip", ".zst", ".xz", ".bz2", ".tar", ".7z")
# Written by this program and by nobody else; elsewhere under the home it only looks.
_OWN = (WAREHOUSE_FILE, "landing", "reporting", "scratch", "dbt")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where something of the person was found: which home, what kind of place, its name, and how many."""

    home: Path
    kind: str
    name: str
    found: int


@dataclass(frozen=True)
class Finding:
    """What is there of a person, or was before it was erased.

    texts: what is searched for, whole words anywhere. names: what is searched for as a whole value only. left: files
    that this program does not write, and that mention the person or cannot be looked into. backups: place and id of
    those that were made before the person was forgotten, and still hold them.
    """

    record: RecordName
    texts: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[Place, ...]
    left: tuple[Path, ...]
    backups: tuple[tuple[str, str], ...]
    is_recorded: bool

    @property
    def is_done(self) -> bool:
        """It is forgotten, and nothing of it came back."""
        return self.is_recorded and not self.places

    @property
    def counts(self) -> dict[str, int]:
        """How much of each kind of place."""
        kinds = dict.fromkeys(place.kind for place in self.places)
        return {kind: sum(place.found for place in self.places if place.kind == kind) for kind in kinds}


@dataclass(frozen=True)
class _Entry:
    """What is put on record of a forgetting: nothing of what was erased."""

    at: datetime
    by: str
    reason: str
    text_hashes: tuple[str, ...]
    erased: str


@dataclass(frozen=True)
class _Job:
    """One forgetting: whose, how, and what is looked for."""

    settings: Settings
    record: RecordName
    erasure: Erasure
    mentions: Mentions

    @property
    def table(self) -> str:
        """The raw table of its object."""
        return raw_table(self.record.source, self.record.object)

    @property
    def quarantined(self) -> str:
        """The SQL condition of its rows in quarantine."""
        name = self.record
        return f"source = {literal(name.source)} and object = {literal(name.object)} and record_id = {literal(name.id)}"

    def left_of(self, payload: str) -> str:
        """What stays of one of its payloads."""
        return erased_payload(self.mentions.erased(payload), self.erasure)

    def forgotten(self, package: Package) -> Forgotten:
        """The record, if it is one that this package may have."""
        is_its = package.source == self.record.source
        return {self.record.object: ({self.record.id}, self.erasure)} if is_its else {}


def look(settings: Settings, record: RecordName, also: tuple[str, ...] = ()) -> Finding:
    """What would be erased. Raises SettingsError for a record that is nowhere, and WarehouseBusy while a run writes."""
    with writer_lock(settings.home), storage_errors(f"looking for {record}"):
        return _look(_job(settings, record, also))


def forget(
    settings: Settings, record: RecordName, *, by: str, reason: str, also: tuple[str, ...], clock: Clock, tell: Tell
) -> Finding:
    """Erase a person, and record that it was done; returns what was there before.

    also: further texts that tell who it is. Of all texts a hash is kept, to know them again. Raises SettingsError for a
    record that is nowhere and for a reason that names the person, ReleaseDamaged for a release that cannot be amended,
    StorageFailed, WarehouseBusy while a run writes or a source is fetched, and where PostgreSQL is configured what
    loading it raises. After each of them it can be run again.
    """
    with writer_lock(settings.home), storage_errors(f"forgetting {record}"):
        homes = homes_of(settings.home)
        for home in homes:
            _remove_leftovers(_settings_of(settings, home))
        job = _job(settings, record, also)
        if any(job.mentions.erased(text) != text for text in (by, reason)):
            raise SettingsError("--by and --reason are kept for good; do not name the person there")
        finding = _look(job)
        if not finding.is_done:
            hashes = tuple(sorted({hash_of(text) for text in finding.texts}))
            entry = _Entry(clock(), by, reason, hashes, json.dumps(finding.counts))
            # The home itself comes last: its warehouse tells what to look for.
            for home in reversed(homes):
                _erase(home, job, entry, tell)
        return finding


def homes_of(home: Path) -> list[Path]:
    """The home, and whatever below its backups has the shape of one."""
    return [home, *_backups(home / BACKUPS)]


def _backups(folder: Path) -> Iterator[Path]:
    if any((folder / part).exists() for part in _PARTS_OF_A_HOME):
        yield folder
    elif folder.is_dir():
        for inner in sorted(folder.iterdir()):
            yield from _backups(inner)


# ------------------------------------------------------------------------------------------------------------- looking


def _job(settings: Settings, record: RecordName, also: tuple[str, ...]) -> _Job:
    erasure = erasure_of(settings, record.source, record.object)
    payloads = [payload for home in homes_of(settings.home) for payload in _payloads(settings, home, record)]
    if not payloads:
        raise SettingsError(f"there is no record {record} in raw, landing or quarantine; look up its id in the CRM")
    texts = {text for payload in payloads for text in texts_in(payload, erasure)}
    return _Job(settings, record, erasure, mentions_of(record, texts, also))


def _payloads(settings: Settings, home: Path, record: RecordName) -> Iterator[str]:
    """All that is stored of a record: versions, what was set aside of it, and what was fetched."""
    if (home / WAREHOUSE_FILE).exists():
        with open_warehouse(home) as connection:
            yield from _versions(connection, record)
            rows = connection.execute(
                "select payload from ops.quarantine where source = ? and object = ? and record_id = ?", list(record)
            )
            yield from (payload for (payload,) in rows.fetchall())
    with open_memory() as connection:
        landing_area(_settings_of(settings, home)).make_known_to(connection)
        for package in _packages(settings, home):
            files = package.files(record.object) if package.source == record.source else []
            if files:
                rows = connection.execute(
                    "select payload from read_parquet($files) where id = $id", {"files": files, "id": record.id}
                )
                yield from (payload for (payload,) in rows.fetchall())


def _versions(connection: duckdb.DuckDBPyConnection, record: RecordName) -> list[str]:
    """The payloads of all versions of a record."""
    is_there = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'raw' and table_name = ?",
        [f"{record.source}__{record.object}"],
    ).fetchone()
    if not is_there:
        return []
    query = f"select payload from {raw_table(record.source, record.object)} where id = ?"
    return [payload for (payload,) in connection.execute(query, [record.id]).fetchall()]


def _settings_of(settings: Settings, home: Path) -> Settings:
    """The settings of a home: the landing area of a backup is the folder in it."""
    landing = settings.landing if home == settings.home else None
    return settings.model_copy(update={"home": home, "landing": landing})


def _packages(settings: Settings, home: Path) -> list[Package]:
    return complete_packages(_settings_of(settings, home))


def _look(job: _Job) -> Finding:
    home = job.settings.home
    places = tuple(place for each in homes_of(home) for place in _places(each, job) if place.found)
    recorded, backups = None, []
    if (home / WAREHOUSE_FILE).exists():
        with open_warehouse(home) as connection:
            (recorded,) = connection.execute(
                "select max(forgotten_at) from ops.forgotten where source = ? and object = ? and record_id = ?",
                list(job.record),
            ).fetchall()[0]
            backups = connection.execute(
                """
                select place, backup_id from ops.backup
                where made_at <= coalesce(?, timestamptz 'infinity') order by all
                """,
                [recorded],
            ).fetchall()
    return Finding(
        job.record,
        tuple(sorted(job.mentions.phrases)),
        tuple(sorted(job.mentions.names)),
        places,
        tuple(_left(home, job.mentions)),
        tuple(backups),
        is_recorded=recorded is not None,
    )


def _places(home: Path, job: _Job) -> Iterator[Place]:
    if (home / WAREHOUSE_FILE).exists():
        yield from _places_in_warehouse(home, job)
    for package in _packages(job.settings, home):
        changes = changes_of_package(package, job.forgotten(package), job.mentions)
        yield Place(home, "landing", package.batch_id, sum(change.rows for change in changes))
    for release_id, values in mentions_in_releases(home, job.mentions).items():
        yield Place(home, "release", release_id, values)
    for file in _files(home / "scratch"):
        yield Place(home, "scratch", str(file.relative_to(home)), 1)
    for file in _files(home / "dbt"):
        yield Place(home, "dbt", str(file.relative_to(home)), int(job.mentions.is_in(file)))


def _places_in_warehouse(home: Path, job: _Job) -> Iterator[Place]:
    with open_warehouse(home) as connection:
        versions = _versions(connection, job.record)
        changing = sum(job.left_of(payload) != payload for payload in versions)
        yield Place(home, "version", job.table, changing)
        rows = connection.execute(
            f"select count(*) from ops.quarantine where {job.quarantined} and payload <> ?", [NOTHING_LEFT]
        ).fetchall()
        yield Place(home, "quarantine", "ops.quarantine", rows[0][0])
        for table, values in count_mentions(connection, Path(WAREHOUSE_FILE).stem, job.mentions).items():
            yield Place(home, "mention", table, values)
    # What was rebuilt or deleted since still lies in free blocks of the file.
    yield Place(home, "free block", WAREHOUSE_FILE, int(job.mentions.is_in(home / WAREHOUSE_FILE)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _left(home: Path, mentions: Mentions) -> Iterator[Path]:
    """Files of others below the home that mention the person, or cannot be looked into."""
    own = [each / part for each in homes_of(home) for part in _OWN]
    for file in _files(home):
        if any(file.is_relative_to(place) for place in own):
            continue
        if file.suffix in _ARCHIVES or mentions.is_in(file):
            yield file


# ------------------------------------------------------------------------------------------------------------- erasing


def _remove_leftovers(settings: Settings) -> None:
    """Remove what killed fetches left, which is nobody's package, and what killed comparisons and forgettings did."""
    remove_incomplete(settings)
    for home in homes_of(settings.home):
        for path in (*home.glob(f".{WAREHOUSE_FILE}.next*"), *home.glob(f"{FOLDER_PREFIX}*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _erase(home: Path, job: _Job, entry: _Entry, tell: Tell) -> None:
    for package in _packages(job.settings, home):
        tell(f"erasing from {package.batch_id}")
        erase_from_package(package, job.forgotten(package), job.mentions)
    # A build of an earlier moment can be made again, and so can all that dbt writes.
    shutil.rmtree(home / "scratch", ignore_errors=True)
    for file in _files(home / "dbt"):
        if job.mentions.is_in(file):
            file.unlink()
    warehouse, coming = home / WAREHOUSE_FILE, home / f".{WAREHOUSE_FILE}.next"
    if not warehouse.exists():
        _amend(home, job, Order(job.mentions, {}, entry.by, entry.at), tell)
        return
    tell(f"erasing from {warehouse}")
    _write_warehouse(warehouse, coming, job, entry)
    _amend(home, job, Order(job.mentions, _totals(warehouse, coming), entry.by, entry.at), tell)
    coming.replace(warehouse)
    sync(home)


def _amend(home: Path, job: _Job, order: Order, tell: Tell) -> None:
    """Amend the releases of a home, and let PostgreSQL hold the amended one instead of what it was loaded from."""
    amend_releases(home, order, tell)
    if job.settings.postgres.url and home == job.settings.home and current(home):
        from kpimart.publish.postgres.export import export

        export(job.settings, tell=lambda table: tell(f"PostgreSQL: {table}"))


def _write_warehouse(warehouse: Path, coming: Path, job: _Job, entry: _Entry) -> None:
    """Write the warehouse without the person into a new file: in the old one their bytes would stay in free blocks."""
    with open_warehouse(warehouse.parent) as connection:
        payloads = {payload: job.left_of(payload) for payload in _versions(connection, job.record)}
    others = {"ops.quarantine": f"({job.quarantined}) is not true"}
    if payloads:
        others[job.table] = f"id <> {literal(job.record.id)}"
    with create_database(coming, beside={"old": warehouse}) as connection:
        copy_erased(connection, "old", NEW_DATABASE, job.mentions, others)
        for before, after in payloads.items():
            connection.execute(
                f"""
                insert into {job.table}
                select * replace ($after as payload, sha256(concat_ws('|', is_deleted, $after)) as payload_hash)
                from old.{job.table}
                where id = $id and payload = $before
                """,
                {"before": before, "after": after, "id": job.record.id},
            )
        connection.execute(
            f"""
            insert into ops.quarantine
            select * replace ($payload as payload, $reason as reason) from old.ops.quarantine where {job.quarantined}
            """,
            {"payload": NOTHING_LEFT, "reason": FORGOTTEN},
        )
        # What was derived from the old payloads is derived anew.
        connection.execute("delete from ops.recipe")
        connection.execute(
            "insert into ops.forgotten values (?, ?, ?, ?, ?, ?, ?, ?)",
            [*job.record, entry.at, entry.by, entry.reason, list(entry.text_hashes), entry.erased],
        )
    sync(coming)


def _totals(old: Path, new: Path) -> Totals:
    """The payload totals of the batches whose raw rows change, as manifests have them: before and after."""
    with open_memory() as connection:
        connection.execute(f"attach {path_literal(old)} as old (read_only)")
        connection.execute(f"attach {path_literal(new)} as new (read_only)")
        objects = connection.execute(
            "select distinct source, object from old.ops.batch_object where versions_stored > 0"
        ).fetchall()
        batch_ids = [batch_id for (batch_id,) in connection.execute("select batch_id from old.ops.batch").fetchall()]
        before, after = (payload_totals(connection, database, objects, batch_ids) for database in ("old", "new"))
    return {
        batch_id: (str(total), str(after[batch_id])) for batch_id, total in before.items() if total != after[batch_id]
    }
