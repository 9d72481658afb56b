"""The connection to PostgreSQL: one transaction, and its errors by the names of this package.

A release comes by Arrow through ADBC's binary COPY. Source: ADBC 1.13, PostgreSQL driver; PostgreSQL's appendix of
error codes.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.errors import AccessRefused, KpiMartError, SettingsError, TargetFailed, TargetUnavailable
from kpimart.settings import PostgresSettings

VARIABLE = "KPIMART_POSTGRES__URL"
CONNECT_SECONDS = 15
LOCK_SECONDS = 30
"""How long to wait for what a reader or another publisher holds: those who come later queue behind who waits."""

_SESSION = (
    "set standard_conforming_strings = on",
    "set timezone = 'UTC'",
    f"set lock_timeout = '{LOCK_SECONDS}s'",
    # Indexes of a first load are sorted in it; the default spills to disk from a million rows on.
    "set maintenance_work_mem = '256MB'",
    # Enough to plan by until autovacuum, which is told of the load when it is committed, looks closer.
    "set default_statistics_target = 10",
    "set search_path = reporting",
)
_REFUSALS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role .* (?:does not exist|is not permitted)|denied"
)
# Classes of SQLSTATE after which the same may succeed later: connection, rollback by deadlock, resources, a lock that
# was not got, an operator's intervention, a system error.
_PASSING = ("08", "40", "53", "55P03", "57", "58")


class TextRefused(TargetFailed):
    """A text holds what PostgreSQL's never do: a NUL."""


class Connection:
    """An open transaction. `execute`, `ask` and `ingest` raise what `errors` makes of the driver's errors."""

    def __init__(self, inner: adbc.Connection) -> None:
        self._inner = inner

    def execute(self, statement: str) -> int:
        """Run one statement; returns how many rows it changed, where it tells."""
        with errors(), self._inner.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.rowcount)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query; numerics come as text."""
        with errors(), self._inner.cursor() as cursor:
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def ingest(self, table: str, rows: pa.RecordBatchReader, *, is_temporary: bool = False) -> int:
        """Append to a table of the schema, or create a temporary one; returns how many rows.

        The rows are fetched while those before them are sent.
        """
        options: dict[str, Any] = (
            {"mode": "create", "temporary": True} if is_temporary else {"mode": "append", "db_schema_name": "reporting"}
        )
        with errors(), self._inner.cursor() as cursor:
            ahead = pa.RecordBatchReader.from_batches(rows.schema, _ahead(rows))
            return int(cursor.adbc_ingest(table, ahead, **options))

    def commit(self) -> None:
        """Make it all visible at once."""
        with errors():
            self._inner.commit()


@contextmanager
def connected(postgres: PostgresSettings) -> Iterator[Connection]:
    """A transaction that is rolled back unless it was committed.

    Raises SettingsError without an URL or for one that is none, AccessRefused, and TargetUnavailable.
    """
    if postgres.url is None:
        raise SettingsError(
            f"postgres.url: no database to load releases into; set {VARIABLE}=postgresql://user:password@host/database"
        )
    inner = _connect(postgres.url.get_secret_value())
    try:
        connection = Connection(inner)
        for statement in _SESSION:
            connection.execute(statement)
        yield connection
    finally:
        # A connection that was lost cannot be rolled back; the server has done so.
        with suppress(adbc_driver_manager.Error):
            inner.close()


def _connect(url: str) -> adbc.Connection:
    no_url = f"postgres.url: {VARIABLE} is no URL of a database; expected postgresql://user:password@host/database"
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(no_url)
    if "connect_timeout=" not in url:
        url += f"{'&' if '?' in url else '?'}connect_timeout={CONNECT_SECONDS}"
    try:
        return adbc.connect(url, autocommit=False)
    except adbc_driver_manager.Error as error:
        told = str(error).partition("Failed to connect: ")[2].strip()
        # What the library says of an URL that it cannot read may hold the password.
        if not told.startswith(("connection to server", "could not translate host name")):
            raise SettingsError(no_url) from None
        if re.search(r'database "[^"]*" does not exist', told):
            raise SettingsError(f"PostgreSQL: {told}; create it, or correct {VARIABLE}") from None
        if _REFUSALS.search(told):
            raise AccessRefused(f"PostgreSQL: {told}; correct {VARIABLE}, or grant the right") from None
        raise TargetUnavailable(f"PostgreSQL: {told}") from None


@contextmanager
def errors() -> Iterator[None]:
    """Turn the driver's error into AccessRefused, TargetUnavailable or TargetFailed, with what the server said."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise _named(error) from error


def _named(error: adbc_driver_manager.Error) -> KpiMartError:
    state = error.sqlstate
    told = str(error).partition("\n\nQuery was")[0].partition(". SQLSTATE")[0]
    told = told.rpartition("ERROR: ")[2].strip()
    if state == "42501":
        return AccessRefused(f"PostgreSQL: {told}; grant what kpimart export postgres-roles prints")
    if state is None or state.startswith(_PASSING):
        return TargetUnavailable(f"PostgreSQL: {told}")
    failure = TextRefused if state == "22021" else TargetFailed
    return failure(f"PostgreSQL: {told} (SQLSTATE {state})")


def _ahead(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The same batches, each read while the one before it is used."""

    def following() -> pa.RecordBatch | None:
        return next(rows, None)

    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(following)
        while (batch := coming.result()) is not None:
            coming = reader.submit(following)
            yield batch
