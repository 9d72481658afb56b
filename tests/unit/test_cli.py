"""The command line: what it prints where, and what it ends with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kpimart import cli, pipeline
from kpimart.cli import app
from kpimart.errors import BuildFailed, GateRefused, KpiMartError, SourceUnreachable, WarehouseBusy
from kpimart.publish.contract import PUBLISHED
from kpimart.warehouse import open_warehouse, writer_lock

COMMANDS = [
    ["run"],
    ["extract"],
    ["watch"],
    ["build"],
    ["validate"],
    ["publish"],
    ["accept"],
    ["kpi"],
    ["kpi", "simulate"],
    ["status"],
    ["quarantine"],
    ["reconcile"],
    ["forget"],
    ["export"],
    ["export", "postgres"],
    ["export", "postgres-roles"],
    ["releases"],
    ["releases", "diff"],
    ["rollback"],
    ["close"],
    ["reopen"],
    ["closes"],
    ["verify"],
    ["export"],
    ["export", "workbook"],
    ["export", "parquet"],
    ["export", "budget"],
    ["import"],
    ["import", "budget"],
    ["backup"],
    ["restore"],
    ["upkeep"],
    ["upgrade"],
    ["doctor"],
    ["dashboard"],
    ["demo"],
    ["demo", "export"],
]


@dataclass(frozen=True)
class Ended:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Kpimart = Callable[..., Ended]


@pytest.fixture
def kpimart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kpimart:
    """`kpimart(*arguments, home=…)` in an empty folder, from its arguments to its exit code."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, home: Path | None = None) -> Ended:
        monkeypatch.setenv("KPIMART_HOME", str(home or tmp_path / "home"))
        monkeypatch.setattr("sys.argv", ["kpimart", *arguments])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        return Ended(code, *capsys.readouterr())

    return command


def subcommands() -> set[str]:
    commands = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    return commands | {str(group.name) for group in app.registered_groups}


# Help


def test_the_commands_are_those_of_the_design() -> None:
    assert subcommands() == {command[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(kpimart: Kpimart, command: list[str]) -> None:
    ended = kpimart(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    usage, _, purpose, *_ = ended.out.splitlines()
    assert usage.startswith(f"Usage: kpimart {' '.join(command)} ")
    assert purpose.strip().endswith(".")


def test_the_help_names_every_command_with_its_purpose(kpimart: Kpimart) -> None:
    lines = kpimart("--help").out.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines[lines.index("Commands:") + 1 :])
    assert told.keys() == subcommands()
    assert all(told.values())


def test_without_a_command_the_help_is_shown_as_wrong_usage(kpimart: Kpimart) -> None:
    ended = kpimart()
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err


def test_the_installed_command_is_this_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("kpimart"), "kpi"],
        cwd=tmp_path,
        env={**os.environ, "KPIMART_HOME": "nowhere"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kpimart: nowhere serves no release yet; make the first with kpimart run\n"


# Wrong usage and settings


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--asof", "2018-01-01"], "No such option: --asof"),
        (["kpi", "--by", "team"], "Invalid value for '--by': "),
        (["kpi", "--lang", "de"], "Invalid value for '--lang'"),
        (["demo", "export"], "Missing argument 'folder'"),
        (["status", "--config", "no.toml"], "kpimart: no.toml: there is no such file"),
        (["run", "--as-of", "yesterday"], "kpimart: --as-of 'yesterday': give a date or a time in ISO 8601"),
        (["build", "--known-at", "2018-02-30"], "kpimart: --known-at '2018-02-30': give a date or a time in ISO 8601"),
        (["build", "--as-of", "2018"], "kpimart: --as-of '2018': give a date or a time in ISO 8601"),
        (["build"], "kpimart: nothing has been extracted yet; run kpimart extract first"),
        (["validate"], "kpimart: nothing was built yet; run kpimart build"),
        (["publish", "20300101T000000Z"], "kpimart: there is no build 20300101T000000Z"),
        (["rollback"], "kpimart: there is no sound release in "),
        (["rollback", "20300101T000000Z"], "kpimart: there is no release 20300101T000000Z in "),
        (["extract"], "kpimart: settings: files.deals: no file is mapped to deals"),
        (["extract", "--object", "deals"], "kpimart: of which source is the object deals? Name it with --source"),
        (
            ["extract", "--source", "odoo", "--object", "users", "--object", "deals"],
            "odoo has no object deals; it has ",
        ),
        (["run", "--source", "hubspot"], "hubspot"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_wrong_usage_ends_with_2_and_is_told_on_stderr_only(kpimart: Kpimart, arguments: list[str], said: str) -> None:
    ended = kpimart(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_wrong_variable_ends_with_2(kpimart: Kpimart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_TIMEZONE", "UTC")
    ended = kpimart("status")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'KPIMART_TIME_ZONE'?" in ended.err


def test_an_option_before_the_command_that_it_is_for_is_refused(kpimart: Kpimart) -> None:
    ended = kpimart("kpi", "--period", "2026-Q3", "simulate", "--profile", "retention")
    assert ended.code == 2
    assert ended.err.endswith("give --period after simulate, not before it\n")


def test_a_moment_before_all_calendars_ends_with_2(kpimart: Kpimart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_TIME_ZONE", "Europe/Berlin")
    assert kpimart("build", "--as-of", "0001-01-01").code == 2


# Exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [(GateRefused, 3), (SourceUnreachable, 4), (WarehouseBusy, 1), (BuildFailed, 1)],
)
def test_a_command_ends_with_the_exit_code_of_its_error(
    kpimart: Kpimart, monkeypatch: pytest.MonkeyPatch, error: type[KpiMartError], code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("why\n  what now   rerun")

    monkeypatch.setattr(pipeline, "run", fail)
    ended = kpimart("run", "--json")
    assert (ended.code, ended.out, ended.err) == (code, "", "kpimart: why\n  what now   rerun\n")


def test_a_source_that_is_not_there_ends_with_4(kpimart: Kpimart, tmp_path: Path) -> None:
    (tmp_path / "kpimart.toml").write_text(
        "[[files.deals]]\nfile = 'deals.csv'\ncolumns = { id = 'id', stage = 'stage' }\n"
        "[[files.stages]]\nname = 'Won'\noutcome = 'won'\nposition = 1\n"
    )
    ended = kpimart("extract", "--files", "nowhere")
    assert (ended.code, ended.out) == (4, "")
    assert "there is no folder nowhere" in ended.err


def test_another_run_under_way_ends_with_1_and_names_it(kpimart: Kpimart, home: Path) -> None:
    with writer_lock(home):
        ended = kpimart("rollback", home=home)
    assert (ended.code, ended.out) == (1, "")
    assert f"another run (process {os.getpid()}) is writing" in ended.err


def test_an_interruption_ends_with_130(kpimart: Kpimart, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupted)
    ended = kpimart("run")
    assert (ended.code, ended.out) == (130, "")
    assert "Traceback" not in ended.err


def test_a_doctor_who_finds_something_failed_ends_with_1(kpimart: Kpimart) -> None:
    ended = kpimart("doctor")
    assert ended.code == 1
    assert "no file is mapped to deals" in ended.out
    assert ended.err == ""


def test_the_demo_in_a_place_that_cannot_be_written_is_a_message(kpimart: Kpimart, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = kpimart("demo", "export", str(tmp_path / "file"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"kpimart: writing the demo company into {tmp_path / 'file'}: File exists")


# What is printed


def test_figures_are_shown_as_a_table(kpimart: Kpimart, published: Path) -> None:
    ended = kpimart("kpi", "--by", "department", "--kpi", "won_amount", "--kpi", "win_rate", home=published)
    assert (ended.code, ended.err) == (0, "")
    assert "│ North       │    1,250,000.50 │   70.0 % │" in ended.out
    assert "│ South [old] │            0.00 │        – │" in ended.out


def test_a_month_is_closed_listed_and_reopened(kpimart: Kpimart, home: Path) -> None:
    said = kpimart("close", "2026-12", "--by", "M. Berg", "--note", "Checked.", home=home).out
    assert said.splitlines() == [
        "2026-12 (2026-12-01 … 2026-12-31) is closed",
        "frozen: release 20270108T020000Z, figures as of 2027-01-08 00:00 UTC; it is kept for good",
        "the next release tells of it in period_close",
    ]
    again = kpimart("close", "2026-12", "--by", "M. Berg", "--note", "Checked.", home=home)
    assert (again.code, "2026-12 was closed so already" in again.out) == (0, True)
    (listed,) = kpimart("closes", "--json", home=home).json
    assert (listed["month"], listed["decided_by"], listed["as_of"]) == (
        "2026-12",
        "M. Berg",
        "2027-01-08T00:00:00+00:00",
    )
    said = kpimart("reopen", "2026-12", "--by", "A. Ruiz", "--reason", "A deal was late.", home=home).out
    assert "is reopened" in said
    assert "│ 2026-12 │ reopened │ 20270108T020000Z │" in kpimart("closes", home=home).out


def test_figures_for_machines_are_exact(kpimart: Kpimart, published: Path) -> None:
    told = kpimart("kpi", "--by", "company", "--kpi", "won_amount", "--json", home=published).json
    assert told["period"] == {
        "grain": "month",
        "start": "2026-12-01",
        "end": "2026-12-31",
        "is_complete": True,
        "start_before": "2026-11-01",
    }
    (figure,) = told["figures"]
    assert (figure["value"], figure["value_before"]) == ("1250000.50000000", "1000000.00000000")


def test_the_figures_of_an_earlier_release_can_be_asked_for(kpimart: Kpimart, published: Path) -> None:
    assert kpimart("kpi", "--by", "company", "--release", "20270107T020000Z", home=published).code == 0
    assert kpimart("kpi", "--by", "company", "--release", "20300101T000000Z", home=published).code == 2


def test_by_default_the_kpis_are_those_of_the_profile(kpimart: Kpimart, published: Path) -> None:
    kpis = kpimart("kpi", "--json", home=published).json["kpis"]
    assert [kpi["kpi_code"] for kpi in kpis][:2] == ["won_amount", "created_amount"]


def test_names_come_in_the_language_asked_for(kpimart: Kpimart, published: Path) -> None:
    assert "Сумма побед" in kpimart("kpi", "--lang", "ru", "--json", "--kpi", "won_amount", home=published).out


def test_status_is_told_to_people_and_to_machines(kpimart: Kpimart, published: Path) -> None:
    assert "20270108T020000Z" in kpimart("status", home=published).out
    told = kpimart("status", "--json", home=published).json
    assert told["release"]["release_id"] == "20270108T020000Z"
    assert datetime.fromisoformat(told["release"]["as_of"]).isoformat() == "2027-01-08T00:00:00+00:00"
    assert isinstance(told["age"], float)
    assert told["gate"]["reporting"] == {"passed": 1, "failed": 0, "errored": 0}
    assert told["batches"][0]["verdict"] == "accepted"


def test_an_empty_home_has_a_status_for_machines_too(kpimart: Kpimart) -> None:
    told = kpimart("status", "--json").json
    nothing = {"release": None, "age": None, "gate": None, "batches": [], "builds": [], "busy": None}
    assert told == {**nothing, "changed_fields": []}


def test_releases_are_listed_for_people_and_for_machines(kpimart: Kpimart, published: Path) -> None:
    assert kpimart("releases", home=published).out.count("2027010") == 2
    listed = kpimart("releases", "--json", home=published).json
    assert [(each["release_id"], each["is_current"]) for each in listed] == [
        ("20270108T020000Z", True),
        ("20270107T020000Z", False),
    ]
    assert all(Path(each["path"]).is_file() for each in listed)


def test_a_damaged_release_is_listed_as_one(kpimart: Kpimart, home: Path) -> None:
    (home / "reporting" / "releases" / "20270107T020000Z" / "manifest.json").unlink()
    assert "release 20270107T020000Z is damaged: manifest.json is missing" in kpimart("releases", home=home).out


def test_releases_that_do_not_differ_say_so(kpimart: Kpimart, published: Path) -> None:
    """The second night only learned that there was a first."""
    ended = kpimart("releases", "diff", "20270107T020000Z", home=published)
    assert (ended.code, ended.out) == (0, "every figure of 20270108T020000Z is that of 20270107T020000Z\n")
    found = kpimart("releases", "diff", "20270107T020000Z", "20270108T020000Z", "--json", home=published).json
    assert (found["cell_count"], found["cells"], found["entries"]) == (0, [], 0)


def test_options_of_a_comparison_stand_behind_it(kpimart: Kpimart, published: Path) -> None:
    ended = kpimart("releases", "--json", "diff", "20270107T020000Z", home=published)
    assert (ended.code, ended.err) == (2, "kpimart: give --json after diff, not before it\n")


def test_a_release_that_is_right_is_verified_and_a_damaged_one_named(kpimart: Kpimart, home: Path) -> None:
    assert "a chain of 2 manifests are right" in kpimart("verify", home=home).out
    assert kpimart("verify", "20270107T020000Z", "--json", home=home).json["rebuilt"] is None
    file = home / "reporting" / "releases" / "20270107T020000Z" / "parquet" / "deal.parquet"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])
    ended = kpimart("verify", "20270107T020000Z", home=home)
    assert ended.code == 1
    assert "parquet/deal.parquet: " in ended.err


def test_a_release_is_exported_to_files(kpimart: Kpimart, published: Path, tmp_path: Path) -> None:
    said = kpimart("export", "workbook", "kpi.xlsx", "--table", "kpi_value", home=published).out
    assert said == "release 20270108T020000Z: 1 tables, 12 rows in kpi.xlsx\n"
    assert (tmp_path / "kpi.xlsx").exists()
    said = kpimart("export", "parquet", "out", "--release", "20270107T020000Z", home=published).out
    assert f"{len(PUBLISHED)} tables in out" in said
    assert "20270107T020000Z" in (tmp_path / "out" / "manifest.json").read_text()


def test_a_damaged_release_is_not_exported(kpimart: Kpimart, home: Path, tmp_path: Path) -> None:
    file = home / "reporting" / "releases" / "20270108T020000Z" / "parquet" / "deal.parquet"
    file.chmod(0o644)
    file.write_bytes(b"PAR1")
    for target in (["workbook", "kpi.xlsx"], ["parquet", "out"]):
        ended = kpimart("export", *target, home=home)
        assert (ended.code, "20270108T020000Z is damaged" in ended.err) == (1, True)
    assert not (tmp_path / "kpi.xlsx").exists()
    assert not (tmp_path / "out").exists()


def test_a_home_is_backed_up_kept_in_order_and_restored(kpimart: Kpimart, home: Path, tmp_path: Path) -> None:
    assert "the others were there" in kpimart("backup", "elsewhere", home=home).out
    again = kpimart("backup", "elsewhere", "--keep", "1", "--json", home=home).json
    assert len(again["removed"]) == 1
    assert "releases removed" in kpimart("upkeep", home=home).out
    assert kpimart("upkeep", "--json", home=home).json["releases"] == []
    refused = kpimart("restore", "elsewhere", home=home)
    assert (refused.code, "is not empty" in refused.err) == (2, True)
    restored = kpimart("restore", "elsewhere", home=tmp_path / "new")
    assert (restored.code, "release 20270108T020000Z is served" in restored.out) == (0, True)
    assert kpimart("restore", "elsewhere", "--replace", "--json", home=home).json["served"] == "20270108T020000Z"
    missing = kpimart("restore", "nowhere", home=tmp_path / "other")
    assert (missing.code, "nowhere has no backup" in missing.err) == (1, True)


def test_a_rollback_tells_what_is_served_now(kpimart: Kpimart, home: Path) -> None:
    assert "release 20270107T020000Z is served" in kpimart("rollback", home=home).out
    assert kpimart("rollback", "20270108T020000Z", "--json", home=home).json["is_current"] is True
    assert kpimart("status", "--json", home=home).json["release"]["release_id"] == "20270108T020000Z"


def test_the_checks_of_the_doctor_are_there_for_machines(kpimart: Kpimart, published: Path) -> None:
    checks = kpimart("doctor", "--json", home=published).json
    assert {check["name"]: check["outcome"] for check in checks}["warehouse"] == "ok"


def test_a_command_to_copy_stays_on_one_line(kpimart: Kpimart, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = kpimart("rollback", home=home).out
    assert [line for line in out.splitlines() if "duckdb -readonly" in line and line.endswith('kpi_company_month"')]


def test_progress_is_for_a_terminal_and_leaves_nothing_in_a_log(
    kpimart: Kpimart, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tells(*_: object, tell: Callable[[str], None], **__: object) -> pipeline.Extraction:
        tell("fetching files")
        return pipeline.Extraction((), None)

    monkeypatch.setattr(pipeline, "extract", tells)
    ended = kpimart("extract", "--json", home=home)
    assert (ended.code, ended.json, ended.err.strip()) == (0, [], "")


def test_what_was_set_aside_is_listed_with_its_reason(kpimart: Kpimart, home: Path) -> None:
    assert "the last batches set nothing aside" in kpimart("quarantine", home=home).out
    with open_warehouse(home) as connection:
        connection.execute(
            """
            insert into ops.quarantine
            select batch_id, source, 'deals', 'deals.csv, row 7', 'd7', 'close_date: not a date', '{"id": "d7"}', now()
            from ops.batch
            where source <> 'kpimart'
            order by landed_at desc
            limit 1
            """
        )
    assert "deals.csv, row 7" in kpimart("quarantine", home=home).out
    (record,) = kpimart("quarantine", "--json", home=home).json
    assert (record["record_id"], record["reason"]) == ("d7", "close_date: not a date")
