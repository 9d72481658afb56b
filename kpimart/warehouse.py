"""The only place that opens DuckDB: the warehouse under `$KPIMART_HOME`, and finished files to read.

One process writes the warehouse at a time. DuckDB's own file lock says so between processes; `writer_lock` holds the
place for the length of a run, in which the file is opened and closed several times.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from kpimart.errors import StorageFailed, WarehouseBusy

WAREHOUSE_FILE = "warehouse.duckdb"
WORKING_MEMORY = 512 * 1024**2
"""What DuckDB may keep in memory of work that passes much data through, in bytes."""
NEW_DATABASE = "release"

RAW_COLUMNS = """
    id varchar not null,
    updated_at timestamptz,
    is_deleted boolean not null,
    payload varchar not null,
    payload_hash varchar not null,
    extracted_at timestamptz not null,
    landed_at timestamptz not null,
    batch_id varchar not null
"""

OPS_TABLES = f"""
create schema if not exists raw;
create schema if not exists ops;

-- What people took upon themselves that a gate refused; there before the first, for every release asks for it.
create table if not exists raw.kpimart__override ({RAW_COLUMNS});
-- Which months people closed and reopened; every build reads it.
create table if not exists raw.kpimart__close ({RAW_COLUMNS});

-- One row per load package that was landed.
create table if not exists ops.batch (
    batch_id varchar primary key,
    source varchar not null,
    fetched_at timestamptz not null,
    landed_at timestamptz not null
);

-- One row per object of a batch: what was read, and what became of it.
create table if not exists ops.batch_object (
    batch_id varchar not null,
    source varchar not null,
    object varchar not null,
    extent varchar not null,
    rows_read bigint not null,
    versions_stored bigint not null,
    rows_quarantined bigint not null,
    rows_vanished bigint not null,
    rows_known_before bigint not null,
    cursor varchar,
    primary key (batch_id, object)
);
alter table ops.batch_object add column if not exists cursor varchar;

-- One row per field of a source's records that is new, has vanished or has another type than before.
create table if not exists ops.schema_change (
    batch_id varchar not null,
    source varchar not null,
    object varchar not null,
    field varchar not null,
    change varchar not null check (change in ('new', 'vanished', 'retyped')),
    was varchar,
    is_now varchar,
    seen_at timestamptz not null
);

-- One row per judged batch. Builds read accepted batches only.
create table if not exists ops.batch_verdict (
    batch_id varchar primary key,
    verdict varchar not null check (verdict in ('accepted', 'held')),
    judged_at timestamptz not null,
    reason varchar
);

-- One row per record that could not be used, with the reason and the record itself.
create table if not exists ops.quarantine (
    batch_id varchar not null,
    source varchar not null,
    object varchar not null,
    place varchar not null,
    record_id varchar,
    reason varchar not null,
    payload varchar not null,
    quarantined_at timestamptz not null
);

-- One row per record whose person was forgotten, and time that something of it was erased. What was erased is not kept:
-- text_hashes are SHA-256 of the texts that were searched for, to know them again; erased counts what was found.
create table if not exists ops.forgotten (
    source varchar not null,
    object varchar not null,
    record_id varchar not null,
    forgotten_at timestamptz not null,
    forgotten_by varchar not null,
    reason varchar not null,
    text_hashes varchar[] not null,
    erased varchar not null
);

-- One row per backup that was made of this home, and not removed since by this program.
create table if not exists ops.backup (
    place varchar not null,
    backup_id varchar not null,
    made_at timestamptz not null,
    primary key (place, backup_id)
);

-- One row per build: the two moments it speaks of, and the file it was made in.
create table if not exists ops.build (
    build_id varchar primary key,
    as_of timestamptz not null,
    known_at timestamptz not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    database_path varchar not null
);

-- One row per build whose tables the next one may go on with: a hash of what made them, code and settings.
create table if not exists ops.recipe (
    build_id varchar primary key,
    recipe varchar not null
);

-- One row per model, seed and test of a build, and time that it was run: how it ended, and how long it took.
create table if not exists ops.model_run (
    build_id varchar not null,
    node varchar not null,
    kind varchar not null,
    status varchar not null,
    started_at timestamptz not null,
    seconds double not null,
    message varchar
);

-- One row per expectation of a gate; subject_id is the batch or the build that was judged.
create table if not exists ops.quality_result (
    subject_id varchar not null,
    boundary varchar not null check (boundary in ('raw', 'reporting')),
    table_name varchar not null,
    expectation varchar not null,
    severity varchar not null,
    outcome varchar not null check (outcome in ('passed', 'failed', 'errored')),
    observed varchar,
    expected varchar,
    samples varchar,
    judged_at timestamptz not null
);
"""


def raw_table(source: str, object_name: str) -> str:
    """The qualified name of the raw table of a source's object, such as `raw.files__deals`."""
    return f"raw.{source}__{object_name}"


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system and DuckDB say of a disk or a folder into a StorageFailed that names it."""
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
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


@contextmanager
def writer_lock(home: Path, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the one writer's place of `home`; raises WarehouseBusy when another run has it after `wait_seconds`."""
    with storage_errors(f"working in {home}"):
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "writer.lock", timeout=wait_seconds)
        holder = home / "writer.pid"
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
    """Open the warehouse for writing, with its raw and ops schemas in place; times are in UTC."""
    with storage_errors(f"working on {home / WAREHOUSE_FILE}"), _connect(home / WAREHOUSE_FILE) as connection:
        connection.execute(OPS_TABLES)
        yield connection


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
    """Open any other DuckDB file, a release or a scratch build; times are in UTC."""
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


def open_memory() -> duckdb.DuckDBPyConnection:
    """A database in memory, to look into Parquet files with; times are in UTC."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), read_only=read_only)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def literal(path: Path) -> str:
    """A path in SQL where no parameter can be bound, as in `attach`."""
    return "'" + str(path).replace("'", "''") + "'"
