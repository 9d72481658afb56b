"""Publishing a build, and going back: what is served changes by one atomic replace.

`reporting/reporting.duckdb` is what people open; it is the file `reporting/releases/<release_id>/reporting.duckdb` of
one release. Which one is asked of the file itself and written nowhere else, so the two cannot disagree. A crash leaves
the old or the new release current, and at most a `.partial` folder that the next publish removes.

`publish` and `rollback` change what is served: the caller holds `warehouse.writer_lock`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from kpimart.build import Build
from kpimart.clock import Clock, utc_now
from kpimart.errors import BuildFailed, ReleaseDamaged, ReleaseNotFound, StorageFailed
from kpimart.publish import contract, gate, tables
from kpimart.publish.code_version import code_version
from kpimart.publish.files import put_in_place, seal, sha256, sync
from kpimart.publish.manifest import (
    MANIFEST_FILE,
    BatchRecord,
    FileRecord,
    Gate,
    Manifest,
    Previous,
    TableRecord,
    write_manifest,
)
from kpimart.publish.shelf import REPORTING_FILE, Release, Shelf
from kpimart.publish.swap import finish_replacing
from kpimart.publish.tables import Origin, ReleaseRow
from kpimart.warehouse import WAREHOUSE_FILE, create_database, storage_errors

PARQUET_FOLDER = "parquet"
DOCUMENTS_FOLDER = "data_docs"

Tell = Callable[[str], None]


def silently(_: str) -> None:
    """Tell nobody."""


def served_file(home: Path) -> Path:
    """The file people open: the current release."""
    return Shelf(home).served


def publish(
    build: Build,
    home: Path,
    *,
    clock: Clock = utc_now,
    make_current: bool = False,
    documents: Path | None = None,
    tell: Tell = silently,
) -> Release:
    """Make a release of a build, and make it current unless it speaks of an earlier moment than the current one does.

    make_current: make it current even then. documents: the Data Docs of its judgement, if there are any, which become
    a part of the release. tell: called with the name of each table when it is begun.
    Publishing a build again returns the release there is, made current by the same rule.
    Raises GateRefused when the record in `ops` does not let the build out, BuildFailed when it breaks the published
    contract, ReleaseDamaged when the build's release is there and damaged, and StorageFailed. After each of them what
    was served is served.
    """
    with storage_errors(f"publishing release {build.build_id}"):
        finish_replacing(home)
        shelf = Shelf(home)
        _sweep(shelf)
        if shelf.folder(build.build_id).exists():
            _require_same(shelf, build)
        else:
            _make(build, home, shelf, clock(), documents, tell)
        if make_current or not shelf.is_outdated(build.as_of, build.known_at):
            put_in_place(shelf.folder(build.build_id) / REPORTING_FILE, shelf.served)
        return Shelf(home).release(build.build_id)


def rollback(home: Path, release_id: str | None = None) -> Release:
    """Make a release current, forward or back, after its checksums were found right; by default the one before.

    Raises ReleaseNotFound, ReleaseDamaged and StorageFailed; after each of them what was served is served.
    """
    with storage_errors("rolling back"):
        finish_replacing(home)
        shelf = Shelf(home)
        target = shelf.verified(release_id or shelf.one_before())
        put_in_place(target.database, shelf.served)
        return Shelf(home).release(target.release_id)


def releases(home: Path) -> list[Release]:
    """All kept releases whose manifest is sound, last published first. `damaged_releases` has the others."""
    shelf = Shelf(home)
    return [shelf.release(manifest.release_id) for manifest in shelf.kept]


def damaged_releases(home: Path) -> dict[str, str]:
    """Releases that cannot be listed: release_id → what is wrong with the manifest."""
    return dict(Shelf(home).unreadable)


def current(home: Path) -> Release | None:
    """The release that is served, or None before the first.

    Raises ReleaseDamaged when what is served is none of the sound releases.
    """
    shelf = Shelf(home)
    if not shelf.served.exists():
        return None
    if shelf.served_id is None:
        raise ReleaseDamaged(f"{shelf.served} is none of the releases; go back to a sound one with kpimart rollback")
    return shelf.release(shelf.served_id)


def find(home: Path, release_id: str | None = None) -> Release:
    """A release by its id, or the one that is served; raises ReleaseNotFound and ReleaseDamaged."""
    release = current(home) if release_id is None else Shelf(home).release(release_id)
    if release is None:
        raise ReleaseNotFound(f"{home} serves no release yet; make the first with kpimart run")
    return release


def verify_release(home: Path, release_id: str) -> Release:
    """Check a release against its manifest, and its manifest against the next one's record of it.

    Raises ReleaseDamaged that names everything found wrong, ReleaseNotFound, and StorageFailed.
    """
    with storage_errors(f"verifying release {release_id}"):
        return Shelf(home).verified(release_id)


@dataclass(frozen=True)
class _Contents:
    gate: Gate
    batches: tuple[BatchRecord, ...]
    tables: dict[str, TableRecord]
    catalogue_sha256: str


def _make(build: Build, home: Path, shelf: Shelf, published_at: datetime, documents: Path | None, tell: Tell) -> None:
    """Make the release's folder: whole, durable, and only then under its final name."""
    last = next(iter(shelf.newest_first), None)
    this = ReleaseRow(
        release_id=build.build_id,
        as_of=build.as_of,
        known_at=build.known_at,
        published_at=published_at,
        previous_release_id=last.release_id if last else None,
        code_version=code_version(),
        is_this_release=True,
    )
    with _partial_folder(shelf.place / f".{build.build_id}.partial") as partial:
        contents = _write(build, home, partial, (list(_history(shelf)), this), last.raw_batches if last else (), tell)
        if documents:
            shutil.copytree(documents, partial / DOCUMENTS_FOLDER)
        tell("checksums")
        manifest = Manifest(
            contract_version=contract.CONTRACT_VERSION,
            release_id=build.build_id,
            sequence=last.sequence + 1 if last else 1,
            as_of=build.as_of,
            known_at=build.known_at,
            published_at=published_at,
            code_version=this.code_version,
            catalogue_sha256=contents.catalogue_sha256,
            raw_batches=contents.batches,
            gate=contents.gate,
            tables=contents.tables,
            files=file_records(partial),
            previous=_link_to(shelf, last) if last else None,
        )
        write_manifest(manifest, partial)
        seal(partial)
        partial.rename(shelf.folder(build.build_id))
        sync(shelf.place)


def _write(
    build: Build,
    home: Path,
    partial: Path,
    releases: tuple[list[ReleaseRow], ReleaseRow],
    recorded: tuple[BatchRecord, ...],
    tell: Tell,
) -> _Contents:
    """Write the DuckDB and Parquet files, and say what is in them. releases: those before this one, and this one."""
    beside, origin = _origin(build, home)
    earlier, this = releases
    database = partial / REPORTING_FILE
    with create_database(database, beside=beside) as connection:
        verdict = gate.require_passed(connection, build, origin.ops)
        tables.check_contract(connection, origin)
        connection.begin()
        history = [*earlier, replace(this, overridden_by=verdict.overridden_by)]
        tables.copy_tables(connection, origin, history, tell)
        connection.commit()
        tables.write_parquet(connection, partial / PARQUET_FOLDER, (table.name for table in contract.PUBLISHED), tell)
        contents = _Contents(
            gate=verdict,
            batches=tables.read_batches(connection, origin, recorded),
            tables=tables.count_tables(connection),
            catalogue_sha256=tables.hash_catalogue(connection),
        )
    if database.with_name(f"{database.name}.wal").exists():
        raise StorageFailed(
            f"DuckDB closed the file of release {build.build_id} but left a WAL beside it; publish again"
        )
    return contents


def _origin(build: Build, home: Path) -> tuple[dict[str, Path], Origin]:
    """The files to attach, and what they are called then. One file is attached once."""
    warehouse = home / WAREHOUSE_FILE
    if build.database.resolve() == warehouse.resolve():
        return {"warehouse": warehouse}, Origin(build, built="warehouse", ops="warehouse")
    return {"build": build.database, "warehouse": warehouse}, Origin(build, built="build", ops="warehouse")


def _history(shelf: Shelf) -> Iterator[ReleaseRow]:
    for manifest in shelf.manifests.values():
        yield ReleaseRow(
            release_id=manifest.release_id,
            as_of=manifest.as_of,
            known_at=manifest.known_at,
            published_at=manifest.published_at,
            previous_release_id=manifest.previous.release_id if manifest.previous else None,
            code_version=manifest.code_version,
            is_this_release=False,
            overridden_by=manifest.gate.overridden_by,
        )


def file_records(folder: Path) -> dict[str, FileRecord]:
    """Size and SHA-256 of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    records = [FileRecord(bytes=file.stat().st_size, sha256=sha256(file)) for file in files]
    return {file.relative_to(folder).as_posix(): record for file, record in zip(files, records, strict=True)}


def _link_to(shelf: Shelf, last: Manifest) -> Previous:
    return Previous(release_id=last.release_id, manifest_sha256=sha256(shelf.folder(last.release_id) / MANIFEST_FILE))


@contextmanager
def _partial_folder(partial: Path) -> Iterator[Path]:
    """A folder that is removed at once when the block fails: the disk may be full."""
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sweep(shelf: Shelf) -> None:
    """Remove what an interrupted publish left."""
    for leftover in shelf.place.glob(".*.partial"):
        shutil.rmtree(leftover)


def _require_same(shelf: Shelf, build: Build) -> None:
    """The release there is must be whole, and of this build."""
    there = shelf.verified(build.build_id)
    if (there.as_of, there.known_at) != (build.as_of, build.known_at):
        raise BuildFailed(
            f"release {there.release_id} is there already, as of {there.as_of} known at {there.known_at}, but the "
            f"build of that name is as of {build.as_of} known at {build.known_at}; build again, under a name of its own"
        )
