"""Loading a release into PostgreSQL: one transaction that replaces the rows of fixed tables.

Rows are deleted and inserted, never truncated, so that by MVCC every statement, and every transaction of REPEATABLE
READ, sees the one release or the other, whole. Where the release that the tables hold still lies on disk, only what
differs between the two is sent; the totals are counted again before the commit.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from kpimart.clock import Clock, utc_now
from kpimart.errors import KpiMartError, TargetFailed
from kpimart.publish import contract
from kpimart.publish.files import sha256
from kpimart.publish.manifest import MANIFEST_FILE
from kpimart.publish.postgres.access import Entry, make_scope, read_entries, unknown_ids
from kpimart.publish.postgres.connection import Connection, TextRefused, connected
from kpimart.publish.postgres.schema import SCHEMA, Prepared, Table, create_own_tables, index, prepare, require_usable
from kpimart.publish.release import find
from kpimart.publish.shelf import REPORTING_FILE, Release, Shelf
from kpimart.publish.tables import count_table
from kpimart.settings import Settings
from kpimart.sql import literal, quoted
from kpimart.warehouse import literal as path_literal
from kpimart.warehouse import open_memory, storage_errors

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

BATCH_ROWS = 8192
"""Rows that are sent at once: the server takes them while the next are prepared."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """What became of the target; rows as they were inserted and deleted. former_id: what it served before, if any."""

    release_id: str
    former_id: str | None
    inserted: int
    deleted: int
    is_access_changed: bool
    unknown_ids: tuple[str, ...]

    @property
    def is_unchanged(self) -> bool:
        """The target served this release already, to the same people."""
        return self.release_id == self.former_id and not (self.inserted or self.deleted or self.is_access_changed)


@dataclass(frozen=True)
class _Served:
    """What the target says it holds."""

    release_id: str
    manifest_sha256: str
    access_sha256: str
    rules_sha256: str


def export(
    settings: Settings, release_id: str | None = None, *, clock: Clock = utc_now, tell: Tell = lambda _: None
) -> Exported:
    """Let PostgreSQL serve a release, by default the one that is served from disk. To do it again changes nothing.

    tell: called with the name of each table when it is begun.
    Raises SettingsError, AccessRefused, TargetUnavailable, TargetFailed, ReleaseNotFound and ReleaseDamaged; after each
    of them PostgreSQL serves what it served.
    """
    entries = read_entries(settings.postgres.access)
    with _said_what_stays():
        try:
            return _load(settings, release_id, entries, clock, tell)
        except (_Drifted, TextRefused):
            tell("all rows anew")
            return _load(settings, release_id, entries, clock, tell, anew=True)


class _Drifted(TargetFailed):
    """The target does not hold the rows that it says it holds: somebody else wrote there."""


def _load(
    settings: Settings,
    release_id: str | None,
    entries: list[Entry],
    clock: Clock,
    tell: Tell,
    *,
    anew: bool = False,
) -> Exported:
    """anew: send every row, whatever the target says it holds, and each text without NUL."""
    with connected(settings.postgres) as server:
        require_usable(server)
        # Whoever else publishes waits here, and then sees what was done.
        server.ask("select pg_advisory_xact_lock(hashtext('kpimart'))::text")
        create_own_tables(server)
        release = _verified(settings.home, release_id) if release_id else find(settings.home)
        served = _served(server)
        manifest_sha256 = sha256(release.folder / MANIFEST_FILE)
        with _opened(settings.home, release, None if anew else served) as (connection, has_base):
            prepared = prepare(server, connection, served.rules_sha256 if served else None)
            deleted = inserted = 0
            if served is None or served.manifest_sha256 != manifest_sha256 or prepared.fresh or anew:
                deleted, inserted = _replace_rows(server, connection, prepared, has_base=has_base, mend=anew, tell=tell)
                tell("totals")
                _require_equal(server, connection)
            columns = [(table.name, tuple(table.columns)) for table in prepared.tables]
            access_sha256 = make_scope(connection, columns, entries)
            is_access_changed = served is None or served.access_sha256 != access_sha256
            if is_access_changed:
                _replace_scope(server, connection)
            this = _Served(release.release_id, manifest_sha256, access_sha256, prepared.rules_sha256)
            unknown = tuple(unknown_ids(connection, entries))
        if this != served:
            _record(server, this, clock)
        server.commit()
    former_id = served.release_id if served else None
    return Exported(release.release_id, former_id, inserted, deleted, is_access_changed, unknown)


def served_id(server: Connection) -> str | None:
    """The release that the target serves, or None before the first."""
    ((is_there,),) = server.ask(f"select to_regclass('{SCHEMA}.served_release') is not null")
    served = _served(server) if is_there else None
    return served.release_id if served else None


@contextmanager
def _said_what_stays() -> Iterator[None]:
    """Add to an error what somebody on call asks next."""
    try:
        yield
    except KpiMartError as error:
        error.args = (f"{error}\n  PostgreSQL serves what it served; then:  kpimart export postgres",)
        raise


def _verified(home: Path, release_id: str) -> Release:
    with storage_errors(f"verifying release {release_id}"):
        return Shelf(home).verified(release_id)


def _served(server: Connection) -> _Served | None:
    rows = server.ask(f"select release_id, manifest_sha256, access_sha256, rules_sha256 from {SCHEMA}.served_release")
    return _Served(*rows[0]) if rows else None


def _record(server: Connection, this: _Served, clock: Clock) -> None:
    values: tuple[str | datetime, ...] = (*astuple(this), clock())
    server.execute(f"delete from {SCHEMA}.served_release")
    server.execute(f"insert into {SCHEMA}.served_release values ({', '.join(map(literal, values))})")


@contextmanager
def _opened(home: Path, release: Release, served: _Served | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, bool]]:
    """DuckDB with the release as `coming`, and as `former` the one that the target holds, if it is as it was loaded."""
    with (
        storage_errors(f"reading release {release.release_id}"),
        TemporaryDirectory(dir=home) as spill,
        open_memory() as connection,
    ):
        connection.execute(f"set temp_directory = {path_literal(Path(spill))}")
        connection.execute(f"attach {path_literal(release.database)} as coming (read_only)")
        former = home / "reporting" / "releases" / served.release_id if served else None
        has_base = (
            served is not None
            and former is not None
            and (former / MANIFEST_FILE).exists()
            and sha256(former / MANIFEST_FILE) == served.manifest_sha256
            and former != release.folder
        )
        if former and has_base:
            connection.execute(f"attach {path_literal(former / REPORTING_FILE)} as former (read_only)")
        connection.execute("use coming")
        yield connection, has_base


# ---------------------------------------------------------------------------------------------------------------- rows


def _replace_rows(
    server: Connection,
    connection: duckdb.DuckDBPyConnection,
    prepared: Prepared,
    *,
    has_base: bool,
    mend: bool,
    tell: Tell,
) -> tuple[int, int]:
    """Let every table hold the release's rows; returns how many were deleted and inserted."""
    former = _columns_of_former(connection) if has_base else {}
    deleted = inserted = 0
    for table in prepared.tables:
        tell(table.name)
        if table.name in prepared.fresh:
            inserted += _send(server, connection, table, f"coming.{table.name}", mend=mend)
            index(server, table)
        elif table.key and former.get(table.name) == list(table.columns):
            gone, come = _send_difference(server, connection, table)
            deleted, inserted = deleted + gone, inserted + come
        else:
            deleted += server.execute(f"delete from {table.sql}")
            inserted += _send(server, connection, table, f"coming.{table.name}", mend=mend)
    for name in prepared.beside:
        deleted += server.execute(f"delete from {SCHEMA}.{quoted(name)}")
    return deleted, inserted


def _columns_of_former(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    return dict(
        connection.execute(
            """
            select table_name, list(column_name order by column_index)
            from duckdb_columns()
            where database_name = 'former'
            group by table_name
            """
        ).fetchall()
    )


def _send_difference(server: Connection, connection: duckdb.DuckDBPyConnection, table: Table) -> tuple[int, int]:
    """Delete the rows that are not in the release any more, and insert those that are new in it."""
    name, columns, key = table.name, table.names, ", ".join(map(quoted, table.key))
    for side in ("former", "coming"):
        connection.execute(
            f"""
            create or replace temp table hashed_{side} as
            select rowid as place, hash({key}) as key_hash, hash({columns}) as row_hash from {side}.{name}
            """
        )
    # Two hashes of 64 bits: a change is missed if a row of the same key has the same hash by accident.
    for found, side, other, wanted in (("gone", "former", "coming", key), ("come", "coming", "former", columns)):
        connection.execute(
            f"""
            create or replace temp table {found} as
            select {wanted} from {side}.{name}
            where rowid in (select place from hashed_{side} anti join hashed_{other} using (key_hash, row_hash))
            """
        )
    going = _count(connection, "gone")
    gone = 0
    if going:
        server.ingest(f"gone_{name}", _batches(connection, "gone", table.key), is_temporary=True)
        server.execute(f"analyze gone_{name}")
        same = " and ".join(f"present.{quoted(part)} = gone.{quoted(part)}" for part in table.key)
        gone = server.execute(f"delete from {table.sql} as present using gone_{name} as gone where {same}")
        server.execute(f"drop table gone_{name}")
    if gone != going:
        raise _Drifted(f"PostgreSQL: {table.sql} lacks {going - gone:,} of {going:,} rows that its release has")
    return gone, _send(server, connection, table, "come")


def _send(
    server: Connection, connection: duckdb.DuckDBPyConnection, table: Table, source: str, *, mend: bool = False
) -> int:
    """Insert the rows of `source`. mend: PostgreSQL's texts hold no NUL; where there is one, it becomes U+FFFD."""
    if not _count(connection, source):
        return 0
    texts = [name for name, data_type in table.columns.items() if data_type == "text"] if mend else []
    return server.ingest(table.name, _batches(connection, source, tuple(table.columns), texts))


def _batches(
    connection: duckdb.DuckDBPyConnection, source: str, names: tuple[str, ...], mended: Collection[str] = ()
) -> "pa.RecordBatchReader":
    columns = ", ".join(
        f"replace({quoted(name)}, chr(0), chr(65533)) as {quoted(name)}" if name in mended else quoted(name)
        for name in names
    )
    return connection.execute(f"select {columns} from {source}").to_arrow_reader(BATCH_ROWS)


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    ((rows,),) = connection.execute(f"select count(*) from {source}").fetchall()
    return int(rows)


def _replace_scope(server: Connection, connection: duckdb.DuckDBPyConnection) -> None:
    server.execute(f"delete from {SCHEMA}.access_scope")
    if _count(connection, "access_scope"):
        names = ("login", "manager_id", "department_id", "is_own")
        server.ingest("access_scope", _batches(connection, "access_scope", names))


def _require_equal(server: Connection, connection: duckdb.DuckDBPyConnection) -> None:
    """Raise TargetFailed unless every table has the rows and the control totals of the release."""
    names = connection.execute("select table_name from duckdb_tables() where database_name = 'coming'").fetchall()
    for table in contract.PUBLISHED:
        if (table.name,) in names:
            expected = count_table(connection, table)
            ((rows,),) = server.ask(f"select count(*) from {SCHEMA}.{table.name}")
            query = f"select name, total::text from ({table.totals}) as counted (name, total)"
            found: dict[str, str | None] = dict(server.ask(query)) if table.totals else {}
            if rows != expected.rows or found != expected.control_totals:
                raise _Drifted(
                    f"PostgreSQL: {SCHEMA}.{table.name} would have {rows:,} rows and totals {found}; expected "
                    f"{expected.rows:,} rows and {expected.control_totals}"
                )
