"""Backups: what cannot be made again, in a folder or a bucket elsewhere, and the way back.

A place holds any number of backups. `objects/<SHA-256>` are the files of all of them, each once; `backups/<id>.json`
says which file a backup has under which name. It is written last, so what was interrupted is no backup, and a file that
is there already is not sent again: raw by batch, which never changes, and the files of releases cost once.

Kept are raw and `ops`, the releases with their manifests, the accounts of landed packages, which say where the next
fetch goes on, and the company's settings and seeds. Not kept: what a build makes, and secrets.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb
import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from kpimart import schema
from kpimart.clock import Clock
from kpimart.errors import BackupDamaged, ReleaseDamaged, SettingsError
from kpimart.extract.landing_area import LandingArea
from kpimart.extract.packages import fetch_state
from kpimart.publish.code_version import code_version
from kpimart.publish.files import put_in_place, seal, sha256
from kpimart.publish.manifest import MANIFEST_FILE
from kpimart.publish.shelf import REMOVED_FILE, REPORTING_FILE, Shelf
from kpimart.publish.verify import check
from kpimart.settings import Settings
from kpimart.sql import literal, quoted
from kpimart.warehouse import (
    HOLDER_FILE,
    RAW_COLUMNS,
    WAREHOUSE_FILE,
    open_of_any_age,
    open_warehouse,
    refuse_newer,
    storage_errors,
    take_steps,
    writer_lock,
)
from kpimart.warehouse import literal as path_literal

OBJECTS, BACKUPS = "objects", "backups"
WORK_FOLDER = ".backup"
RESTORED = "restored"
_LOCKS = {"writer.lock", HOLDER_FILE}

Tell = Callable[[str], None]


class Entry(BaseModel):
    """A file of a backup. `key` names raw of one batch by what it holds, so that it need not be written to be known."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    bytes: int
    key: str | None = None


class BackupManifest(BaseModel):
    """What a backup has: path → file. Paths are those of the home, but raw and ops, which lie there as Parquet."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    backup_id: str
    made_at: datetime
    code_version: str
    served: str | None
    files: dict[str, Entry]
    schema_version: int = schema.COUNTED_FROM


@dataclass(frozen=True)
class BackedUp:
    """A backup that was made: how much of it was sent, the rest being there; and which older ones were removed."""

    backup_id: str
    place: str
    made_at: datetime
    files: int
    bytes: int
    sent_files: int
    sent_bytes: int
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Restored:
    """What came back: the release that is served, where settings and seeds lie, and where what was there went."""

    backup_id: str
    made_at: datetime
    served: str | None
    releases: int
    versions: int
    beside: tuple[Path, ...]
    replaced: Path | None


# -------------------------------------------------------------------------------------------------------------- backup


def backup(settings: Settings, place: str, *, keep: int | None, clock: Clock, tell: Tell) -> BackedUp:
    """Back up the home to a folder or a bucket. Readers are not disturbed; a run has to wait.

    keep: remove all but so many backups there, and the files that only they had. Raises SettingsError for a home with
    nothing in it, ReleaseDamaged for a release that is not what its manifest says, WarehouseBusy and StorageFailed.
    """
    with writer_lock(settings.home):
        if not (settings.home / WAREHOUSE_FILE).exists():
            raise SettingsError(
                f"{settings.home} has no {WAREHOUSE_FILE}, so nothing to back up; is KPIMART_HOME right?"
            )
        with open_warehouse(settings.home):
            pass
        done = save(settings, place, keep=keep, clock=clock, tell=tell)
        put_on_record(settings.home, done)
        return done


def save(settings: Settings, place: str, *, keep: int | None, clock: Clock, tell: Tell) -> BackedUp:
    """The same, of a warehouse of this program's schema or an older one; the caller holds the writer's place.

    The backup is not on record then: a warehouse that is to be upgraded may have no table for it yet.
    """
    area = LandingArea.at(place, "backup")
    with storage_errors(f"backing up to {area.url}"):
        made_at = clock()
        known = _manifests(area)
        backup_id = _next_id(made_at, known)
        with _work_folder(settings.home) as work:
            store = _Store(area, known, work)
            with open_of_any_age(settings.home) as connection:
                for path, entry in _contents(connection, settings, store, tell):
                    store.files[path] = entry
                schema_version = schema.version_of(connection)
            manifest = BackupManifest(
                backup_id=backup_id,
                made_at=made_at,
                code_version=code_version(),
                served=_served(settings.home),
                files=store.files,
                schema_version=schema_version,
            )
            _write_manifest(area, manifest)
        removed = _prune(area, {**known, backup_id: manifest}, keep) if keep else ()
        return BackedUp(
            backup_id,
            area.url,
            made_at,
            len(store.files),
            sum(entry.bytes for entry in store.files.values()),
            store.sent_files,
            store.sent_bytes,
            removed,
        )


class _Store:
    """Where the files of a backup go, and which are there already."""

    def __init__(self, area: LandingArea, known: dict[str, BackupManifest], work: Path) -> None:
        self.area = area
        self.work = work
        self.files: dict[str, Entry] = {}
        self.sent_files = 0
        self.sent_bytes = 0
        self._there = set(area.names(OBJECTS))
        entries = [entry for manifest in known.values() for entry in manifest.files.values()]
        self._by_key = {entry.key: entry for entry in entries if entry.key and entry.sha256 in self._there}

    def known_as(self, key: str) -> Entry | None:
        return self._by_key.get(key)

    def add(self, file: Path, *, key: str | None = None) -> Entry:
        return self._add(file, sha256(file), key)

    def add_stated(self, file: Path, digest: str, size: int, release_id: str) -> Entry:
        """A file of a release: not read again when it was sent before, and never sent when it is damaged."""
        if digest not in self._there and sha256(file) != digest:
            raise ReleaseDamaged(
                f"release {release_id} is damaged: {file.name} is not what its manifest says, which a backup would "
                "hide; see kpimart verify, and remove the release's folder if another copy of it is kept"
            )
        return Entry(sha256=digest, bytes=size) if digest in self._there else self._add(file, digest, None)

    def _add(self, file: Path, digest: str, key: str | None) -> Entry:
        size = file.stat().st_size
        if digest not in self._there:
            with file.open("rb") as source, self.area.rewriting(self.area.path(OBJECTS, digest)) as target:
                shutil.copyfileobj(source, target)
            self._there.add(digest)
            self.sent_files += 1
            self.sent_bytes += size
        return Entry(sha256=digest, bytes=size, key=key)


def _contents(
    connection: duckdb.DuckDBPyConnection, settings: Settings, store: _Store, tell: Tell
) -> Iterator[tuple[str, Entry]]:
    yield from _raw(connection, store, tell)
    yield from _ops(connection, store)
    landed = {batch_id for (batch_id,) in connection.execute("select batch_id from ops.batch").fetchall()}
    # What a bucket holds is not lost with this machine; and the records of landed packages are in raw.
    for file in [] if settings.landing else map(Path, fetch_state(settings, landed)):
        yield file.relative_to(settings.home.absolute()).as_posix(), store.add(file)
    yield from _releases(settings.home, store, tell)
    if settings.config:
        yield "settings/kpimart.toml", store.add(settings.config)
    if settings.seeds:
        for file in sorted(settings.seeds.glob("*.csv")):
            yield f"seeds/{file.name}", store.add(file)


def _raw(connection: duckdb.DuckDBPyConnection, store: _Store, tell: Tell) -> Iterator[tuple[str, Entry]]:
    """Each table of raw, a file a batch."""
    tables = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'raw' order by 1"
    ).fetchall()
    for (table,) in tables:
        tell(f"backing up raw.{table}")
        batches = connection.execute(
            f"""
            select batch_id, count(*) || '-' || sum(md5_number_lower(concat_ws('|', id, updated_at, payload_hash)))
            from raw.{quoted(table)} group by batch_id order by batch_id
            """
        ).fetchall()
        for batch_id, total in batches:
            key = f"{table}/{batch_id}/{total}"
            entry = store.known_as(key)
            if entry is None:
                rows = f"from raw.{quoted(table)} where batch_id = {literal(batch_id)} order by all"
                entry = _written(connection, store, rows, key)
            yield f"raw/{table}/{batch_id}.parquet", entry


def _ops(connection: duckdb.DuckDBPyConnection, store: _Store) -> Iterator[tuple[str, Entry]]:
    tables = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'ops' order by 1"
    ).fetchall()
    for (table,) in tables:
        # What a restored home goes on from has to be derived anew, so what it was derived by does not come along. The
        # steps that led to its schema are taken again.
        if table not in ("recipe", "schema_step"):
            yield f"ops/{table}.parquet", _written(connection, store, f"from ops.{quoted(table)} order by all", None)


def _written(connection: duckdb.DuckDBPyConnection, store: _Store, rows: str, key: str | None) -> Entry:
    file = store.work / "part.parquet"
    connection.execute(f"copy ({rows}) to {path_literal(file)} (format parquet, compression zstd)")
    return store.add(file, key=key)


def _releases(home: Path, store: _Store, tell: Tell) -> Iterator[tuple[str, Entry]]:
    shelf = Shelf(home)
    for release_id, manifest in shelf.manifests.items():
        tell(f"backing up release {release_id}")
        folder = shelf.folder(release_id)
        base = folder.relative_to(home).as_posix()
        is_removed = release_id in shelf.removed
        yield f"{base}/{MANIFEST_FILE}", store.add(folder / MANIFEST_FILE)
        if is_removed:
            yield f"{base}/{REMOVED_FILE}", store.add(folder / REMOVED_FILE)
            continue
        for name, record in manifest.files.items():
            yield f"{base}/{name}", store.add_stated(folder / name, record.sha256, record.bytes, release_id)


def _served(home: Path) -> str | None:
    shelf = Shelf(home)
    return shelf.served_id if shelf.served_id in shelf.manifests else None


def put_on_record(home: Path, done: BackedUp) -> None:
    """Keep in the warehouse that a backup was made, and which ones were removed."""
    with open_warehouse(home) as connection:
        for backup_id in done.removed:
            connection.execute("delete from ops.backup where place = ? and backup_id = ?", [done.place, backup_id])
        connection.execute(
            "insert or replace into ops.backup values (?, ?, ?)", [done.place, done.backup_id, done.made_at]
        )


def _next_id(made_at: datetime, known: dict[str, BackupManifest]) -> str:
    stamp = f"{made_at:%Y%m%dT%H%M%SZ}"
    same = sum(backup_id.startswith(stamp) for backup_id in known)
    return f"{stamp}-{same + 1}" if same else stamp


def _prune(area: LandingArea, manifests: dict[str, BackupManifest], keep: int) -> tuple[str, ...]:
    """Remove the oldest backups, then what no other names: killed between, the next prune removes the rest."""
    newest = sorted(manifests, key=lambda backup_id: (manifests[backup_id].made_at, backup_id))
    removed, kept = newest[:-keep], newest[-keep:]
    for backup_id in removed:
        area.remove(BACKUPS, f"{backup_id}.json")
    needed = {entry.sha256 for backup_id in kept for entry in manifests[backup_id].files.values()}
    for name in area.names(OBJECTS):
        if name not in needed:
            area.remove(OBJECTS, name)
    return tuple(removed)


# ----------------------------------------------------------------------------------------------------------- manifests


def _checksum(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _write_manifest(area: LandingArea, manifest: BackupManifest) -> None:
    content = manifest.model_dump(mode="json")
    text = orjson.dumps({**content, "checksum": _checksum(content)}, option=orjson.OPT_INDENT_2)
    with area.rewriting(area.path(BACKUPS, f"{manifest.backup_id}.json")) as stream:
        stream.write(text)


def _manifests(area: LandingArea) -> dict[str, BackupManifest]:
    """The backups of a place; raises BackupDamaged for one that cannot be read."""
    names = [name for name in area.names(BACKUPS) if name.endswith(".json") and not name.startswith(".")]
    return {name.removesuffix(".json"): _read_manifest(area, name) for name in names}


def _read_manifest(area: LandingArea, name: str) -> BackupManifest:
    try:
        content = orjson.loads(area.read(BACKUPS, name))
        manifest = BackupManifest.model_validate(content)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise BackupDamaged(f"{area.url}: {BACKUPS}/{name} is no manifest: {str(error).splitlines()[0]}") from error
    content.pop("checksum", None)
    if _checksum(content) != orjson.loads(area.read(BACKUPS, name)).get("checksum"):
        raise BackupDamaged(f"{area.url}: {BACKUPS}/{name} was edited: its checksum is not that of its text")
    return manifest


# ------------------------------------------------------------------------------------------------------------- restore


def restore(home: Path, place: str, backup_id: str | None = None, *, replace: bool = False, tell: Tell) -> Restored:
    """Bring a backup (default: the last one) back into a home; its served release is verified then.

    Settings and seeds are put beside, in `restored/`: those that are in force are elsewhere, and people's own.
    replace: move what is in the home aside, into its `backups/`, instead of refusing. Raises SettingsError for a home
    that is not empty, BackupDamaged, ReleaseDamaged, StorageFailed. Until everything was found right nothing that was
    there is touched; killed before, the same command begins anew.
    """
    area = LandingArea.at(place, "restore")
    with writer_lock(home), storage_errors(f"restoring {area.url}"):
        manifest = _chosen(area, backup_id)
        refuse_newer(manifest.schema_version, f"backup {manifest.backup_id}")
        there = [path for path in home.iterdir() if path.name not in {*_LOCKS, WORK_FOLDER}]
        if there and not replace:
            raise SettingsError(
                f"{home} is not empty: {', '.join(sorted(path.name for path in there)[:5])}; restore into another "
                "KPIMART_HOME, or move what is here aside with --replace"
            )
        with _work_folder(home) as work:
            coming = work / "home"
            versions = _bring_back(area, manifest, coming, work, tell)
            if manifest.served:
                check(coming, manifest.served)
            replaced = _make_room(home, there, f"replaced-{manifest.backup_id}") if there else None
            for path in sorted(coming.iterdir()):
                path.rename(home / path.name)
        beside = sorted((home / RESTORED).rglob("*.*")) if (home / RESTORED).exists() else []
        releases = len(Shelf(home).kept)
        return Restored(
            manifest.backup_id, manifest.made_at, manifest.served, releases, versions, tuple(beside), replaced
        )


def _chosen(area: LandingArea, backup_id: str | None) -> BackupManifest:
    manifests = _manifests(area)
    if not manifests or (backup_id and backup_id not in manifests):
        known = ", ".join(sorted(manifests)[-3:]) or "none at all"
        raise BackupDamaged(f"{area.url} has no backup {backup_id or ''}; there are: {known}")
    return (
        manifests[backup_id] if backup_id else max(manifests.values(), key=lambda each: (each.made_at, each.backup_id))
    )


def _bring_back(area: LandingArea, manifest: BackupManifest, coming: Path, work: Path, tell: Tell) -> int:
    coming.mkdir()
    versions = 0
    with open_of_any_age(coming) as connection:
        take_steps(connection, [step for step in schema.STEPS if step.version <= manifest.schema_version])
        for path, entry in manifest.files.items():
            tell(f"restoring {path}")
            folder, _, rest = path.partition("/")
            if folder in ("raw", "ops"):
                # Under a name of its own, so that nothing DuckDB keeps of one file can be taken for the next one's.
                file = work / f"{entry.sha256}.parquet"
                _fetch(area, path, entry, file)
                versions += _load(connection, folder, rest.partition("/")[0].removesuffix(".parquet"), file)
                file.unlink()
            else:
                prefix = RESTORED if folder in ("settings", "seeds") else "."
                _fetch(area, path, entry, coming / prefix / path)
        take_steps(connection, schema.steps_after(manifest.schema_version))
        # The tables that these builds made are not there any more.
        connection.execute("update ops.build set database_path = 'restored/' || build_id")
        connection.execute(
            "insert or replace into ops.backup values (?, ?, ?)", [area.url, manifest.backup_id, manifest.made_at]
        )
    releases = coming / "reporting" / "releases"
    if releases.exists():
        seal(releases)
    if manifest.served:
        put_in_place(releases / manifest.served / REPORTING_FILE, coming / "reporting" / REPORTING_FILE)
    return versions


def _fetch(area: LandingArea, path: str, entry: Entry, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with area.reading(area.path(OBJECTS, entry.sha256)) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream)
    except FileNotFoundError as error:
        raise BackupDamaged(f"{area.url}: {path}: {OBJECTS}/{entry.sha256} is missing; take another backup") from error
    if sha256(target) != entry.sha256:
        raise BackupDamaged(
            f"{area.url}: {path}: {OBJECTS}/{entry.sha256} is not what its name says "
            f"({target.stat().st_size:,} bytes, expected {entry.bytes:,}); take another backup"
        )


def _load(connection: duckdb.DuckDBPyConnection, schema: str, table: str, file: Path) -> int:
    if schema == "raw":
        connection.execute(f"create table if not exists raw.{quoted(table)} ({RAW_COLUMNS})")
    rows = connection.execute(
        f"insert into {schema}.{quoted(table)} by name from read_parquet({path_literal(file)})"
    ).fetchall()
    return int(rows[0][0]) if schema == "raw" else 0


def _make_room(home: Path, there: Sequence[Path], name: str) -> Path:
    """Move what is in a home into its `backups/`, where `kpimart forget` finds it; backups made there stay there."""
    aside = home / BACKUPS / name
    aside.mkdir(parents=True)
    for path in there:
        if path.name != BACKUPS:
            path.rename(aside / path.name)
    return aside


@contextmanager
def _work_folder(home: Path) -> Iterator[Path]:
    """A folder within the home, whose files can be renamed into it."""
    work = home / WORK_FOLDER
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
