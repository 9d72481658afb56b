"""Every check of `kpimart doctor`, well and ill; what is ill is really so."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kpimart.doctor import Check, airflow, examine, project
from kpimart.paths import SEEDS
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, writer_lock

OF_THE_PROJECT = ("python", "settings", "secrets", "seeds", "profile", "catalogue", "project")
OF_A_NEW_HOME = ("home", "writer", "warehouse", "runs")
OF_A_HOME = ("home", "writer", "schema", "warehouse", "held", "build", "backup", "runs")

# Ten hours after the company has published.
NOW = datetime(2027, 1, 8, 12, tzinfo=UTC)

DEALS = {
    "file": "deals.csv",
    "columns": {"id": "id", "stage": "stage", "created_at": "created", "amount": "amount"},
}
STAGES = ({"name": "Won", "outcome": "won", "position": 1},)

AS_NOBODY = """
import os, sys
from pathlib import Path
from kpimart.doctor import examine
from kpimart.settings import Settings
# Everything that a look needs is imported by looking: who is nobody may not be able to read Python either.
examine(Settings(home=Path(sys.argv[3])))
os.geteuid() or os.setuid(int(sys.argv[2]))
(home,) = [check for check in examine(Settings(home=Path(sys.argv[1]))) if check.name == "home"]
print(home.outcome, home.found)
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A folder with two deals that are well."""
    folder = tmp_path / "export"
    folder.mkdir()
    write_deals(folder, "1,Won,2026-11-01,5", "2,Won,2026-11-02,6")
    return folder


def write_deals(folder: Path, *rows: str) -> None:
    (folder / "deals.csv").write_text("\n".join(("id,stage,created,amount", *rows)) + "\n")


def settings(home: Path, folder: Path | None = None, **values: object) -> Settings:
    return Settings(home=home, files={"folder": folder, "stages": STAGES, "deals": (DEALS,)}, **values)  # type: ignore[arg-type]


def check(name: str, checked: Settings, files: Path | None = None, now: datetime = NOW) -> Check:
    """The one check of that name, among all the others."""
    (found,) = [each for each in examine(checked, files, clock=lambda: now) if each.name == name]
    return found


def change(home: Path, sql: str) -> None:
    with open_warehouse(home) as connection:
        connection.execute(sql)


def keep_backup(home: Path, backup_id: str, made_at: str) -> Path:
    """A backup beside the home, as far as the doctor looks into it."""
    place = home.parent / "kept"
    (place / "backups").mkdir(parents=True, exist_ok=True)
    (place / "backups" / f"{backup_id}.json").touch()
    change(home, f"insert into ops.backup values ('{place}', '{backup_id}', '{made_at}')")
    return place


def test_a_home_in_use_is_well(home: Path, export: Path) -> None:
    keep_backup(home, "20270106T040000Z", "2027-01-06 04:00:00Z")
    checks = examine(settings(home, export), clock=lambda: NOW)
    assert [each.name for each in checks] == [*OF_THE_PROJECT, *OF_A_HOME, "source files", "release"]
    assert [each for each in checks if each.outcome != "ok"] == []


def test_a_home_before_its_first_run_is_well(tmp_path: Path, export: Path) -> None:
    checks = {each.name: each for each in examine(settings(tmp_path / "home"), export)}
    assert {each.outcome for each in checks.values()} == {"ok"}
    assert checks["warehouse"].found == "not there yet; the first run makes it"
    assert checks["release"].found == "none yet; kpimart run makes the first"


def test_versions_of_what_matters_are_told(tmp_path: Path) -> None:
    found = check("python", settings(tmp_path)).found
    assert sys.version.split()[0] in found
    assert f"duckdb {importlib.metadata.version('duckdb')}" in found


def test_a_library_that_is_missing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "LIBRARIES", ("duckdb", "no-such-library"))
    assert check("python", settings(tmp_path)) == Check(
        "python", "failed", "No package metadata was found for no-such-library"
    )


def test_where_settings_come_from_is_told(tmp_path: Path) -> None:
    said = check("settings", settings(tmp_path, time_zone="Europe/Berlin", base_currency="EUR")).found
    assert said == "no kpimart.toml, only defaults and the environment; time zone Europe/Berlin, base currency EUR"


@pytest.mark.parametrize("name", [".env", "secrets/KPIMART_HUBSPOT__TOKEN"])
@pytest.mark.parametrize(("mode", "outcome"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warning")])
def test_secrets_that_everybody_can_read_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mode: int, outcome: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text("KPIMART_HUBSPOT__TOKEN=hunter2")
    file.chmod(mode)
    checked = settings(tmp_path / "home", secrets_dir=file.parent if file.parent.name else None)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    found = check("secrets", checked)
    assert (found.outcome, "hunter2" in found.found) == (outcome, False)
    assert (f"chmod 600 {name}" in found.found) == (outcome == "warning")


def test_an_unknown_profile_fails(tmp_path: Path) -> None:
    found = check("profile", settings(tmp_path, profile="growht"))
    assert (found.outcome, found.found[:36]) == ("failed", "profile: 'growht' is not in kpi_prof")


def test_every_mistake_in_the_catalogue_fails(tmp_path: Path) -> None:
    for name in ("kpi_catalogue.csv", "kpi_profile.csv"):
        shutil.copy(SEEDS / name, tmp_path)
    catalogue = tmp_path / "kpi_catalogue.csv"
    catalogue.write_text(catalogue.read_text().replace("won_amount / won_deals", "won_amount / won_deal", 1))
    with (tmp_path / "kpi_profile.csv").open("a") as file:
        file.write("calm,won_deals,0.5,0.5,1.5\n")
    found = [each for each in examine(settings(tmp_path / "home", seeds=tmp_path)) if each.name == "catalogue"]
    assert [each.outcome for each in found] == ["failed", "failed"]
    assert "line 6, avg_won_amount: formula: expected measures" in found[0].found
    assert "profile calm: expected weights that sum to 1, found 0.5" in found[1].found


@pytest.mark.parametrize(
    ("as_of", "outcome", "said"),
    [
        (date(2027, 1, 1), "ok", "ours: 2025 to 2026"),  # its last day is that of 2026
        (date(2027, 1, 2), "warning", "ours: 2025 to 2026, without the holidays of 2027: they count as working days"),
    ],
)
def test_holidays_that_end_before_the_figures_are_a_warning(
    tmp_path: Path, as_of: date, outcome: str, said: str
) -> None:
    (tmp_path / "holiday.csv").write_text("calendar,day\nours,2025-12-25\nours,2026-12-25\n")
    decided = settings(tmp_path, seeds=tmp_path, holidays="ours", time_zone="Europe/Berlin", as_of=as_of)
    found = check("holidays", decided)
    assert (found.outcome, found.found.split(";")[0]) == (outcome, said)


def test_an_unknown_calendar_of_holidays_fails(tmp_path: Path) -> None:
    found = check("holidays", settings(tmp_path, holidays="GE"))
    assert found.outcome == "failed"
    assert found.found.startswith(f"holidays: 'GE' is not a calendar of {SEEDS / 'holiday.csv'}; it has DE, ")


def test_seeds_that_are_missing_fail_and_stop_no_other_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpimart.seeds.SEEDS", tmp_path)
    monkeypatch.setattr(project, "SEEDS", tmp_path)
    checks = {each.name: each for each in examine(settings(tmp_path))}
    assert list(checks) == [*OF_THE_PROJECT, *OF_A_NEW_HOME, "source files", "release"]
    assert checks["profile"].outcome == "failed"
    assert "kpi_profile.csv" in checks["profile"].found
    assert checks["project"] == Check("project", "failed", "missing: kpi_catalogue.csv; check the project out again")


def test_links_that_a_checkout_has_lost_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system without symbolic links, or after copying only `dbt_project/`."""
    monkeypatch.setattr(project, "DBT_PROJECT", tmp_path)
    found = check("project", settings(tmp_path))
    assert (found.outcome, found.found) == ("failed", "missing: models, seeds, tests; check the project out again")


def test_a_suite_that_is_missing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites = shutil.copytree(project.EXPECTATIONS, tmp_path / "expectations")
    (suites / "reporting" / "deal.json").unlink()
    monkeypatch.setattr(project, "EXPECTATIONS", suites)
    found = check("project", settings(tmp_path))
    assert (found.outcome, found.found) == (
        "failed",
        "missing: expectations/reporting/deal.json; check the project out again",
    )


def test_a_home_that_cannot_be_written_fails(tmp_path: Path, nobody: int) -> None:
    another = tmp_path / "another"
    another.mkdir()
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path / "home"), str(nobody), str(another)],
        capture_output=True,
        text=True,
    )
    tmp_path.chmod(0o755)
    assert done.stdout.startswith("failed ")
    assert f"Permission denied ({tmp_path / 'home'}); make room or grant the right" in done.stdout


def test_a_file_in_place_of_the_home_fails(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    found = check("home", settings(tmp_path / "home"))
    assert found.outcome == "failed"
    assert str(tmp_path / "home") in found.found


def test_less_room_than_a_run_may_need_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GB free, a run may need 1.1 GB" in check("home", settings(home)).found
    monkeypatch.setattr("kpimart.doctor.home.SPARE_BYTES", 1 << 60)
    found = check("home", settings(home))
    assert found.outcome == "warning"
    assert "make room before the disk is full: kpimart upkeep" in found.found


@pytest.mark.parametrize(("hours", "outcome"), [(1, "warning"), (7, "failed")])
def test_a_run_under_way_is_a_warning_and_one_that_does_not_end_fails(home: Path, hours: int, outcome: str) -> None:
    with writer_lock(home):
        now = datetime.now(UTC) + timedelta(hours=hours)
        checks = {each.name: each for each in examine(settings(home), clock=lambda: now)}
    assert [name for name in checks if name in OF_A_HOME] == ["home", "writer"]
    assert checks["writer"].outcome == outcome
    assert f"another run (process {os.getpid()}) is writing" in checks["writer"].found
    assert checks["writer"].found.startswith(f"since {datetime.now(UTC):%Y-%m-%d}")


def test_a_writer_that_cannot_be_seen_from_here_is_told_to_be_elsewhere(home: Path) -> None:
    with writer_lock(home):
        assert "another container" not in check("writer", settings(home)).found
        (home / "writer.pid").write_text(str(2**22 + 1))  # beyond the highest number that Linux gives
        assert "by a process of another container or machine" in check("writer", settings(home)).found


def test_who_was_killed_while_writing_is_in_nobodys_way(home: Path) -> None:
    (home / "writer.pid").write_text("4711")
    assert check("writer", settings(home)) == Check("writer", "ok", "nobody writes")


def test_an_older_schema_fails_and_names_the_command(oldest_company: Path) -> None:
    checks = {each.name: each for each in examine(settings(oldest_company / "home"))}
    assert [name for name in checks if name in OF_A_HOME] == ["home", "writer", "schema", "runs"]
    assert checks["schema"].outcome == "failed"
    assert "has schema 1, and this program works with" in checks["schema"].found
    assert "kpimart upgrade" in checks["schema"].found


def test_a_warehouse_is_told_by_what_it_holds(home: Path) -> None:
    change(
        home,
        """
        insert into ops.batch values ('files-2', 'files', now(), now()), ('kpimart-1', 'kpimart', now(), now());
        insert into ops.batch_verdict values ('files-2', 'held', now(), 'too many vanished');
        insert into ops.quarantine values ('files-2', 'files', 'deals', 'line 3', null, 'no id', '{}', now());
        """,
    )
    assert check("warehouse", settings(home)) == Check(
        "warehouse", "ok", "2 batches, 1 of them held; 1 records in quarantine"
    )


def test_a_held_batch_that_waits_for_a_decision_is_a_warning(home: Path) -> None:
    change(
        home,
        """
        insert into ops.batch values ('files-2', 'files', '2027-01-08 02:00:00Z', '2027-01-08 02:00:00Z');
        insert into ops.batch_object values ('files-2', 'files', 'deals', 'full', 9, 9, 0, 0, 9, null);
        insert into ops.batch_verdict values ('files-2', 'held', '2027-01-08 02:01:00Z', 'too many vanished');
        """,
    )
    assert check("held", settings(home)) == Check(
        "held",
        "warning",
        "files-2 since 2027-01-08 02:01 UTC; correct the source and run again, or kpimart accept",
    )
    change(
        home,
        """
        insert into ops.batch values ('files-3', 'files', '2027-01-08 03:00:00Z', '2027-01-08 03:00:00Z');
        insert into ops.batch_object values ('files-3', 'files', 'deals', 'full', 9, 9, 0, 0, 9, null);
        insert into ops.batch_verdict values ('files-3', 'accepted', '2027-01-08 03:01:00Z', null);
        """,
    )
    assert check("held", settings(home)) == Check("held", "ok", "no batch waits for a decision")


RESULT = (
    "insert into ops.quality_result values ('b', 'reporting', 'deal', 'ids', 'critical', '{}', null, null, null, now())"
)


@pytest.mark.parametrize(
    ("finished", "results", "said"),
    [
        ("null", (), "b broke off, begun 2027-01-09 02:00 UTC; kpimart run builds anew"),
        ("now()", (), "b was not judged: kpimart validate, then kpimart publish"),
        ("now()", ("passed",), "b passed its gate and was not published: kpimart publish"),
        ("now()", ("passed", "failed"), "b was refused: deal: ids; kpimart validate shows the rows"),
        ("now()", ("errored",), "b was refused: deal: ids; kpimart validate shows the rows"),
    ],
)
def test_a_last_build_that_is_not_published_is_a_warning(
    home: Path, finished: str, results: tuple[str, ...], said: str
) -> None:
    moment = "timestamptz '2027-01-09 02:00:00Z'"
    change(home, f"insert into ops.build values ('b', {moment}, {moment}, {moment}, {finished}, 'warehouse.duckdb')")
    for outcome in results:
        change(home, RESULT.format(outcome))
    assert check("build", settings(home)) == Check("build", "warning", said)


def test_a_night_that_did_not_come_is_a_warning(home: Path) -> None:
    later = NOW + timedelta(hours=17)
    found = check("runs", settings(home), now=later)
    assert found.outcome == "warning"
    assert found.found.startswith("the last release was published 2027-01-08 02:02 UTC, more than 26 h ago; ")
    assert check("runs", settings(home, alarms={"max_run_age_hours": 50}), now=later).outcome == "ok"


def test_a_home_without_a_young_backup_is_a_warning(home: Path) -> None:
    assert check("backup", settings(home)) == Check(
        "backup", "warning", "none was made of this home: kpimart backup PLACE"
    )
    place = keep_backup(home, "a", "2026-12-31 04:00:00Z")
    assert check("backup", settings(home, backup={"place": "x"})) == Check(
        "backup", "warning", f"a, in {place}, is more than 8 days old: kpimart backup"
    )
    assert check("backup", settings(home, alarms={"max_backup_age_days": 9})).outcome == "ok"


def test_a_last_backup_that_is_not_there_any_more_fails(home: Path) -> None:
    place = keep_backup(home, "a", "2027-01-08 04:00:00Z")
    assert check("backup", settings(home)).outcome == "ok"
    shutil.rmtree(place)
    found = check("backup", settings(home))
    assert (found.outcome, found.found[:32]) == ("failed", f"a is not in {place} any more"[:32])


def test_a_damaged_warehouse_fails(tmp_path: Path) -> None:
    (tmp_path / WAREHOUSE_FILE).write_bytes(b"x" * 20_000)
    found = check("warehouse", settings(tmp_path))
    assert found.outcome == "failed"
    assert "not a valid DuckDB database file" in found.found


def test_a_source_is_read_to_its_end(tmp_path: Path, export: Path) -> None:
    found = check("source files", settings(tmp_path, export))
    assert found == Check("source files", "ok", "2 rows can be read, 0 would go to quarantine")


def test_the_folder_that_is_handed_over_comes_first(tmp_path: Path, export: Path) -> None:
    assert check("source files", settings(tmp_path, tmp_path / "elsewhere"), export).outcome == "ok"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda export: shutil.rmtree(export), "there is no folder "),
        (lambda export: (export / "deals.csv").unlink(), "deals.csv"),
        (lambda export: (export / "deals.csv").write_text("id,stage,created\n"), "no column 'amount'"),
    ],
    ids=["no_folder", "no_file", "no_column"],
)
def test_a_source_that_cannot_be_read_fails(tmp_path: Path, export: Path, spoil: object, said: str) -> None:
    spoil(export)  # type: ignore[operator]
    found = check("source files", settings(tmp_path, export))
    assert found.outcome == "failed"
    assert said in found.found


def test_more_bad_records_than_a_run_would_take_fail(tmp_path: Path, export: Path) -> None:
    write_deals(export, "1,Won,2026-11-01,5", "2,Won,never,6")
    found = check("source files", settings(tmp_path, export))
    assert found.outcome == "failed"
    assert found.found == (
        "2 rows can be read, 1 would go to quarantine, "
        "of deals more than thresholds.max_quarantined_share = 1.0% lets pass"
    )
    patient = settings(tmp_path, export, thresholds={"max_quarantined_share": 0.5})
    assert check("source files", patient).outcome == "ok"


def test_nothing_mapped_fails(tmp_path: Path) -> None:
    found = check("source files", Settings(home=tmp_path))
    assert found.outcome == "failed"
    assert "no file is mapped to deals" in found.found


def test_the_served_release_is_verified(published: Path) -> None:
    assert check("release", settings(published)) == Check(
        "release", "ok", "20270108T020000Z is served, figures as of 2027-01-08 00:00 UTC, checksums right"
    )


@pytest.mark.parametrize(
    "file", ["reporting.duckdb", "parquet/deal.parquet", "manifest.json"], ids=["figures", "parquet", "manifest"]
)
def test_a_release_that_was_touched_fails(home: Path, file: str) -> None:
    touched = home / "reporting" / "releases" / "20270108T020000Z" / file
    touched.chmod(0o644)
    content = bytearray(touched.read_bytes())
    content[len(content) // 2] ^= 1
    touched.write_bytes(content)
    found = check("release", settings(home))
    assert found.outcome == "failed"
    assert "20270108T020000Z is damaged" in found.found
    assert file in found.found


@pytest.mark.parametrize("harm", ["cut short", "missing", "gone"])
def test_a_release_that_is_not_served_is_looked_at_too(home: Path, harm: str) -> None:
    earlier = home / "reporting" / "releases" / "20270107T020000Z"
    file = earlier / "parquet" / "deal.parquet"
    if harm == "gone":
        shutil.rmtree(earlier)
    else:
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1]) if harm == "cut short" else file.unlink()
    found = check("release", settings(home))
    said = {
        "cut short": "has another size than its manifest says",
        "missing": "is missing",
        "gone": "is gone, with its",
    }
    assert (found.outcome, "20270107T020000Z" in found.found, said[harm] in found.found) == ("failed", True, True)
    assert "kpimart rollback" in found.found


# Airflow, by what its own commands answer

ANSWERS = {
    airflow.POOLS: '[{"pool": "default_pool", "slots": "128"}, {"pool": "kpimart_writer", "slots": "1"}]',
    airflow.SCHEDULER: "Found one alive job.",
    airflow.DAGS: '[{"dag_id": "crm_kpi_nightly", "is_paused": "False"}, {"dag_id": "others", "is_paused": "True"}]',
    airflow.BROKEN: "[warning] something of others\n[]",
    airflow.NOTICES: "whatever it is",
}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], str]:
    """What each command answers; one that begins with an exclamation mark fails with the rest."""
    answers = dict(ANSWERS)

    def asked(*commands: tuple[str, ...]) -> list[subprocess.CompletedProcess[str]]:
        told = [(command, answers[command]) for command in commands]
        return [
            subprocess.CompletedProcess(command, int(said[0] == "!"), "" if said[0] == "!" else said, said[1:])
            for command, said in told
        ]

    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(airflow, "_asked", asked)
    return answers


def test_an_airflow_that_starts_our_nights_is_well(tmp_path: Path, answers: dict[tuple[str, ...], str]) -> None:
    assert check("airflow", settings(tmp_path / "home")) == Check(
        "airflow", "ok", "the scheduler is alive, the pool has its one slot, no DAG is paused, people are told"
    )


@pytest.mark.parametrize(
    ("command", "answer", "outcome", "said"),
    [
        (airflow.POOLS, "[]", "failed", "pool kpimart_writer is missing, and no task starts: airflow pools set"),
        (
            airflow.POOLS,
            '[{"pool": "kpimart_writer", "slots": "2"}]',
            "failed",
            "has 2 slots, and two tasks would write",
        ),
        (airflow.POOLS, "!no such table: slot_pool", "warning", "it has no database yet: airflow db migrate"),
        (airflow.POOLS, "!connection refused", "failed", "it does not answer: connection refused"),
        (airflow.SCHEDULER, "!No alive jobs found.", "failed", "no scheduler is alive: start airflow scheduler"),
        (
            airflow.DAGS,
            '[{"dag_id": "crm_kpi_nightly", "is_paused": "True"}]',
            "warning",
            "airflow dags unpause crm_kpi",
        ),
        (
            airflow.NOTICES,
            "!not found",
            "warning",
            "nobody is told of a failure: connection kpimart_notices is missing",
        ),
        (airflow.BROKEN, '[{"filepath": "/x/crm_kpi_nightly.py"}]', "failed", "/x/crm_kpi_nightly.py cannot be read"),
    ],
)
def test_what_keeps_a_night_from_starting_is_told(
    tmp_path: Path,
    answers: dict[tuple[str, ...], str],
    command: tuple[str, ...],
    answer: str,
    outcome: str,
    said: str,
) -> None:
    answers[command] = answer
    found = check("airflow", settings(tmp_path / "home"))
    assert (found.outcome, said in found.found) == (outcome, True), found.found


def test_airflow_is_asked_by_its_own_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "airflow"
    program.write_text("#!/bin/sh\necho $1 $2\necho $3 >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(airflow, "AIRFLOW", program)
    (answer,) = airflow._asked(airflow.SCHEDULER)
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, "jobs check\n", "--job-type\n")


def test_looking_leaves_nothing_behind(home: Path, export: Path) -> None:
    before = {path: path.stat().st_size for path in home.rglob("*")}
    examine(settings(home, export))
    after = {path: path.stat().st_size for path in home.rglob("*")}
    assert {path.name for path in after.keys() ^ before.keys()} <= {"writer.lock"}
    assert {path: after[path] for path in before} == before
