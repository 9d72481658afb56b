"""The DAGs under a real scheduler: nights, a task that is killed, a gate that refuses, a backfill, an approval.

One Airflow for all, and one small company; the tests go through its days in their order.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import scheduler as real
from small_company import NEXT_DEALS, Company, tables_of

from kpimart import pipeline
from kpimart.publish.release import current, releases
from kpimart.publish.shelf import Release
from sampling import IS_FULL

NIGHTLY, CLOSING = "crm_kpi_nightly", "budget_month_close"
LAYERS = ("staging", "intermediate", "core", "kpi", "insight", "finance")
# Two o'clock in Berlin; on the 29th the clock is put forward just then.
NIGHTS = [datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((29, 1), (30, 0), (31, 0))]
ADDRESS_SECRET = "t0p-s3cret"
AT_FULL_COUNT = pytest.mark.skipif(
    not IS_FULL, reason="three nights, each twice: make test-full; sampled by test_nights"
)


@dataclass(frozen=True)
class Stage:
    """What the tests play on."""

    airflow: real.Scheduler
    company: Company
    notices: list[dict[str, Any]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    company = Company(tmp_path_factory.mktemp("company"))
    home = tmp_path_factory.mktemp("airflow")
    with real.mailbox() as (address, notices):
        variables = {
            "KPIMART_CONFIG": str(company.root / "kpimart.toml"),
            "KPIMART_FILES__FOLDER": str(company.export),
            "KPIMART_HOME": str(company.home),
            "KPIMART_TIME_ZONE": "Europe/Berlin",
            "AIRFLOW_CONN_KPIMART_NOTICES": json.dumps(
                {"conn_type": "apprise", "extra": {"config": {"path": address, "tag": "all"}}}
            ),
        }
        with real.running(home, **variables) as airflow:
            yield Stage(airflow, company, notices)


@pytest.fixture(scope="module")
def first_night(stage: Stage) -> str:
    """The run that the scheduler makes by itself; one of its tasks is killed at its first try."""
    stage.airflow.unpause(NIGHTLY)
    run_id = stage.airflow.until("a night begins", lambda: stage.airflow.runs(NIGHTLY, "scheduled"))[0]["dag_run_id"]

    def core_at_work() -> int | None:
        task = stage.airflow.tasks(NIGHTLY, run_id).get("core", {})
        return task.get("pid") if task.get("state") == "running" else None

    os.kill(stage.airflow.until("core is built", core_at_work), signal.SIGKILL)
    assert stage.airflow.ended(NIGHTLY, run_id) == "success", stage.airflow.states(NIGHTLY, run_id)
    return run_id


def test_a_killed_task_is_tried_again_and_the_night_goes_on_from_it(stage: Stage, first_night: str) -> None:
    tries = {name: task["try_number"] for name, task in stage.airflow.tasks(NIGHTLY, first_night).items()}
    assert tries["core"] == 2
    assert {count for name, count in tries.items() if name not in ("core", "serve_postgres")} == {1}


def test_the_night_speaks_of_its_end(stage: Stage, first_night: str) -> None:
    run = stage.airflow.runs(NIGHTLY, "scheduled")[0]
    served = current(stage.company.home)
    assert served is not None
    assert served.as_of == datetime.fromisoformat(run["data_interval_end"])
    assert stage.airflow.result(NIGHTLY, first_night, "publish") == served.release_id


def test_others_can_depend_on_the_release_that_was_published(stage: Stage, first_night: str) -> None:
    event = stage.airflow.ask("GET", "assets/events")["asset_events"][-1]
    served = current(stage.company.home)
    assert served is not None
    # Airflow writes an address without a path so.
    assert event["uri"] == "kpimart://reporting/"
    assert (event["extra"]["release_id"], event["extra"]["is_served"]) == (served.release_id, True)
    ((rows,),) = stage.company.ask_served("select count(*) from kpi_value")
    assert event["extra"]["rows"]["kpi_value"] == rows


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_tells_of_each_of_its_models(stage: Stage, first_night: str, layer: str) -> None:
    log = stage.airflow.log(NIGHTLY, first_night, f"build.{layer}")
    made = stage.company.ask("select distinct node from ops.model_run where kind = 'model' and status = 'success'")
    folder = "" if layer in ("staging", "intermediate") else "marts/"
    of_layer = {path.stem for path in (real.REPOSITORY / "models" / f"{folder}{layer}").rglob("*.sql")}
    made_here = {node for (node,) in made} & of_layer
    assert made_here
    assert [node for node in made_here if node not in log] == []


def test_no_secret_is_in_a_rendered_field_or_a_log(stage: Stage, first_night: str) -> None:
    tasks = stage.airflow.tasks(NIGHTLY, first_night).values()
    rendered = json.dumps([task["rendered_fields"] for task in tasks])
    logs = "".join(path.read_text() for path in (stage.airflow.home / "logs").rglob("*.log"))
    assert "files" in rendered
    assert ADDRESS_SECRET not in rendered + logs


@pytest.fixture(scope="module")
def red_night(stage: Stage, first_night: str) -> str:
    """A run on an export that lost two thirds of its rows."""
    rows = NEXT_DEALS.splitlines(keepends=True)
    stage.company.write("deals.csv", "".join(rows[:5]))
    run_id = stage.airflow.trigger(NIGHTLY, datetime.now(UTC).isoformat())
    assert stage.airflow.ended(NIGHTLY, run_id) == "failed"
    return run_id


def test_a_gate_that_refuses_turns_the_run_red_at_once(stage: Stage, red_night: str) -> None:
    tasks = stage.airflow.tasks(NIGHTLY, red_night)
    assert (tasks["gate_raw"]["state"], tasks["gate_raw"]["try_number"]) == ("failed", 1)
    assert tasks["begin_build"]["state"] == tasks["publish"]["state"] == "upstream_failed"


def test_the_last_release_is_served_on(stage: Stage, first_night: str, red_night: str) -> None:
    served = current(stage.company.home)
    assert served is not None
    assert served.release_id == stage.airflow.result(NIGHTLY, first_night, "publish")


def test_who_is_on_call_hears_which_step_failed_why_and_where_to_look(stage: Stage, red_night: str) -> None:
    notice = stage.airflow.until(
        "a notice comes", lambda: [each for each in stage.notices if each["type"] == "failure"]
    )
    assert len(notice) == 1
    assert notice[0]["title"] == f"KPI Mart: extract.gate_raw of {NIGHTLY} failed"
    for told in ("GateRefused", "files", "deals", "kpimart accept", f"{stage.airflow.url}/dags/{NIGHTLY}/runs/"):
        assert told in notice[0]["message"]


def test_reporting_that_is_late_is_told_of(stage: Stage, red_night: str) -> None:
    stage.airflow.change_metadata("update deadline set deadline_time = '2026-01-01 00:00:00' where not missed")

    def told() -> list[dict[str, Any]]:
        # By the hour of the day, the first night was late in earnest.
        return [each for each in stage.notices if each["type"] == "warning" and red_night in each["message"]]

    late = stage.airflow.until("a notice comes", told)
    assert late[0]["title"] == f"KPI Mart: {NIGHTLY} is late"


@pytest.fixture(scope="module")
def mended_night(stage: Stage, red_night: str) -> Release:
    """What the red run publishes after the export was mended and its first task cleared."""
    stage.company.write("deals.csv", NEXT_DEALS)
    clear(stage, red_night, "extract.plan")
    assert stage.airflow.ended(NIGHTLY, red_night) == "success"
    served = current(stage.company.home)
    assert served is not None
    return served


def test_a_cleared_run_publishes_what_was_mended(stage: Stage, mended_night: Release) -> None:
    won = """
        select value from kpi_value
        where kpi_code = 'won_amount' and entity_level = 'company' and period_grain = 'year'
    """
    assert stage.company.ask_served(won) == [(Decimal("5225.50"),)]


def test_the_recovery_is_told_of_once(stage: Stage, red_night: str, mended_night: Release) -> None:
    well = [each for each in stage.notices if each["type"] == "success"]
    assert len(well) == 1
    assert mended_night.release_id in well[0]["message"]
    assert red_night in well[0]["message"]


@pytest.fixture(scope="module")
def one_by_one(stage: Stage, mended_night: Release, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The company as it was before the backfill, without the scheduler."""
    company = Company(tmp_path_factory.mktemp("one_by_one"))
    company.write("deals.csv", NEXT_DEALS)
    shutil.copytree(stage.company.home, company.home)
    return company


@pytest.fixture(scope="module")
def backfill(stage: Stage, one_by_one: Company) -> list[dict[str, Any]]:
    """Three nights that are over, all at once."""
    return backfilled(stage)


@AT_FULL_COUNT
def test_a_backfill_gives_each_night_as_the_nights_one_by_one_would(
    stage: Stage, one_by_one: Company, backfill: list[dict[str, Any]]
) -> None:
    for night, run in zip(NIGHTS, backfill, strict=True):
        assert datetime.fromisoformat(run["data_interval_end"]) == night
        alone = pipeline.run(one_by_one.settings(), files=one_by_one.export, as_of=night).release
        (together,) = (each for each in releases(stage.company.home) if each.as_of == night)
        assert tables_of(together.database) == tables_of(alone.database)


@AT_FULL_COUNT
def test_a_backfill_does_not_take_back_what_is_served(
    stage: Stage, mended_night: Release, backfill: list[dict[str, Any]]
) -> None:
    assert current(stage.company.home) == mended_night


@AT_FULL_COUNT
def test_a_night_that_was_run_gives_its_release_again(stage: Stage, backfill: list[dict[str, Any]]) -> None:
    before = {run["dag_run_id"]: stage.airflow.result(NIGHTLY, run["dag_run_id"], "publish") for run in backfill}
    kept = [each.release_id for each in releases(stage.company.home)]
    again = backfilled(stage, "--reprocess-behavior", "completed")
    assert {run["dag_run_id"]: stage.airflow.result(NIGHTLY, run["dag_run_id"], "publish") for run in again} == before
    assert [each.release_id for each in releases(stage.company.home)] == kept
    assert {stage.airflow.tasks(NIGHTLY, run["dag_run_id"])["begin_build"]["state"] for run in again} == {"skipped"}


@pytest.fixture(scope="module")
def approved(stage: Stage, mended_night: Release) -> str:
    """A run that closes May, approved by a person through the API."""
    stage.airflow.unpause(CLOSING)
    run_id = stage.airflow.trigger(CLOSING, "2026-06-15T00:00:00Z")
    waiting = f"dags/{CLOSING}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"

    def asked() -> dict[str, Any] | None:
        state = stage.airflow.tasks(CLOSING, run_id)["approve"]["state"]
        return stage.airflow.ask("GET", waiting) if state == "awaiting_input" else None

    question = stage.airflow.until("somebody is asked", asked)
    assert question["subject"] == "Close 2026-05?"
    assert mended_night.release_id in question["body"]
    # Airflow takes an answer that overtakes the end of the process that asked for a failure, and asks once more.
    stage.airflow.until("who asked has gone", lambda: stage.airflow.has_noted_the_end(CLOSING, run_id, "approve"))
    stage.airflow.ask("PATCH", waiting, chosen_options=["Approve"], params_input={"note": "looked at with sales"})
    assert stage.airflow.ended(CLOSING, run_id) == "success"
    return run_id


def test_the_approver_and_the_note_are_kept_with_the_closing(
    stage: Stage, approved: str, mended_night: Release
) -> None:
    (payload,) = stage.company.ask("select payload from raw.kpimart__close")[0]
    closing = json.loads(payload)
    assert (closing["month"], closing["release_id"]) == ("2026-05", mended_night.release_id)
    assert (closing["decided_by"], closing["note"]) == (real.USER, "looked at with sales")


def test_who_has_to_approve_is_told(stage: Stage, approved: str) -> None:
    wanted = [each for each in stage.notices if each["type"] == "info" and quote(approved) in each["message"]]
    assert len(wanted) == 1
    assert "Close 2026-05?" in wanted[0]["message"]


def test_the_workbook_of_the_closed_month_is_there(stage: Stage, approved: str) -> None:
    assert stage.airflow.result(CLOSING, approved, "export_workbook") == str(
        stage.company.home / "workbooks" / "budget-2026-05.xlsx"
    )
    assert (stage.company.home / "workbooks" / "budget-2026-05.xlsx").stat().st_size > 10_000


def clear(stage: Stage, run_id: str, task_id: str) -> None:
    """Clear a task and those after it, as a person does in the grid."""
    stage.airflow.ask(
        "POST",
        f"dags/{NIGHTLY}/clearTaskInstances",
        dry_run=False,
        dag_run_id=run_id,
        task_ids=[task_id],
        include_downstream=True,
        only_failed=False,
        reset_dag_runs=True,
    )


def backfilled(stage: Stage, *options: str) -> list[dict[str, Any]]:
    """The runs of a backfill of NIGHTS, at their end."""
    window = ("--from-date", "2026-03-28", "--to-date", "2026-03-30")
    stage.airflow.command("backfill", "create", "--dag-id", NIGHTLY, *window, *options)
    runs = stage.airflow.runs(NIGHTLY, "backfill")
    assert [stage.airflow.ended(NIGHTLY, run["dag_run_id"]) for run in runs] == ["success"] * len(NIGHTS)

    def is_over() -> bool:
        backfills = stage.airflow.ask("GET", f"backfills?dag_id={NIGHTLY}")["backfills"]
        return all(each["completed_at"] for each in backfills)

    # There is one at a time, and the scheduler notes its end some time after that of its runs.
    stage.airflow.until("the backfill is over", is_over)
    return runs
