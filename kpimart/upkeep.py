"""Upkeep: what nobody can ask for any more is removed, and the warehouse's file is made as small as what it holds.

Raw loses nothing that a build reads at whatever `known_at`: accepted versions are the evidence that the ledger is made
of, each of them. What goes are the versions of batches that the raw gate held and that nobody can accept any more, the
records in landed packages, which raw has, and releases beyond those that the settings keep.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from kpimart.clock import Clock
from kpimart.extract.packages import account_files, complete_packages
from kpimart.publish.files import sync
from kpimart.publish.retention import remove_outlived
from kpimart.settings import Settings
from kpimart.sql import quoted
from kpimart.warehouse import NEW_DATABASE, WAREHOUSE_FILE, create_database, open_warehouse, storage_errors, writer_lock

FREE_SHARE = 0.25
"""The warehouse is written anew when so much of its file is free."""


@dataclass(frozen=True)
class Kept:
    """What was removed, and the size of the warehouse's file, in bytes, before and after."""

    releases: tuple[str, ...]
    packages: int
    held_versions: int
    bytes_before: int
    bytes_after: int


def keep_up(settings: Settings, *, clock: Clock, tell: Callable[[str], None]) -> Kept:
    """Do all of it; killed anywhere, it is called again. Raises WarehouseBusy while a run writes, and StorageFailed."""
    home, warehouse = settings.home, settings.home / WAREHOUSE_FILE
    with writer_lock(home), storage_errors(f"keeping {home} in order"):
        releases = remove_outlived(home, settings.retention, settings.zone, tell)
        for leftover in (home / "scratch").glob("verify-*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        if not warehouse.exists():
            return Kept(tuple(releases), 0, 0, 0, 0)
        size = warehouse.stat().st_size
        before = clock() - timedelta(days=settings.retention.landed_days)
        with open_warehouse(home) as connection:
            packages = _empty_packages(settings, connection, before, tell)
            held = _remove_held(connection, before)
            connection.execute("checkpoint")
            free = _free_share(connection)
        if free >= FREE_SHARE:
            tell("writing the warehouse anew")
            _compact(settings)
        return Kept(tuple(releases), packages, held, size, warehouse.stat().st_size)


def _empty_packages(
    settings: Settings, connection: duckdb.DuckDBPyConnection, before: datetime, tell: Callable[[str], None]
) -> int:
    """Remove the records of packages landed before; their accounts stay, which say where the next fetch goes on."""
    rows = connection.execute("select batch_id from ops.batch where landed_at < ?", [before]).fetchall()
    landed, emptied = {batch_id for (batch_id,) in rows}, 0
    for package in complete_packages(settings):
        if package.batch_id not in landed:
            continue
        kept = set(account_files(package))
        files = [(table, file) for table in package.tables() for file in package.files(table) if file not in kept]
        for table, file in files:
            package.area.remove(package.folder, table, file.rpartition("/")[2])
        if files:
            tell(f"emptied package {package.batch_id}")
            emptied += 1
    return emptied


def _remove_held(connection: duckdb.DuckDBPyConnection, before: datetime) -> int:
    """Remove versions of batches that were held before, and can be accepted no more: a later one of the object was."""
    tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
    out_of_date = """
        select held_part.batch_id
        from ops.batch_object as held_part
        inner join ops.batch_verdict as held on held_part.batch_id = held.batch_id
        inner join ops.batch_object as later_part
            on held_part.source = later_part.source and held_part.object = later_part.object
        inner join ops.batch_verdict as later on later_part.batch_id = later.batch_id
        where
            held.verdict = 'held' and held.judged_at < ?
            and later.verdict = 'accepted' and later.judged_at > held.judged_at
    """
    removed = 0
    connection.begin()
    for (table,) in tables:
        rows = connection.execute(
            f"""
            delete from raw.{quoted(table)}
            where batch_id in ({out_of_date})
            """,
            [before.astimezone(UTC)],
        ).fetchall()
        removed += rows[0][0]
    connection.commit()
    return removed


def _free_share(connection: duckdb.DuckDBPyConnection) -> float:
    total, free = connection.execute("select total_blocks, free_blocks from pragma_database_size()").fetchall()[0]
    return float(free / total) if total else 0.0


def _compact(settings: Settings) -> None:
    """Write what the file holds into a new one and put that in its place, in one step."""
    warehouse = settings.home / WAREHOUSE_FILE
    coming = warehouse.with_name(f".{warehouse.name}.next")
    coming.unlink(missing_ok=True)
    try:
        with create_database(coming, beside={"old": warehouse}) as connection:
            connection.execute(f"copy from database old to {NEW_DATABASE}")
        sync(coming)
        coming.replace(warehouse)
        sync(settings.home)
    finally:
        coming.unlink(missing_ok=True)
