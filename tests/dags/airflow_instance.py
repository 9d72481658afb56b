"""An Airflow of the tests' own: SQLite for its metadata, the repository's DAGs, nothing of the machine's."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
AIRFLOW = Path(sys.executable).with_name("airflow")


@dataclass(frozen=True)
class DagOutcome:
    """What became of a DAG run: its state, and per task the state, the number of tries and what it handed on."""

    state: str
    as_of: str
    tasks: dict[str, dict[str, Any]]
    log: str

    def tries(self, task_id: str) -> tuple[str, int]:
        task = self.tasks[task_id]
        return task["state"], task["tries"]


@dataclass(frozen=True)
class Airflow:
    home: Path

    def command(self, *arguments: object, **variables: str) -> str:
        """Run a program of the environment with this Airflow's settings; what it prints and logs, as one text."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        own = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=self.home,
            env=kept | own | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def run(self, dag_id: str, logical_date: str, **variables: str) -> DagOutcome:
        """Run the DAG once for `logical_date` with these environment variables."""
        outcome = self.home / "outcome.json"
        outcome.unlink(missing_ok=True)
        runner = Path(__file__).with_name("run_dag.py")
        log = self.command(sys.executable, runner, dag_id, logical_date, outcome, **variables)
        return DagOutcome(log=log, **json.loads(outcome.read_text()))
