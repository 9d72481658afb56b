"""Airflow, where this shell knows one: what keeps a night from starting, asked by Airflow's own commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpimart.doctor.check import Asked, Check, Outcome
from kpimart.paths import PROJECT

AIRFLOW = Path(sys.executable).with_name("airflow")
POOLS = ("pools", "list", "--output", "json")
SCHEDULER = ("jobs", "check", "--job-type", "SchedulerJob")
DAGS = ("dags", "list", "--output", "json")
BROKEN = ("dags", "list-import-errors", "--output", "json")
NOTICES = ("connections", "get", "kpimart_notices")

POOL = "kpimart_writer"
SECONDS = 120
Problem = tuple[Outcome, str]


def is_known() -> bool:
    """Whether this shell says where Airflow keeps its things."""
    return "AIRFLOW_HOME" in os.environ


def airflow(_: Asked) -> Check:
    """The pool, the scheduler, files that cannot be read, DAGs that are paused, and whether anybody is told."""
    # Each takes seconds to start, so those that say more are asked side by side, once there is a database to ask.
    (pools,) = _asked(POOLS)
    if pools.returncode:
        if "airflow db" in pools.stderr or "no such table" in pools.stderr:
            return Check("airflow", "warning", "it has no database yet: airflow db migrate")
        return Check("airflow", "failed", f"it does not answer: {(pools.stderr or pools.stdout).strip()[-300:]}")
    scheduler, dags, broken, notices = _asked(SCHEDULER, DAGS, BROKEN, NOTICES)
    problems = [*_of_pool(_rows(pools)), *_of_scheduler(scheduler), *_of_dags(_rows(dags), _rows(broken))]
    if notices.returncode:
        problems.append(("warning", "nobody is told of a failure: connection kpimart_notices is missing"))
    outcome: Outcome = "failed" if any(one == "failed" for one, _ in problems) else "warning"
    if problems:
        return Check("airflow", outcome, "; ".join(told for _, told in problems))
    return Check(
        "airflow", "ok", "the scheduler is alive, the pool has its one slot, no DAG is paused, people are told"
    )


def _of_pool(pools: list[dict[str, Any]]) -> Iterator[Problem]:
    slots = {pool["pool"]: str(pool["slots"]) for pool in pools}.get(POOL)
    if slots != "1":
        found = f"has {slots} slots, and two tasks would write at once" if slots else "is missing, and no task starts"
        yield "failed", f'pool {POOL} {found}: airflow pools set {POOL} 1 "one process writes the warehouse"'


def _of_scheduler(scheduler: "subprocess.CompletedProcess[str]") -> Iterator[Problem]:
    if scheduler.returncode:
        yield "failed", "no scheduler is alive: start airflow scheduler, or its container"


def _of_dags(dags: list[dict[str, Any]], broken: list[dict[str, Any]]) -> Iterator[Problem]:
    ours = {path.stem for path in (PROJECT / "dags").glob("*.py")}
    for each in broken:
        if Path(each["filepath"]).stem in ours:
            yield "failed", f"{each['filepath']} cannot be read: airflow dags list-import-errors"
    for dag in dags:
        if dag["dag_id"] in ours and dag["is_paused"] == "True":
            yield "warning", f"{dag['dag_id']} is paused: airflow dags unpause {dag['dag_id']}"


def _asked(*commands: tuple[str, ...]) -> "list[subprocess.CompletedProcess[str]]":
    """What commands of Airflow answered, asked at the same time."""
    processes = [
        subprocess.Popen([AIRFLOW, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - constants
        for command in commands
    ]
    answers = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        answers.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return answers


def _rows(answer: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    """The rows of an answer; libraries may have warned of something in the lines before them."""
    rows: list[dict[str, Any]] = json.loads(answer.stdout.strip().splitlines()[-1])
    return rows
