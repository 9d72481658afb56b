"""The nightly DAG: how it is wired, and that it does the night's work under Airflow."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow_instance import REPOSITORY, Airflow, DagOutcome

DAG_FILE = REPOSITORY / "dags" / "crm_kpi_nightly.py"
CONFIG = REPOSITORY / "examples" / "crm_sales_opportunities" / "kpimart.toml"
BUSINESS_TIME_ZONE = "America/New_York"
# 04:00 on New Year's Day in New York: the last night then ended at 02:00.
NEW_YEAR = "2018-01-01T09:00:00+00:00"
STEPS = ("extract", "build", "validate", "publish")

DESCRIBE = """
import json, sys
before = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
dag = bag.dags["crm_kpi_nightly"]
DagSerialization.serialize_dag(dag)
print(json.dumps({
    "errors": bag.import_errors,
    "modules": sorted(sys.modules),
    "cron": dag.timetable.expression, "zone": str(dag.timetable.timezone),
    "catchup": dag.catchup, "max_active_runs": dag.max_active_runs, "doc_md": dag.doc_md,
    "downstream": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
    "pools": sorted({task.pool for task in dag.tasks}),
    "retries": sorted({task.retries for task in dag.tasks}),
    "policies": sorted({type(task.retry_policy).__name__ for task in dag.tasks}),
}), file=open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def described(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAG as Airflow reads the file, in a fresh process."""
    answer = tmp_path_factory.mktemp("described") / "dag.json"
    airflow.command(sys.executable, "-c", DESCRIBE, DAG_FILE, answer, KPIMART_TIME_ZONE=BUSINESS_TIME_ZONE)
    return json.loads(answer.read_text())


def test_the_file_imports(described: dict[str, Any]) -> None:
    assert described["errors"] == {}


def test_reading_the_file_loads_nothing_that_works(described: dict[str, Any]) -> None:
    working = {"duckdb", "dbt", "dlt", "great_expectations", "pyarrow", "kpimart.settings", "kpimart.pipeline"}
    assert working & set(described["modules"]) == set()


def test_reading_the_file_opens_no_configuration(airflow: Airflow) -> None:
    airflow.command(sys.executable, DAG_FILE, KPIMART_CONFIG="/nowhere/kpimart.toml", KPIMART_HOME="/nowhere")


def test_it_runs_nightly_at_two_in_the_business_time_zone(described: dict[str, Any]) -> None:
    assert (described["cron"], described["zone"]) == ("0 2 * * *", BUSINESS_TIME_ZONE)
    assert not described["catchup"]


def test_its_steps_follow_one_another(described: dict[str, Any]) -> None:
    assert described["downstream"] == {
        "extract": ["build"],
        "build": ["validate"],
        "validate": ["publish"],
        "publish": [],
    }


def test_one_writer_at_a_time(described: dict[str, Any]) -> None:
    assert described["pools"] == ["kpimart_writer"]
    assert described["max_active_runs"] == 1


def test_every_step_retries_what_is_worth_it(described: dict[str, Any]) -> None:
    assert described["retries"] == [3]
    assert described["policies"] == ["RetryWhatMayPass"]


@pytest.mark.parametrize("topic", ["Purpose", "Why 02:00", "Rerun", "Backfill", "If it is red"])
def test_its_page_says_what_the_person_on_call_asks(described: dict[str, Any], topic: str) -> None:
    assert f"**{topic}" in described["doc_md"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, real_export: Path) -> dict[str, str]:
    """Settings for a company whose export the tests may change."""
    folder = tmp_path_factory.mktemp("company")
    shutil.copytree(real_export, folder / "export", copy_function=shutil.copyfile)
    (folder / "export").chmod(0o755)
    return {
        "KPIMART_CONFIG": str(CONFIG),
        "KPIMART_HOME": str(folder / "home"),
        "KPIMART_FILES__FOLDER": str(folder / "export"),
        "KPIMART_TIME_ZONE": BUSINESS_TIME_ZONE,
    }


@pytest.fixture(scope="module")
def night(airflow: Airflow, environment: dict[str, str]) -> DagOutcome:
    return airflow.run("crm_kpi_nightly", NEW_YEAR, **environment)


def test_a_night_does_all_steps_at_the_first_try(night: DagOutcome) -> None:
    assert night.state == "success", night.log
    assert {task_id: night.tries(task_id) for task_id in night.tasks} == dict.fromkeys(STEPS, ("success", 1))


def test_the_figures_speak_of_the_end_of_the_data_interval(night: DagOutcome, environment: dict[str, str]) -> None:
    assert night.as_of == "2018-01-01T07:00:00+00:00"
    manifest = Path(
        environment["KPIMART_HOME"], "reporting", "releases", night.tasks["publish"]["result"], "manifest.json"
    )
    assert json.loads(manifest.read_text())["as_of"].startswith("2018-01-01T07:00:00")


def test_tasks_hand_on_nothing_but_names(night: DagOutcome) -> None:
    results = {task_id: task["result"] for task_id, task in night.tasks.items()}
    assert results["extract"] is None
    assert results["build"] == results["validate"] == results["publish"] != ""


def test_the_published_figures_are_the_known_ones(night: DagOutcome, environment: dict[str, str]) -> None:
    assert night.state == "success", night.log
    current = Path(environment["KPIMART_HOME"], "reporting", "reporting.duckdb")
    with duckdb.connect(str(current), read_only=True) as reporting:
        all_time = reporting.sql("""
            select kpi_code, sum(value) from reporting.kpi_value
            where entity_level = 'company' and period_grain = 'year'
                and kpi_code in ('won_deals', 'lost_deals', 'won_amount')
            group by kpi_code
        """).fetchall()
        second_quarter = reporting.sql("""
            select kpi_code, value from reporting.kpi_value
            where entity_level = 'company' and period_grain = 'quarter' and period_start = date '2017-04-01'
                and kpi_code in ('won_deals', 'lost_deals', 'won_amount')
        """).fetchall()
    assert dict(all_time) == {"won_deals": 4238, "lost_deals": 2473, "won_amount": 10_005_534}
    assert dict(second_quarter) == {"won_deals": 1254, "lost_deals": 778, "won_amount": 3_086_111}


def test_a_held_batch_is_refused_once_and_nothing_is_published(
    airflow: Airflow, environment: dict[str, str], night: DagOutcome
) -> None:
    """An export that lost half of its rows overnight is not believed, and asking again would not change it."""
    current = Path(environment["KPIMART_HOME"], "reporting", "reporting.duckdb")
    released = current.read_bytes()
    deals = Path(environment["KPIMART_FILES__FOLDER"], "sales_pipeline.csv")
    rows = deals.read_text().splitlines(keepends=True)
    deals.write_text("".join(rows[: len(rows) // 2]))

    outcome = airflow.run("crm_kpi_nightly", "2018-01-02T09:00:00+00:00", **environment)

    deals.write_text("".join(rows))
    assert outcome.tries("extract") == ("failed", 1), outcome.log
    assert outcome.tries("publish") == ("upstream_failed", 0)
    assert "GateRefused" in outcome.log
    assert current.read_bytes() == released


def test_a_source_that_is_away_is_tried_again(airflow: Airflow, environment: dict[str, str], tmp_path: Path) -> None:
    away = {"KPIMART_FILES__FOLDER": str(tmp_path / "not-mounted"), "KPIMART_HOME": str(tmp_path / "home")}
    outcome = airflow.run("crm_kpi_nightly", "2018-01-03T09:00:00+00:00", **(environment | away))
    assert outcome.tries("extract") == ("failed", 4), outcome.log
    assert outcome.tries("build") == ("upstream_failed", 0)
    assert "SourceUnreachable" in outcome.log
