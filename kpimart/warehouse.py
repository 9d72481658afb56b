"""The only place that opens DuckDB: the warehouse under `$KPIMART_HOME`, and finished files to read.

One process writes the warehouse at a time. DuckDB's own file lock says so between processes; `writer_lock` holds the
place for the length of a run, in which the file is opened and closed several times.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from kpimart import schema
from kpimart.errors import ProgramTooOld, StorageFailed, UpgradeNeeded, WarehouseBusy
from kpimart.schema import RAW_COLUMNS as RAW_COLUMNS
from kpimart.schema import Step

WAREHOUSE_FILE = "warehouse.duckdb"
HOLDER_FILE = "writer.pid"
"""Holds the number of the process that has the writer's place, from when it took it."""
WORKING_MEMORY = 512 * 1024**2
"""What DuckDB may keep in memory of work that passes much data through, in bytes."""
NEW_DATABASE = "release"
MEMORY = ":memory:"


def raw_table(source: str, object_name: str) -> str:
    """The qualified name of the raw table of a source's object, such as `raw.files__deals`."""
    return f"raw.{source}__{object_name}"


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system and DuckDB say of a disk or a folder into a StorageFailed that names it."""
    try:
        yield
    except OSError as error:
        what = "the disk is full" if _comes_of_a_full_disk(error) else error.strerror or str(error)
        raise StorageFailed(
            f"{doing}: {what} ({error.filename or 'no file named'}); make room or grant the right, then rerun"
        ) from error
    except duckdb.Error as error:
        if "Conflicting lock" in str(error):
            raise WarehouseBusy(f"{doing}: another process holds the file: {error}") from error
        # A commit that cannot be written, or whose folder is gone, is a TransactionException. What does not fit into
        # memory any more does not fit onto the disk either, onto which it would have been spilled.
        is_storage = isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException)
        if not is_storage and not any(said in str(error) for said in ("Could not write file", "Cannot open file")):
            raise
        raise StorageFailed(f"{doing}: {error}; look after the room and the rights there, then rerun") from error


def _comes_of_a_full_disk(error: BaseException | None) -> bool:
    """Whether a disk was full, or what was not written then is missed now by who cleans up after it."""
    # What was raised from one of its own consequences comes round to itself.
    met: set[int] = set()
    while error is not None and id(error) not in met:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        met.add(id(error))
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def writer_lock(home: Path, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the one writer's place of `home`; raises WarehouseBusy when another run has it after `wait_seconds`."""
    with storage_errors(f"working in {home}"):
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "writer.lock", timeout=wait_seconds)
        holder = home / HOLDER_FILE
        try:
            lock.acquire()
        except Timeout:
            raise WarehouseBusy(
                f"another run (process {_pid(holder)}) is writing {home}; wait for it to end, or stop it, then rerun"
            ) from None
        try:
            holder.write_text(str(os.getpid()))
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def _pid(holder: Path) -> str:
    """Who has the writer's place; they may be just taking it, or leaving it."""
    try:
        return holder.read_text() or "unknown"
    except FileNotFoundError:
        return "unknown"


@contextmanager
def open_warehouse(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing, with its raw and ops schemas in place; times are in UTC.

    Raises UpgradeNeeded if they are those of an older program, ProgramTooOld if they are those of a newer one.
    """
    with open_of_any_age(home) as connection:
        found = schema.version_of(connection)
        if found == 0:
            with transaction(connection):
                take_steps(connection, schema.steps_after(0))
        elif found < schema.version():
            raise UpgradeNeeded(
                f"{home / WAREHOUSE_FILE} has schema {found}, and this program works with {schema.version()}; nothing "
                "was started\n  what now   kpimart upgrade --check says what is new, kpimart upgrade brings it"
            )
        yield connection


@contextmanager
def open_of_any_age(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing as it is, of this program's schema or an older one; raises ProgramTooOld."""
    path = home / WAREHOUSE_FILE
    with storage_errors(f"working on {path}"), _connect(path) as connection:
        refuse_newer(schema.version_of(connection), str(path))
        yield connection


def refuse_newer(found: int, what: str) -> None:
    """Raise ProgramTooOld where the schema of something is one that this program does not know."""
    if found > schema.version():
        raise ProgramTooOld(
            f"{what} has schema {found}, of a newer program, and this one knows none after {schema.version()}; nothing "
            "was changed\n  what now   install the newer program again, or restore the backup from before the upgrade"
        )


def take_steps(connection: duckdb.DuckDBPyConnection, steps: Iterable[Step]) -> None:
    """Bring the schema further; runs in the caller's transaction."""
    for step in steps:
        connection.execute(step.sql)
        if step.version >= schema.COUNTED_FROM:
            connection.execute("insert into ops.schema_step values (?, current_timestamp)", [step.version])


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What the block does is done when it ends, or is not done at all."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def little_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within the block DuckDB spills onto the disk what goes beyond WORKING_MEMORY; less where less is allowed."""
    usual, allowed = connection.execute(
        "select current_setting('memory_limit') as usual, least(parse_formatted_bytes(usual), $most)",
        {"most": WORKING_MEMORY},
    ).fetchall()[0]
    connection.execute(f"set memory_limit = '{allowed}B'")
    try:
        yield
    finally:
        connection.execute(f"set memory_limit = '{usual}'")


@contextmanager
def open_database(path: Path, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open any other DuckDB file, a release or a scratch build; times are in UTC.

    A path that begins with MEMORY is a database in the memory of this process, and empty once nobody has it open.
    """
    with storage_errors(f"working on {path}"), _connect(path, read_only=read_only) as connection:
        yield connection


@contextmanager
def create_database(path: Path, *, beside: Mapping[str, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Create a DuckDB file that drivers since 1.0 can open; it has one file and no WAL when the block is left.

    Unqualified names mean the new file. `beside` are finished files, attached read-only under the names they are given.
    What does not fit into memory is spilled beside the new file, not into whatever folder the process was started in.
    """
    spill = path.with_name(f"{path.name}.spill")
    with storage_errors(f"writing {path}"):
        try:
            with open_memory() as connection:
                connection.execute(f"set temp_directory = {literal(spill)}")
                connection.execute(f"attach {literal(path)} as {NEW_DATABASE} (storage_version 'v1.0.0')")
                for name, file in beside.items():
                    connection.execute(f"attach {literal(file)} as {name} (read_only)")
                connection.execute(f"use {NEW_DATABASE}")
                yield connection
                connection.execute("use memory")
                connection.execute(f"checkpoint {NEW_DATABASE}")
                connection.execute(f"detach {NEW_DATABASE}")
        finally:
            shutil.rmtree(spill, ignore_errors=True)


def open_memory(path: Path = Path(MEMORY)) -> duckdb.DuckDBPyConnection:
    """A database in memory, to look into files with; times are in UTC.

    path: MEMORY and a name, by which this process can open it again for as long as somebody has it open.
    """
    return _connect(path)


def _connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), read_only=read_only and not str(path).startswith(MEMORY))
    connection.execute("set TimeZone = 'UTC'")
    return connection


def literal(path: Path) -> str:
    """A path in SQL where no parameter can be bound, as in `attach`."""
    return "'" + str(path).replace("'", "''") + "'"
