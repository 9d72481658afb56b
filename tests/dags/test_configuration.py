"""What Airflow's variables and connections say to a run, as a task finds it."""

import json
from pathlib import Path

import pytest
from airflow_instance import Airflow, DagOutcome

PROBE = """
from airflow.sdk import Param, dag, task

@task(retries=0)
def ask():
    from kpimart.scheduling.configuration import settings_of_run
    found = settings_of_run()
    return {
        "sources": list(found.sources), "profile": found.profile, "quiet": found.thresholds.max_quiet_days,
        "client": found.hubspot.client_id, "token": found.hubspot.token.get_secret_value()[::-1],
        "postgres": found.postgres.url.get_secret_value()[::-1],
    }

@dag(schedule=None, params={"profile": Param(None, type=["null", "string"])})
def probe():
    ask()

probe()
"""
VARIABLE = {"sources": ["hubspot"], "profile": "retention", "thresholds": {"max_quiet_days": 3}}
HUBSPOT = {"conn_type": "generic", "password": "pat-t0ken", "extra": {"client_id": "app"}}
POSTGRES = {"conn_type": "generic", "password": "postgresql://kpi:s3cret@127.0.0.1/reporting"}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text(PROBE)
    return folder


def asked(airflow: Airflow, probe: Path, **variables: str) -> DagOutcome:
    return airflow.run("probe", "2026-01-01T00:00:00+00:00", AIRFLOW__CORE__DAGS_FOLDER=str(probe), **variables)


@pytest.fixture(scope="module")
def outcome(airflow: Airflow, probe: Path) -> DagOutcome:
    return asked(
        airflow,
        probe,
        AIRFLOW_VAR_KPIMART_SETTINGS=json.dumps(VARIABLE),
        AIRFLOW_CONN_KPIMART_HUBSPOT=json.dumps(HUBSPOT),
        AIRFLOW_CONN_KPIMART_POSTGRES=json.dumps(POSTGRES),
        KPIMART_PROFILE="efficiency",
    )


def test_settings_and_secrets_come_from_airflow_unless_the_environment_has_them(outcome: DagOutcome) -> None:
    assert outcome.state == "success", outcome.log
    assert outcome.tasks["ask"]["result"] == {
        "sources": ["hubspot"],
        "profile": "efficiency",
        "quiet": 3,
        "client": "app",
        "token": "pat-t0ken"[::-1],
        "postgres": POSTGRES["password"][::-1],
    }


def test_a_key_that_is_no_setting_is_named(airflow: Airflow, probe: Path) -> None:
    outcome = asked(airflow, probe, AIRFLOW_VAR_KPIMART_SETTINGS=json.dumps({"profil": "retention"}))
    assert outcome.tasks["ask"]["state"] == "failed"
    assert "KPIMART_PROFIL: unknown; did you mean 'KPIMART_PROFILE'?" in outcome.log


def test_a_variable_that_is_no_object_is_refused(airflow: Airflow, probe: Path) -> None:
    outcome = asked(airflow, probe, AIRFLOW_VAR_KPIMART_SETTINGS='["retention"]')
    assert outcome.tasks["ask"]["state"] == "failed"
    assert "variable kpimart_settings: expected a JSON object, found list" in outcome.log
