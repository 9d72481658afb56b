"""One process writes the warehouse, and what a disk or a folder refuses is said by name."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import StorageFailed, WarehouseBusy
from kpimart.warehouse import (
    WAREHOUSE_FILE,
    create_database,
    little_memory,
    open_database,
    open_memory,
    open_warehouse,
    raw_table,
    storage_errors,
    writer_lock,
)

HOLD = """
import sys
from pathlib import Path
from kpimart.warehouse import open_warehouse, writer_lock
with writer_lock(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.readline()
"""

HOLD_FILE = HOLD.replace("with writer_lock(", "with open_warehouse(")

# A limit on the size of a file is a full disk that a test can have: the write fails, and so says the system.
FILL = """
import resource, signal, sys
from pathlib import Path
from kpimart.warehouse import create_database, open_warehouse
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
home, what = Path(sys.argv[1]), sys.argv[2]
with open_warehouse(home):
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
rows = "select i, md5(i::varchar) as text from range({}) as numbers (i)"
match what:
    case "a_table":
        with open_warehouse(home) as connection:
            connection.execute(f"create table big as {rows.format(200_000)}")
    case "a_commit":
        with open_warehouse(home) as connection:
            connection.execute(f"create table big as {rows.format(10)}")
            for _ in range(10):
                connection.execute(f"insert into big {rows.format(5_000)}")
    case "a_new_file":
        with create_database(home / "release.duckdb", beside={}) as connection:
            connection.execute(f"create table big as {rows.format(200_000)}")
"""

WRITE = """
import os, sys
from pathlib import Path
from kpimart.warehouse import create_database, open_database, open_warehouse, writer_lock
os.geteuid() or os.setuid(int(sys.argv[3]))
with {opening} as connection:
    pass
"""


@contextmanager
def another_process(script: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds something of a home until the block ends, or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        try:
            yield process
        finally:
            process.kill()


def last_words(script: str, *arguments: object) -> str:
    """What a script says at its end, its error included."""
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1]


# One writer


def test_a_second_run_is_told_who_is_writing(tmp_path: Path) -> None:
    with another_process(HOLD, tmp_path) as first:
        with pytest.raises(WarehouseBusy) as refused, writer_lock(tmp_path):
            pass
        assert str(refused.value) == (
            f"another run (process {first.pid}) is writing {tmp_path}; wait for it to end, or stop it, then rerun"
        )


def test_a_second_run_of_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        with pytest.raises(WarehouseBusy, match=f"process {os.getpid()}"), writer_lock(tmp_path):
            pass
        with pytest.raises(WarehouseBusy), writer_lock(tmp_path):
            pass


def test_a_run_that_was_killed_leaves_its_place(tmp_path: Path) -> None:
    with another_process(HOLD, tmp_path) as killed:
        pass
    assert (tmp_path / "writer.pid").read_text() == str(killed.pid)
    with writer_lock(tmp_path):
        assert (tmp_path / "writer.pid").read_text() == str(os.getpid())
    assert not (tmp_path / "writer.pid").exists()


def test_a_run_that_fails_leaves_its_place(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writer_lock(tmp_path):
        raise ZeroDivisionError
    with writer_lock(tmp_path):
        pass


def test_a_run_may_wait_for_the_one_before(tmp_path: Path) -> None:
    with another_process(HOLD, tmp_path) as first:
        assert first.stdin is not None
        first.stdin.write("\n")
        first.stdin.flush()
        with writer_lock(tmp_path, wait_seconds=20):
            assert first.wait(timeout=20) == 0


def test_who_holds_the_place_may_not_have_said_so_yet(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        (tmp_path / "writer.pid").unlink()
        with pytest.raises(WarehouseBusy, match=r"process unknown"), writer_lock(tmp_path):
            pass


def test_a_home_is_made_where_there_is_none(tmp_path: Path) -> None:
    with writer_lock(tmp_path / "new" / "home"):
        assert (tmp_path / "new" / "home").is_dir()


def test_a_file_that_another_process_has_open_is_busy_and_not_broken(tmp_path: Path) -> None:
    busy = pytest.raises(WarehouseBusy, match=r"warehouse.duckdb: another process holds the file")
    with another_process(HOLD_FILE, tmp_path), busy, open_warehouse(tmp_path):
        pass


# What a disk or a folder refuses


@pytest.mark.parametrize("what", ["a_table", "a_commit", "a_new_file"])
def test_a_disk_that_gets_full_while_duckdb_writes_is_a_storage_failure(tmp_path: Path, what: str) -> None:
    said = last_words(FILL, tmp_path, what)
    assert said.startswith("kpimart.errors.StorageFailed: w")
    assert f"{'release' if what == 'a_new_file' else 'warehouse'}.duckdb" in said
    assert "Could not write file" in said


def test_what_fits_neither_into_memory_nor_onto_the_disk_is_a_storage_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"working on .*warehouse.duckdb: Out of Memory Error"):
        sort_much(tmp_path)


def sort_much(home: Path) -> None:
    with open_warehouse(home) as connection:
        connection.execute("set memory_limit = '20MB'; set threads = 1; set max_temp_directory_size = '0MB'")
        connection.execute("create table big as select md5(i::varchar) as a from range(1_000_000) r (i) order by a")


@pytest.mark.parametrize(
    "opening",
    [
        "writer_lock(Path(sys.argv[1]))",
        "writer_lock(Path(sys.argv[1]) / 'new')",
        "open_warehouse(Path(sys.argv[1]))",
        "create_database(Path(sys.argv[1]) / 'new.duckdb', beside={})",
    ],
)
def test_a_folder_without_permission_is_a_storage_failure_that_names_it(
    tmp_path: Path, nobody: int, opening: str
) -> None:
    tmp_path.chmod(0o555)
    said = last_words(WRITE.format(opening=opening), tmp_path, "", nobody)
    tmp_path.chmod(0o755)
    assert said.startswith("kpimart.errors.StorageFailed: ")
    assert str(tmp_path) in said
    assert "Permission denied" in said or "Cannot open file" in said


def test_a_file_without_permission_is_a_storage_failure_that_names_it(tmp_path: Path, nobody: int) -> None:
    with open_warehouse(tmp_path):
        pass
    (tmp_path / WAREHOUSE_FILE).chmod(0)
    said = last_words(WRITE.format(opening="open_warehouse(Path(sys.argv[1]))"), tmp_path, "", nobody)
    assert said.startswith(f"kpimart.errors.StorageFailed: working on {tmp_path / WAREHOUSE_FILE}: ")
    assert "Permission denied" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "var/x"), "landing: the disk is full (var/x); make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "var/x"), "landing: the disk is full (var/x); make room"),
        (PermissionError(errno.EACCES, "Permission denied", "var/x"), "landing: Permission denied (var/x); make room"),
        (OSError("no more"), "landing: no more (no file named); make room"),
    ],
)
def test_what_the_system_refuses_is_a_storage_failure(error: OSError, said: str) -> None:
    with pytest.raises(StorageFailed) as failed, storage_errors("landing"):
        raise error
    assert str(failed.value) == f"{said} or grant the right, then rerun"
    assert failed.value.__cause__ is error


def test_what_is_missing_since_the_disk_was_full_is_told_as_a_full_disk() -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "var/x")
    missing.__context__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageFailed, match="landing: the disk is full"), storage_errors("landing"):
        raise missing


def test_an_error_that_was_raised_from_its_own_consequence_is_told() -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "var/x")
    wrapped = RuntimeError("reading failed")
    wrapped.__cause__ = refused
    with pytest.raises(StorageFailed, match="landing: Permission denied"), storage_errors("landing"):
        raise refused from wrapped


def test_a_file_that_is_no_database_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / WAREHOUSE_FILE).write_text("not a database" * 1000)
    with pytest.raises(StorageFailed, match="not a valid DuckDB database file"), open_warehouse(tmp_path):
        pass


@pytest.mark.parametrize("query", ["select nothing", "select 1 / 'a'", "selec"])
def test_a_wrong_query_is_no_storage_failure(tmp_path: Path, query: str) -> None:
    with pytest.raises(duckdb.Error), open_warehouse(tmp_path) as connection:
        connection.execute(query)


# Opening


def test_the_warehouse_has_its_tables_and_speaks_utc(tmp_path: Path) -> None:
    for _ in range(2):
        with open_warehouse(tmp_path) as connection:
            tables = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
            zone = connection.execute("select current_setting('TimeZone')").fetchone()
    assert {name for (name,) in tables} == {
        "ops.batch",
        "ops.batch_object",
        "ops.batch_verdict",
        "ops.quarantine",
        "ops.forgotten",
        "ops.schema_change",
        "ops.backup",
        "ops.build",
        "ops.recipe",
        "ops.model_run",
        "ops.forecast_fit",
        "ops.forecast_vintage",
        "ops.quality_result",
        "ops.schema_step",
        "raw.kpimart__override",
        "raw.kpimart__close",
        "raw.kpimart__target",
    }
    assert zone == ("UTC",)


def test_a_database_is_opened_to_be_read(tmp_path: Path) -> None:
    with open_warehouse(tmp_path):
        pass
    with open_database(tmp_path / WAREHOUSE_FILE) as connection:
        assert connection.execute("select count(*) from ops.batch").fetchone() == (0,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("delete from ops.batch")


@pytest.mark.parametrize(("usual", "meanwhile"), [("2.0 GiB", "512.0 MiB"), ("128.0 MiB", "128.0 MiB")])
def test_much_work_is_done_in_little_memory(tmp_path: Path, usual: str, meanwhile: str) -> None:
    limit = "select current_setting('memory_limit')"
    with open_warehouse(tmp_path) as connection:
        connection.execute(f"set memory_limit = '{usual}'")
        with little_memory(connection):
            assert connection.execute(limit).fetchone() == (meanwhile,)
        assert connection.execute(limit).fetchone() == (usual,)


def test_a_new_database_lies_in_one_file_beside_those_it_was_made_of(tmp_path: Path) -> None:
    with open_warehouse(tmp_path):
        pass
    folder = tmp_path / "O'Brien's"
    folder.mkdir()
    (tmp_path / WAREHOUSE_FILE).rename(folder / WAREHOUSE_FILE)
    made = folder / "it's new.duckdb"
    with create_database(made, beside={"warehouse": folder / WAREHOUSE_FILE}) as connection:
        connection.execute("create table batches as select * from warehouse.ops.batch")
    assert sorted(path.name for path in folder.iterdir()) == ["it's new.duckdb", WAREHOUSE_FILE]
    with open_database(made) as connection:
        assert connection.execute("select count(*) from batches").fetchone() == (0,)


def test_a_database_in_memory_speaks_utc() -> None:
    with open_memory() as connection:
        assert connection.execute("select timestamptz '2026-11-23 02:00:00+02'::varchar").fetchone() == (
            "2026-11-23 00:00:00+00",
        )


def test_a_raw_table_is_named_after_its_source_and_object() -> None:
    assert raw_table("files", "deals") == "raw.files__deals"
