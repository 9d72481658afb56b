"""Every DAG file: it imports without touching anything, and says what the person on call asks of it."""

import itertools
import json
import sys
from typing import Any

import pytest
from airflow_instance import REPOSITORY, Airflow

from kpimart.layers import LAYERS

DAG_FILES = sorted((REPOSITORY / "dags").glob("*.py"))
DAG_IDS = [path.stem for path in DAG_FILES]
BUSINESS_TIME_ZONE = "America/New_York"

DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
described = {}
for dag in bag.dags.values():
    DagSerialization.serialize_dag(dag)
    described[dag.dag_id] = {
        "file": dag.fileloc.rpartition("/")[2],
        "cron": dag.timetable.expression, "zone": str(dag.timetable.timezone), "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs, "doc_md": dag.doc_md, "tags": sorted(dag.tags),
        "has_deadline": bool(dag.deadline),
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "tasks": {task.task_id: {
            "downstream": sorted(task.downstream_task_ids), "pool": task.pool, "retries": task.retries,
            "policy": type(task.retry_policy).__name__, "owner": task.owner,
            "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
            "on_failure": [type(each).__name__ for each in task.on_failure_callback],
        } for task in dag.tasks},
    }
print(json.dumps({
    "errors": bag.import_errors, "modules": sorted(sys.modules), "dags": described}), file=open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def read(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow makes of the folder, in a fresh process, where there is neither a configuration nor a home."""
    answer = tmp_path_factory.mktemp("read") / "dags.json"
    nowhere = {"KPIMART_CONFIG": "/nowhere/kpimart.toml", "KPIMART_HOME": "/nowhere"}
    folder = REPOSITORY / "dags"
    airflow.command(sys.executable, "-c", DESCRIBE, folder, answer, KPIMART_TIME_ZONE=BUSINESS_TIME_ZONE, **nowhere)
    return json.loads(answer.read_text())


def test_the_files_import(read: dict[str, Any]) -> None:
    assert read["errors"] == {}
    assert {dag_id: dag["file"] for dag_id, dag in read["dags"].items()} == {path.stem: path.name for path in DAG_FILES}


def test_reading_them_loads_nothing_that_works(read: dict[str, Any]) -> None:
    working = {"duckdb", "dbt", "dlt", "great_expectations", "pyarrow", "apprise", "kpimart.settings"}
    assert working & set(read["modules"]) == set()
    assert "kpimart.pipeline" not in read["modules"]


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_its_schedule_is_in_business_time(read: dict[str, Any], dag_id: str) -> None:
    dag = read["dags"][dag_id]
    assert dag["zone"] == BUSINESS_TIME_ZONE
    assert not dag["catchup"]


@pytest.mark.parametrize("dag_id", DAG_IDS)
@pytest.mark.parametrize("topic", ["Purpose", "Why", "Rerun", "If it is red"])
def test_its_page_says_what_the_person_on_call_asks(read: dict[str, Any], dag_id: str, topic: str) -> None:
    assert f"**{topic}" in read["dags"][dag_id]["doc_md"]


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_whoever_is_told_is_named_and_so_is_when(read: dict[str, Any], dag_id: str) -> None:
    dag = read["dags"][dag_id]
    assert "kpi" in dag["tags"]
    for task in dag["tasks"].values():
        assert task["owner"] in ("data-engineering", "finance")
        assert task["on_failure"] == ["Failed"]


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_step_ends_and_retries_what_is_worth_it(read: dict[str, Any], dag_id: str) -> None:
    for name, task in read["dags"][dag_id]["tasks"].items():
        assert (task["retries"], task["policy"]) == (3, "RetryWhatMayPass")
        # who has to approve may take weeks, and holds no process meanwhile
        assert (task["timeout"] is None) == (name == "approve")


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_what_writes_takes_the_writers_place(read: dict[str, Any], dag_id: str) -> None:
    others = {name for name, task in read["dags"][dag_id]["tasks"].items() if task["pool"] != "kpimart_writer"}
    assert others <= {"extract.fetch", "approve"}


def test_the_night_begins_at_two_and_is_late_at_some_time(read: dict[str, Any]) -> None:
    night = read["dags"]["crm_kpi_nightly"]
    assert (night["cron"], night["max_active_runs"], night["has_deadline"]) == ("0 2 * * *", 1, True)


def test_the_steps_of_the_night_follow_one_another(read: dict[str, Any]) -> None:
    steps = ["extract.plan", "extract.fetch", "extract.land", "extract.gate_raw", "build.begin_build"]
    steps += [*(f"build.{layer}" for layer in LAYERS), "gate_reporting", "publish", "serve_postgres", "notify"]
    downstream = {name: task["downstream"] for name, task in read["dags"]["crm_kpi_nightly"]["tasks"].items()}
    assert downstream.keys() == set(steps)
    assert [before for before, after in itertools.pairwise(steps) if after not in downstream[before]] == []


def test_the_form_of_the_night_is_checked(read: dict[str, Any]) -> None:
    params = read["dags"]["crm_kpi_nightly"]["params"]
    assert params.keys() == {"source", "as_of", "known_at", "full_refresh", "profile"}
    assert {"hubspot", "files", None} <= set(params["source"]["enum"])
    assert params["as_of"]["format"] == params["known_at"]["format"] == "date-time"
    assert params["full_refresh"]["type"] == "boolean"
    assert params["profile"]["pattern"]
