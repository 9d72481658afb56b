"""Which failures are tried again; asked in another process, because importing Airflow changes logging for all tests."""

import json
import sys
from pathlib import Path

import pytest
from airflow_instance import Airflow

ASK = """
import json, pathlib, sys
from airflow.sdk.exceptions import AirflowTaskTimeout
from kpimart import errors
from kpimart.scheduling.retries import RetryWhatMayPass
raised = {
    "a source that may be back later": errors.SourceUnreachable("the share is not mounted"),
    "a writer that will be done": errors.WarehouseBusy("another run is writing"),
    "a step that took too long": AirflowTaskTimeout(),
    "a refused gate": errors.GateRefused("2 of 214 expectations failed"),
    "a wrong setting": errors.SettingsError("unknown key"),
    "a defect": ZeroDivisionError(),
}
actions = {name: RetryWhatMayPass().evaluate(error, 1, 3).action.value for name, error in raised.items()}
pathlib.Path(sys.argv[1]).write_text(json.dumps(actions))
"""


@pytest.fixture(scope="module")
def actions(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    answer = Path(tmp_path_factory.mktemp("asked")) / "actions.json"
    airflow.command(sys.executable, "-c", ASK, answer)
    return json.loads(answer.read_text())


@pytest.mark.parametrize(
    "failure", ["a source that may be back later", "a writer that will be done", "a step that took too long"]
)
def test_what_may_pass_is_left_to_the_retries_of_the_task(actions: dict[str, str], failure: str) -> None:
    assert actions[failure] == "default"


@pytest.mark.parametrize("failure", ["a refused gate", "a wrong setting", "a defect"])
def test_what_another_try_cannot_change_fails_at_once(actions: dict[str, str], failure: str) -> None:
    assert actions[failure] == "fail"


BACK_UP = """
import pathlib, sys
from airflow.sdk.exceptions import AirflowSkipException
from kpimart.scheduling import weekly
from kpimart.settings import BackupSettings, Settings
home = pathlib.Path(sys.argv[1])
weekly.settings_of_run = lambda: Settings(home=home, backup=BackupSettings(place=str(home / "backup")))
try:
    weekly.back_up()
except AirflowSkipException as skipped:
    print(skipped)
"""


def test_before_the_first_release_nothing_is_backed_up(airflow: Airflow, tmp_path: Path) -> None:
    assert "nothing was published yet" in airflow.command(sys.executable, "-c", BACK_UP, tmp_path)
