"""The DAGs under `dag.test()`: a night on a real export, the weekly ones after it, and what they tell the outside."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from airflow_instance import REPOSITORY, Airflow, DagOutcome

from kpimart.layers import LAYERS

CONFIG = REPOSITORY / "examples" / "crm_sales_opportunities" / "kpimart.toml"
BUSINESS_TIME_ZONE = "America/New_York"
# 04:00 on New Year's Day in New York: the last night then ended at 02:00.
NEW_YEAR = "2018-01-01T09:00:00+00:00"
STEPS = ("plan", "fetch", "land", "gate_raw", "begin_build", *LAYERS, "gate_reporting", "publish", "notify")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, real_export: Path) -> dict[str, str]:
    """Settings for the company of the export, with a home of its own."""
    return {
        "KPIMART_CONFIG": str(CONFIG),
        "KPIMART_HOME": str(tmp_path_factory.mktemp("company") / "home"),
        "KPIMART_FILES__FOLDER": str(real_export),
        "KPIMART_TIME_ZONE": BUSINESS_TIME_ZONE,
    }


@pytest.fixture(scope="module")
def lineage_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lineage") / "events.ndjson"


@pytest.fixture(scope="module")
def statsd() -> Iterator[socket.socket]:
    """A collector of metrics, which keeps what is sent to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        collector.bind(("127.0.0.1", 0))
        collector.setblocking(False)
        yield collector


@pytest.fixture(scope="module")
def night(airflow: Airflow, environment: dict[str, str], lineage_file: Path, statsd: socket.socket) -> DagOutcome:
    transport = {"type": "file", "log_file_path": str(lineage_file), "append": True}
    return airflow.run(
        "crm_kpi_nightly",
        NEW_YEAR,
        AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport),
        AIRFLOW__METRICS__STATSD_ON="True",
        AIRFLOW__METRICS__STATSD_HOST="127.0.0.1",
        AIRFLOW__METRICS__STATSD_PORT=str(statsd.getsockname()[1]),
        **environment,
    )


def test_a_night_does_all_steps_at_the_first_try(night: DagOutcome) -> None:
    assert night.state == "success", night.log
    assert {step: night.tries(step) for step in STEPS} == dict.fromkeys(STEPS, ("success", 1))
    assert night.tasks["serve_postgres"]["state"] == "skipped"


def test_the_figures_speak_of_the_end_of_the_data_interval(night: DagOutcome, environment: dict[str, str]) -> None:
    assert night.as_of == "2018-01-01T07:00:00+00:00"
    manifest = Path(
        environment["KPIMART_HOME"], "reporting", "releases", night.tasks["publish"]["result"], "manifest.json"
    )
    assert json.loads(manifest.read_text())["as_of"].startswith("2018-01-01T07:00:00")


def test_tasks_hand_on_nothing_but_names(night: DagOutcome) -> None:
    results = {task_id: task["result"] for task_id, task in night.tasks.items()}
    assert results["gate_raw"] is None
    assert len({results[step] for step in ("begin_build", *LAYERS, "gate_reporting", "publish")}) == 1


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


def test_lineage_leads_from_the_crm_to_what_is_published(night: DagOutcome, lineage_file: Path) -> None:
    events = [json.loads(line) for line in lineage_file.read_text().splitlines()]
    steps = {
        event["job"]["name"].rpartition(".")[2]: tuple(
            {f"{each['namespace']}:{each['name']}" for each in event[side]} for side in ("inputs", "outputs")
        )
        for event in events
        if event["eventType"] == "COMPLETE"
    }
    assert "crm:files/deals" in steps["fetch"][0]
    assert "kpimart:reporting/kpi_value" in steps["publish"][1]
    for before, after in [
        ("fetch", "land"),
        ("land", "staging"),
        ("staging", "core"),
        ("core", "kpi"),
        ("kpi", "publish"),
    ]:
        assert steps[before][1] & steps[after][0], f"nothing leads from {before} to {after}"


def test_metrics_tell_rows_durations_freshness_and_what_the_gates_found(
    night: DagOutcome, statsd: socket.socket
) -> None:
    gauges = dict(metric.removesuffix("|g").rsplit(":", 1) for metric in sent_to(statsd) if metric.endswith("|g"))
    assert float(gauges["airflow.kpimart.fetched.files.deals"]) == 8800
    assert float(gauges["airflow.kpimart.landed.files.deals"]) == 8800
    assert float(gauges["airflow.kpimart.gate.raw.passed"]) > 0
    assert float(gauges["airflow.kpimart.gate.reporting.failed"]) == 0
    assert float(gauges["airflow.kpimart.build.kpi.kpi_value"]) > 0
    assert float(gauges["airflow.kpimart.reporting.rows.kpi_value"]) > 0
    assert float(gauges["airflow.kpimart.reporting.age_seconds"]) > 0


def sent_to(collector: socket.socket) -> list[str]:
    metrics = []
    while True:
        try:
            metrics += collector.recv(65_536).decode().split("\n")
        except BlockingIOError:
            return metrics


def test_a_past_release_is_what_raw_gives(airflow: Airflow, environment: dict[str, str], night: DagOutcome) -> None:
    check = airflow.run("kpi_backfill_check", "2018-01-08T09:00:00+00:00", **environment)
    assert check.state == "success", check.log
    assert check.tasks["choose_release"]["result"] == night.tasks["publish"]["result"]
    assert "every row is what raw gives" in check.log


def test_the_home_is_backed_up_kept_in_order_and_restored(
    airflow: Airflow, environment: dict[str, str], night: DagOutcome, tmp_path: Path
) -> None:
    backup = {"KPIMART_BACKUP__PLACE": str(tmp_path / "backup")}
    upkeep = airflow.run("warehouse_upkeep", "2018-01-08T09:00:00+00:00", **(environment | backup))
    assert upkeep.state == "success", upkeep.log
    assert f"release {night.tasks['publish']['result']} came back, and raw gives every row of it" in upkeep.log


def test_without_a_place_for_backups_the_rest_is_done(
    airflow: Airflow, environment: dict[str, str], night: DagOutcome
) -> None:
    upkeep = airflow.run("warehouse_upkeep", "2018-01-15T09:00:00+00:00", **environment)
    assert {name: task["state"] for name, task in upkeep.tasks.items()} == {
        "back_up": "skipped",
        "keep_up": "success",
        "restore_drill": "skipped",
    }


def test_a_source_that_is_away_is_tried_again(airflow: Airflow, environment: dict[str, str], tmp_path: Path) -> None:
    away = {"KPIMART_FILES__FOLDER": str(tmp_path / "not-mounted"), "KPIMART_HOME": str(tmp_path / "home")}
    outcome = airflow.run("crm_kpi_nightly", "2018-01-03T09:00:00+00:00", **(environment | away))
    assert outcome.tries("fetch") == ("failed", 4), outcome.log
    assert outcome.tries("begin_build") == ("upstream_failed", 0)
    assert "SourceUnreachable" in outcome.log
