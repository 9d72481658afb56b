"""The way to readers: only a build that was judged, and passed, and is still what was judged, becomes a release."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_company import (
    BUILT,
    DEALS,
    JUDGED,
    NEXT_DEALS,
    Company,
    Steps,
    company_in,
    differing,
    night_in_steps,
    undisturbed_tables,
)

from kpimart.errors import GateRefused
from kpimart.paths import PROJECT

PARTS_OF_A_CHECKOUT = ("kpimart", "dbt_project", "models", "seeds", "expectations", "tests/dbt")


@contextmanager
def nothing_reaches_readers(company: Company) -> Iterator[None]:
    before = company.published()
    assert "reporting.duckdb" in before
    yield
    assert company.published() == before


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return night_in_steps(company_in(tmp_path_factory))


@pytest.fixture
def built(steps: Steps, company: Company) -> Company:
    """The company with a release, and with a build that nobody has judged."""
    company.rewind(BUILT)
    return company


@pytest.fixture
def judged(steps: Steps, company: Company) -> Company:
    """The company with a release, and with a build that passed its gate and was not published."""
    company.rewind(JUDGED)
    return company


def test_steps_in_processes_of_their_own_publish_what_a_run_publishes(steps: Steps, company: Company) -> None:
    assert {step: ended.code for step, ended in steps.ended.items()} == dict.fromkeys(steps.ended, 0)
    assert steps.releases == 2
    assert differing(steps.tables, undisturbed_tables(company)) == []


# ---- what was not judged


def test_a_build_that_nobody_judged_is_not_published(built: Company) -> None:
    with nothing_reaches_readers(built):
        refused = built.kpimart("publish", "--json")
    assert (refused.code, refused.out) == (3, "")
    assert "reporting gate refused 2" in refused.said
    assert "no expectation ran. Nothing was published; the last release stays." in refused.said


def test_a_build_that_broke_off_is_neither_judged_nor_published_and_neither_is_what_it_overwrote(
    judged: Company,
) -> None:
    ((passed,),) = judged.ask("select max(build_id) from ops.build")
    judged.write("deals.csv", NEXT_DEALS.replace("355.00,USD", "355.00,CHF"))
    with nothing_reaches_readers(judged):
        assert judged.kpimart("extract").code == 0
        broke_off = judged.kpimart("build", "--json")
        refused = {
            command: judged.kpimart(*command)
            for command in (("validate",), ("publish",), ("validate", passed), ("publish", passed))
        }
    assert (broke_off.code, broke_off.out) == (1, "")
    assert broke_off.err.startswith(
        "kpimart: amounts cannot be converted: add these lines, with their rates, to seeds/"
    )
    assert "\n    CHF,USD,2026-03-28,<rate>\n" in broke_off.err
    assert {command: ended.code for command, ended in refused.items()} == dict.fromkeys(refused, 1)
    for command in (("validate",), ("publish",)):
        assert "did not finish; run kpimart build again" in refused[command].said
        assert f"build {passed} is not there any more: build 2" in refused[*command, passed].said


# ---- what was judged and did not pass


def test_a_figure_that_does_not_add_up_is_refused_and_stays_refused(built: Company) -> None:
    built.change_warehouse(
        """
        update kpi.kpi_value set value = value + 0.01
        where kpi_code = 'won_amount' and period_grain = 'month' and period_start = '2026-03-01'
            and entity_key = 'files:Bob'
        """
    )
    with nothing_reaches_readers(built):
        refused = {command: built.kpimart(command, "--json") for command in ("validate", "publish")}
    for ended in refused.values():
        assert (ended.code, ended.out) == (3, "")
        for said in (
            "kpimart: reporting gate refused 2",
            # Nor is it what its drivers come to, or what is budgeted from.
            "expectations 3 failed. Nothing was published; the last release stays.",
            "kpi_value managers add up to the company [failed]",
            "observed 1 row",
            "expected no rows",
            '[{"kpi_code": "won_amount", "period_grain": "month", "period_start": "2026-03-01"',
            '"company": 3975.5, "managers": 3975.51,',
            "what now correct the data in the CRM, or what expectations/reporting expects of it, then run again. "
            'If it is right: kpimart publish --override "WHY" --by NAME',
        ):
            assert said in ended.said
    accepted = built.kpimart("publish", "--override", "the cent is known", "--by", "M. Berg", "--json")
    assert accepted.code == 0
    release = json.loads(accepted.out)
    assert (release["is_current"], release["overridden_by"]) == (True, "M. Berg")
    listed = json.loads((built.root / release["folder"] / "manifest.json").read_text())["files"]
    assert {"data_docs/index.html", "data_docs/kpi_value.html", "data_docs/control_total.html"} <= listed.keys()
    assert "overridden by M. Berg" in built.kpimart("releases").said
    told = "kpi_value: managers add up to the company; by M. Berg: the cent is known"
    assert told in built.kpimart("status").said


def test_a_held_batch_is_accepted_by_name_and_reason(company: Company) -> None:
    half = "\n".join(DEALS.splitlines()[:7])
    company.write("deals.csv", half)
    with pytest.raises(GateRefused, match=r'kpimart accept --by NAME\s+--reason "WHY"'):
        company.extract_here()
    accepted = company.kpimart("accept", "--by", "M. Berg", "--reason", "the CRM was tidied up", "--json")
    ((batch_id, verdict),) = company.ask(
        "select batch_id, verdict from ops.batch_verdict where reason = 'accepted by M. Berg: the CRM was tidied up'"
    )
    assert (accepted.code, json.loads(accepted.out), verdict) == (0, [batch_id], "accepted")
    assert company.kpimart("accept", "--by", "M. Berg", "--reason", "again").code == 2


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as somebody has it who edits its suites."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in PARTS_OF_A_CHECKOUT:
        shutil.copytree(PROJECT / part, folder / part, symlinks=True)
    return folder


def add_expectation(checkout: Path, table: str, expectation: dict[str, Any]) -> None:
    path = checkout / "expectations" / "reporting" / f"{table}.json"
    suite = json.loads(path.read_text())
    suite["expectations"].append({**expectation, "severity": "critical", "meta": {"notes": "Because."}})
    path.write_text(json.dumps(suite))


def test_an_expectation_that_fails_and_one_that_errors_close_the_gate_and_are_told_apart(
    built: Company, checkout: Path
) -> None:
    add_expectation(checkout, "deal", {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1000}})
    add_expectation(checkout, "dim_manager", {"type": "expect_column_min_to_be_between", "kwargs": {"column": "wage"}})
    with nothing_reaches_readers(built):
        refused = built.kpimart("validate", "--json", PYTHONPATH=str(checkout))
        published = built.kpimart("publish")
    assert (refused.code, refused.out, published.code) == (3, "", 3)
    for said in (
        "expectations 1 failed, 1 errored. Nothing was published; the last release stays.",
        "deal expect_table_row_count_to_be_between [failed] observed 13 expected at least 1,000 because Because.",
        "dim_manager expect_column_min_to_be_between(wage) [errored]",
        "what errored says nothing about the data: mend what was observed (a suite in expectations/reporting",
    ):
        assert said in refused.said
    assert "1 failed, 1 errored" in published.said


# ---- how commands end, and what machines read


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("publsh",), "No such command 'publsh'"),
        (("run", "--as-off", "2026-01-01"), "No such option: --as-off"),
        (("run", "--as-of", "1.4.2026"), "--as-of '1.4.2026': give a date or a time in ISO 8601"),
        (("run", "--config", "other.toml"), "other.toml: there is no such file; give the path of a kpimart.toml"),
        (
            ("extract", "--source", "hubspto"),
            "there is no source 'hubspto'; known are amocrm, bitrix24, files, ",
        ),
        (("publish", "20200101T000000Z"), "there is no build 20200101T000000Z"),
        (("rollback", "20200101T000000Z"), "there is no release 20200101T000000Z"),
        (("kpi", "--kpi", "won_amuont"), "won_amuont"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_nobody_can_do_ends_with_2_and_the_reason(company: Company, command: tuple[str, ...], said: str) -> None:
    with nothing_reaches_readers(company):
        ended = company.kpimart(*command)
    assert ended.code == 2
    assert said in ended.said


def test_where_nothing_was_done_yet_each_command_says_what_to_do_first(company: Company) -> None:
    company.start_anew()
    first = {command: company.kpimart(command) for command in ("build", "validate", "publish", "rollback", "kpi")}
    assert {command: ended.code for command, ended in first.items()} == dict.fromkeys(first, 2)
    assert "run kpimart extract first" in first["build"].said
    assert "run kpimart build" in first["validate"].said
    assert "run kpimart build" in first["publish"].said
    assert "kpimart run makes one" in first["rollback"].said
    assert "make the first with kpimart run" in first["kpi"].said


def test_what_machines_read_is_json(steps: Steps, company: Company) -> None:
    run = json.loads(company.first_run.out)
    assert [batch["objects"][0]["rows_read"] for batch in run["batches"]] == [12]
    assert run["release"]["is_current"]
    assert json.loads(steps.ended["extract"].out)[0]["objects"][0]["versions_stored"] == 3
    assert json.loads(steps.ended["build"].out)["as_of"].startswith("2026-03-31T22:00:00")
    judged = json.loads(steps.ended["validate"].out)
    assert {result["outcome"] for result in judged} == {"passed"}
    assert run["gate"]["reporting"] == {"passed": len(judged), "failed": 0, "errored": 0}
    assert json.loads(steps.ended["publish"].out)["previous_release_id"] == run["release"]["release_id"]
    asked = {name: company.kpimart(name, "--json") for name in ("releases", "status", "kpi", "doctor")}
    assert {name: ended.code for name, ended in asked.items()} == dict.fromkeys(asked, 0)
    told = {name: json.loads(ended.out) for name, ended in asked.items()}
    assert [release["release_id"] for release in told["releases"]] == [run["release"]["release_id"]]
    assert told["status"]["release"]["release_id"] == run["release"]["release_id"]
    assert told["kpi"]["period"]
    assert {check["outcome"] for check in told["doctor"]} <= {"ok", "warning"}
