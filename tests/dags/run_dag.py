"""Run a DAG once under `dag.test()` and write what became of it as JSON.

Usage: run_dag.py DAG_ID LOGICAL_DATE OUTCOME_FILE, in a process of its own, as a worker would be. The waits between
tries are cut short; everything else is as deployed.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag


def main(dag_id: str, logical_date: str, outcome_file: str) -> None:
    dag = DagBag().dags[dag_id]
    # At the end of a good run `dag.test()` looks for the deadline by an id that only a scheduler gives it, and fails.
    dag.deadline = None
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
    run = dag.test(logical_date=datetime.fromisoformat(logical_date))
    # Those of groups and the parts of mapped ones are told under the last part of their name.
    tasks = {
        each.task_id.rpartition(".")[2]: {
            "state": each.state,
            "tries": each.try_number,
            "result": each.xcom_pull(task_ids=each.task_id),
        }
        for each in run.get_task_instances()
    }
    outcome = {"state": run.state, "as_of": run.data_interval_end.isoformat(), "tasks": tasks}
    Path(outcome_file).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
