"""A home of an older program is brought to this one step by step, and one of a newer program is left alone."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from kpimart import paths, schema
from kpimart.backup import backup, restore
from kpimart.cli import app
from kpimart.errors import KpiMartError, ProgramTooOld, SettingsError, UpgradeNeeded
from kpimart.publish import contract
from kpimart.publish.verify import check
from kpimart.schema import STEPS, Step
from kpimart.settings import Settings
from kpimart.status import read_status
from kpimart.upgrade import contract_changes, look, upgrade
from kpimart.warehouse import WAREHOUSE_FILE, open_database, open_warehouse, transaction

NOW = datetime(2026, 5, 1, 2, tzinfo=UTC)
SERVED = "20260403T003000Z"

# Steps of a program that is to come: a table, a further column with a value, and then another.
LATER = (
    Step(schema.version() + 1, "a table", "create table ops.promise (id varchar primary key, kept boolean)"),
    Step(schema.version() + 2, "a column", "alter table ops.promise add column since date default date '2026-01-01'"),
    Step(schema.version() + 3, "rows", "insert into ops.promise values ('a', true, null)"),
)

KILLED = """
import os, signal, sys
from pathlib import Path
from kpimart import schema
from kpimart.clock import utc_now
from kpimart.schema import Step
from kpimart.settings import Settings
from kpimart.upgrade import upgrade

schema.STEPS = (*schema.STEPS, *eval(sys.argv[2]))

def tell(what):
    if what.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(Settings(home=Path(sys.argv[1])), None, clock=utc_now, tell=tell)
"""


@pytest.fixture
def oldest(oldest_company: Path) -> Path:
    return oldest_company / "home"


def do(home: Path, place: Path | None = None) -> Any:
    return upgrade(Settings(home=home), place and str(place), clock=lambda: NOW, tell=lambda _: None)


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / WAREHOUSE_FILE), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def contents(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of raw and ops that were there before."""
    tables = ask(
        home, "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('raw', 'ops')"
    )
    return {name: ask(home, f"from {name} order by all") for (name,) in tables if name != "ops.schema_step"}


def shape(home: Path) -> list[tuple[Any, ...]]:
    """The columns and constraints of all tables of ops."""
    columns = "table_name, column_name, data_type, is_nullable, column_default"
    return [
        *ask(
            home, f"select {columns} from duckdb_columns() where schema_name = 'ops' order by table_name, column_index"
        ),
        *ask(
            home, "select table_name, constraint_text from duckdb_constraints() where schema_name = 'ops' order by all"
        ),
    ]


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# What the warehouse goes through


def test_until_it_is_upgraded_it_is_left_alone_and_the_error_says_how(oldest: Path) -> None:
    before = checksum(oldest / WAREHOUSE_FILE)
    with pytest.raises(UpgradeNeeded) as refused, open_warehouse(oldest):
        pass
    assert f"{oldest / WAREHOUSE_FILE} has schema 1, and this program works with {schema.version()}" in str(
        refused.value
    )
    assert "kpimart upgrade" in str(refused.value)
    assert look(Settings(home=oldest)).older[0].steps == {step.version: step.brings for step in STEPS[1:]}
    assert checksum(oldest / WAREHOUSE_FILE) == before


def test_nothing_of_the_oldest_home_is_lost(oldest: Path, tmp_path: Path) -> None:
    before = contents(oldest)
    assert {verdict for _, verdict, *_ in before["ops.batch_verdict"]} == {"accepted", "held"}
    do(oldest)
    after = contents(oldest)
    cursors = after["ops.batch_object"]
    assert {row[-1] for row in cursors} == {None}
    assert {**after, "ops.batch_object": [row[:-1] for row in cursors]}.items() >= before.items()
    assert {name for name in after if name not in before and after[name]} == set()

    status = read_status(oldest, lambda: NOW)
    assert status.release is not None
    assert status.release.release_id == SERVED
    assert [batch.verdict for batch in status.batches] == ["accepted", "held", "accepted"]
    assert check(oldest, SERVED).chain == 2

    (tmp_path / "new").mkdir()
    with open_warehouse(tmp_path / "new"):
        pass
    assert shape(oldest) == shape(tmp_path / "new")


def test_upgrading_twice_changes_nothing(oldest: Path) -> None:
    do(oldest)
    before = checksum(oldest / WAREHOUSE_FILE)
    assert do(oldest).older == ()
    assert checksum(oldest / WAREHOUSE_FILE) == before


def test_a_home_that_never_said_its_schema_may_have_parts_of_the_next(oldest: Path) -> None:
    with open_database(oldest / WAREHOUSE_FILE, read_only=False) as connection:
        connection.execute("alter table ops.batch_object add column cursor varchar")
        connection.execute("create table ops.recipe (build_id varchar primary key, recipe varchar not null)")
        connection.execute("insert into ops.recipe values ('b', 'r')")
    do(oldest)
    assert ask(oldest, "from ops.recipe") == [("b", "r")]


@pytest.mark.parametrize("moment", ["schema 2", f"schema {schema.version() + 2}"])
def test_killed_between_two_steps_it_goes_on(
    oldest: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, oldest, repr(LATER), moment], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    monkeypatch.setattr(schema, "STEPS", (*STEPS, *LATER))
    (older,) = look(Settings(home=oldest)).older
    assert min(older.steps) == int(moment.removeprefix("schema "))
    do(oldest)
    assert ask(oldest, "select version from ops.schema_step") == [(step.version,) for step in (*STEPS[1:], *LATER)]
    assert ask(oldest, "from ops.promise") == [("a", True, None)]


def test_a_step_that_fails_leaves_nothing_of_itself(oldest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Step(schema.version() + 1, "half", "create table ops.half (id varchar); select * from ops.nowhere")
    monkeypatch.setattr(schema, "STEPS", (*STEPS, broken))
    with pytest.raises(duckdb.Error, match="nowhere"):
        do(oldest)
    assert ask(oldest, "select version from ops.schema_step") == [(step.version,) for step in STEPS[1:]]
    assert ask(oldest, "select count(*) from duckdb_tables() where table_name = 'half'") == [(0,)]


def test_a_newer_home_is_refused_by_name_whatever_is_asked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with open_warehouse(home) as connection, transaction(connection):
        connection.execute("insert into ops.schema_step values (99, current_timestamp)")
    asked: tuple[Callable[[], object], ...] = (
        lambda: open_warehouse(home).__enter__(),
        lambda: look(Settings(home=home)),
        lambda: do(home),
    )
    for ask_for in asked:
        with pytest.raises(ProgramTooOld, match=rf"{WAREHOUSE_FILE} has schema 99, of a newer program"):
            ask_for()


def test_homes_that_were_put_aside_are_upgraded_too(oldest: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "backups").mkdir(parents=True)
    with open_warehouse(home):
        pass
    oldest.rename(home / "backups" / "replaced-1")
    assert [older.home for older in do(home).older] == [home / "backups" / "replaced-1"]
    assert look(Settings(home=home)).older == ()


# The backup before


def test_the_backup_is_that_of_the_older_home_and_is_on_record(oldest: Path, tmp_path: Path) -> None:
    before = contents(oldest)
    done = do(oldest, tmp_path / "backups")
    place, backup_id = str(tmp_path / "backups"), done.backup.backup_id
    assert ask(oldest, "select place, backup_id from ops.backup") == [(place, backup_id)]
    manifest = (tmp_path / "backups" / "backups" / f"{backup_id}.json").read_text()
    assert '"schema_version": 1' in manifest
    assert "recipe" not in manifest

    restored = tmp_path / "restored"
    back = restore(restored, place, tell=lambda _: None)
    assert back.served == SERVED
    found = contents(restored)
    for name in ("raw.files__deals", "ops.batch", "ops.batch_verdict", "ops.quarantine", "ops.quality_result"):
        assert found[name] == before[name]
    assert look(Settings(home=restored)).older == ()
    assert shape(restored) == shape(oldest)


def test_a_backup_of_a_newer_home_is_not_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    with monkeypatch.context() as newer:
        newer.setattr(schema, "STEPS", (*STEPS, *LATER))
        home.mkdir()
        with open_warehouse(home):
            pass
        backup(Settings(home=home), str(tmp_path / "kept"), keep=None, clock=lambda: NOW, tell=lambda _: None)
    with pytest.raises(
        ProgramTooOld, match=rf"backup 20260501T020000Z has schema {LATER[-1].version}, of a newer program"
    ):
        restore(tmp_path / "restored", str(tmp_path / "kept"), tell=lambda _: None)
    assert list((tmp_path / "restored").glob("*.duckdb")) == []


# What readers must know


def test_readers_go_on_where_only_something_was_added(oldest: Path) -> None:
    found = look(Settings(home=oldest)).contract
    assert found is not None
    assert (found.served, found.next, found.is_broken) == ("1.0", contract.CONTRACT_VERSION, False)
    assert {change.contract for change in found.changes} == {each.contract for each in contract_changes()} - {"1.0"}


def test_readers_must_follow_a_new_major_version(oldest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        "| contract | change | tables |\n| --- | --- | --- |\n| 1.0 | new | `deal` |\n| 2.0 | gone | `x` |\n"
    )
    monkeypatch.setattr("kpimart.upgrade.CHANGELOG", changelog)
    monkeypatch.setattr("kpimart.upgrade.CONTRACT_VERSION", "2.0")
    found = look(Settings(home=oldest)).contract
    assert found is not None
    assert found.is_broken
    assert [(each.contract, each.change, each.tables) for each in found.changes] == [("2.0", "gone", "`x`")]


def test_what_is_published_is_announced() -> None:
    announced = contract_changes()
    assert announced[-1].contract == contract.CONTRACT_VERSION
    named = " ".join(change.tables for change in announced)
    assert [table.name for table in contract.PUBLISHED if f"`{table.name}`" not in named] == []


def test_a_changelog_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpimart.upgrade.CHANGELOG", tmp_path / paths.CHANGELOG.name)
    with pytest.raises(SettingsError, match=r"CHANGELOG\.md: is missing"):
        contract_changes()


# The command


def kpimart(home: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and all that is said."""
    ended = CliRunner().invoke(app, list(arguments), env={"KPIMART_HOME": str(home), "COLUMNS": "200"})
    if isinstance(ended.exception, KpiMartError):
        return ended.exception.exit_code, str(ended.exception)
    return ended.exit_code, ended.output


def test_the_command_tells_asks_for_a_backup_and_does_it_once(oldest: Path, tmp_path: Path) -> None:
    code, said = kpimart(oldest, "status")
    assert (code, "kpimart upgrade" in said) == (2, True)
    code, said = kpimart(oldest, "upgrade", "--check")
    assert code == 1
    assert f"schema 1 → {schema.version()}, to be done" in said
    assert f"contract 1.0 is served, {contract.CONTRACT_VERSION} is published next: readers go on as they are" in said
    for options in ((), ("--no-backup", "--backup", "x")):
        code, said = kpimart(oldest, "upgrade", *options)
        assert (code, said[:24]) == (2, "give --backup PLACE to b")
    code, said = kpimart(oldest, "upgrade", "--backup", str(tmp_path / "kept"))
    assert (code, f"schema 1 → {schema.version()}, done" in said, "backup" in said) == (0, True, True)
    assert kpimart(oldest, "upgrade", "--check")[0] == 0
    assert kpimart(oldest, "upgrade")[1].splitlines()[0] == f"{oldest}: schema {schema.version()}, nothing to do"
    assert kpimart(oldest, "status")[0] == 0
