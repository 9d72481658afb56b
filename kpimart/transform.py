"""Runs dbt in this process, and tells what it did in words a person can use.

One invocation builds everything: a process per model would pay dbt's start each time and fight over the one writer.
"""

import errno
import gc
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb

from kpimart.errors import BuildFailed, StorageFailed
from kpimart.layers import PATHS_OF_LAYERS
from kpimart.paths import DBT_PROJECT
from kpimart.warehouse import open_database

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunner, dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest as Manifest  # what `run` hands on from parse_dbt to run_dbt

SHOWN_ROWS = 5
# Allocations between two collections of garbage, for Python's 700: dbt holds a million objects for as long as it runs,
# and looking through them again and again is a tenth of what a small build costs.
ALLOCATIONS = 50_000


@dataclass(frozen=True)
class NodeRun:
    """How a model, seed or test of a build ended. `status` and `kind` are dbt's words; `seconds` of its execution.

    `message`: what dbt said of it, if it did not succeed.
    """

    name: str
    kind: str
    status: str
    started_at: datetime
    seconds: float
    message: str | None = None


Tell = Callable[[NodeRun], None]
"""Called with each model, seed or test when it is done."""


@dataclass(frozen=True)
class Transformation:
    """What dbt works on: the database that it builds, the one it reads raw from if that is another, and the seeds.

    crms: the sources whose staging models are built.
    """

    database: Path
    work_folder: Path
    crms: tuple[str, ...]
    raw_database: Path | None = None
    project: Path = DBT_PROJECT


def parse_dbt(transformation: Transformation) -> "Manifest":
    """Read the project, for `run_dbt` to take; it needs no database. Raises BuildFailed if it cannot be read."""
    result = _invoke(_runner(), transformation, ["parse"])
    if not result.success:
        raise BuildFailed(f"dbt cannot read the project: {result.exception}") from result.exception
    return cast("Manifest", result.result)


def recipe_of(project: Path, decisions: dict[str, Any]) -> str:
    """A hash of all that tables are made by, other than raw and seeds: models, macros, settings, the database.

    What was made by one recipe is not continued by another. decisions: as `Settings.decisions` gives them.
    """
    digest = hashlib.sha256(f"{duckdb.__version__}\n{json.dumps(decisions, sort_keys=True)}".encode())
    for path in sorted(
        [project / "dbt_project.yml", *(project / "macros").rglob("*"), *(project / "models").rglob("*")]
    ):
        if path.is_file():
            digest.update(f"\n{path.relative_to(project)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def run_dbt(
    transformation: Transformation,
    tell: Tell,
    manifest: "Manifest | None" = None,
    *,
    layer: str | None = None,
    full_refresh: bool = False,
) -> tuple[str, ...]:
    """Build all seeds, models and tests, or those of a layer; returns what tests warn of, each in a few lines.

    manifest: what `parse_dbt` read of this project for this target, to save reading it again. full_refresh: build also
    those tables anew that are kept from one build to the next.
    Raises BuildFailed that names what failed: a model with the database's words, a test with the rows that it found;
    StorageFailed when the disk was full.
    """
    refresh = ["--full-refresh"] if full_refresh else []
    result = _invoke(
        _runner(tell, manifest),
        transformation,
        ["build", "--exclude-resource-type", "unit_test", *refresh, *(selection_of(layer) if layer else [])],
    )
    if result.exception is not None:
        _refuse_full_disk(transformation, str(result.exception))
        raise BuildFailed(f"dbt could not start the build: {result.exception}") from result.exception
    outcomes: Any = result.result
    failed = [outcome for outcome in outcomes if outcome.status in ("error", "fail")]
    if failed:
        for outcome in failed:
            _refuse_full_disk(transformation, str(outcome.message), outcome.node.name)
        raise BuildFailed("\n".join(_explain(outcome, transformation.database) for outcome in failed))
    return tuple(_explain(outcome, transformation.database) for outcome in outcomes if outcome.status == "warn")


def selection_of(layer: str) -> list[str]:
    """dbt's options that select a layer, with the tests that what is built by then can answer."""
    paths = " ".join(f"path:{path}" for path in PATHS_OF_LAYERS[layer])
    return ["--select", paths, "--indirect-selection", "buildable"]


def _refuse_full_disk(transformation: Transformation, message: str, node: str = "all models") -> None:
    """A full disk is told as one, by the first that met it; what failed after it says nothing of the models."""
    if os.strerror(errno.ENOSPC) in message:
        raise StorageFailed(f"building {node} in {transformation.database}: {message}; make room, then rerun")


def _silently(_: NodeRun) -> None:
    pass


def _runner(tell: Tell = _silently, manifest: "Manifest | None" = None) -> "dbtRunner":
    # Its import takes seconds; who only looks at figures must not wait for it.
    from dbt.cli.main import dbtRunner

    def on_event(event: Any) -> None:
        if event.info.name == "NodeFinished":
            tell(_run_of(event.data.node_info, event.data.run_result))

    return dbtRunner(manifest=manifest, callbacks=[on_event])


def _run_of(node: Any, result: Any) -> NodeRun:
    is_well = result.status in ("success", "pass")
    return NodeRun(
        name=node.node_name,
        kind=node.resource_type,
        status=result.status,
        started_at=datetime.fromisoformat(node.node_started_at).replace(tzinfo=UTC),
        seconds=result.execution_time,
        message=None if is_well else result.message,
    )


def _invoke(runner: "dbtRunner", transformation: Transformation, arguments: list[str]) -> "dbtRunnerResult":
    target = "scratch" if transformation.raw_database else "warehouse"
    project, work_folder = transformation.project.absolute(), transformation.work_folder.absolute()
    with _environment(transformation), _collecting_seldom(), _opened_once():
        return runner.invoke(
            [
                *arguments,
                *("--project-dir", str(project), "--profiles-dir", str(DBT_PROJECT)),
                # What dbt remembers of a project names files by their place: another place must not share it.
                *("--vars", json.dumps({"crms": transformation.crms, "project": str(project)})),
                *("--target", target, "--target-path", str(work_folder / target), "--log-path", str(work_folder)),
                # What failed is told by whoever asked for the build; all the rest stands in the log file.
                *("--log-level", "none", "--log-level-file", "info"),
                "--quiet",
                "--no-use-colors",
                "--no-write-json",
            ]
        )


@contextmanager
def _opened_once() -> Iterator[None]:
    """dbt opens the database for its first model; it is closed, for others to open it, when the last one is done."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    try:
        yield
    finally:
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _environment(transformation: Transformation) -> Iterator[None]:
    """Name the files to the profile, and hold the log's tongue about itself, for as long as dbt runs."""
    names = {"DBT_KPIMART_DATABASE": str(transformation.database.absolute())}
    if transformation.raw_database:
        names["DBT_KPIMART_RAW"] = str(transformation.raw_database.absolute())
    before = {name: os.environ.get(name) for name in names}
    tells_errors_of_its_own = logging.raiseExceptions
    os.environ.update(names)
    # A log file that cannot be written, for want of room, would be told in thousands of lines that hide the message.
    logging.raiseExceptions = False
    try:
        yield
    finally:
        logging.raiseExceptions = tells_errors_of_its_own
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _explain(outcome: Any, database: Path) -> str:
    """What failed, and the first rows of what a test found; a test whose one column is `problem` says it itself."""
    kind, name = outcome.node.resource_type, outcome.node.name
    if outcome.status == "error":
        return f"{kind} {name} could not be built: {outcome.message}"
    with open_database(database) as connection:
        found = connection.execute(f"select * from ({outcome.node.compiled_code}) limit {SHOWN_ROWS}")
        columns = [column[0] for column in found.description]
        rows = found.fetchall()
    about = outcome.node.description
    if columns == ["problem"]:
        more = [f"  … and {outcome.failures - SHOWN_ROWS} more"] if outcome.failures > SHOWN_ROWS else []
        return "\n".join([about or name, *(f"  {problem}" for (problem,) in rows), *more])
    shown = [", ".join(f"{column}={value}" for column, value in zip(columns, row, strict=True)) for row in rows]
    heading = f"test {name} found {outcome.failures} rows that must not be{f': {about}' if about else ''}"
    return "\n".join([heading, *(f"  {row}" for row in shown)])
