"""Load packages: what one fetch leaves in the landing area, and which of them are complete.

fetch writes `$KPIMART_HOME/landing/<source>/<table>/<load id>.<file id>.parquet` through dlt: a table an object, one
for the quarantined records, one that says what was read. dlt's marker in `_dlt_loads` comes last and makes a package
complete; what a killed fetch left has none, is never read, and is removed by the next fetch. dlt's incremental state
lies beside the data (`_dlt_pipeline_state`) and is restored from there, so its working folder is thrown away before
each fetch.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kpimart.clock import Clock
from kpimart.errors import KpiMartError, SettingsError, WarehouseBusy
from kpimart.extract.files import open_files
from kpimart.extract.records import Batch, ObjectRead, Progress, object_table
from kpimart.settings import Settings
from kpimart.warehouse import storage_errors

QUARANTINE_TABLE = "quarantine"
OBJECT_TABLE = "package_object"

Source = Callable[..., Iterator[Batch | ObjectRead]]
SOURCES: dict[str, Source] = {"files": open_files}

# dlt reads these from the environment. Without them it reports usage to its makers, swallows Ctrl-C, writes a page of
# traceback for each attempt at what is raised in the end anyway, and, finding Airflow installed, imports all of it and
# asks its database for secrets: five seconds.
DLT_ENVIRONMENT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__INTERCEPT_SIGNALS": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
}


@dataclass(frozen=True)
class FetchReport:
    """What a fetch left: its package, by the id of the batch it will become, and what was read of each object."""

    source: str
    batch_id: str
    fetched_at: datetime
    objects: tuple[ObjectRead, ...]


@dataclass(frozen=True)
class Package:
    """A complete load package in the landing area."""

    source: str
    load_id: str
    folder: Path

    @property
    def batch_id(self) -> str:
        """The id of the batch that landing makes of it."""
        return batch_id_of(self.source, self.load_id)

    def files(self, table: str) -> list[str]:
        """The Parquet files of one of its tables; none if there were no rows."""
        return sorted(str(path) for path in (self.folder / table).glob(f"{self.load_id}.*.parquet"))


def batch_id_of(source: str, load_id: str) -> str:
    """The id of the batch that a package becomes."""
    return f"{source}-{load_id}"


def landing_folder(settings: Settings) -> Path:
    """Where the packages of all sources lie."""
    return settings.home / "landing"


def fetch(
    settings: Settings,
    source: str,
    *,
    folder: Path | None,
    clock: Clock,
    progress: Progress | None = None,
) -> FetchReport:
    """Read a source and leave one complete load package.

    folder: where the source `files` finds its files, instead of `files.folder`. progress: called with an object's name
    and the number of its records read so far. Raises SettingsError, SourceUnreachable, BadSourceData, StorageFailed;
    WarehouseBusy if the same source is being fetched by another process.
    """
    if source not in SOURCES:
        raise SettingsError(f"there is no source {source!r}; known are {', '.join(sorted(SOURCES))}")
    landing = landing_folder(settings).absolute()
    if "%" in str(landing):
        # dlt takes the path of its working folder for a pattern to fill in.
        raise SettingsError(f"home: expected a path without '%', found {landing}; choose another with KPIMART_HOME")
    fetched_at = clock()
    items = SOURCES[source](settings, folder, extracted_at=fetched_at, progress=progress)
    with storage_errors(f"writing a load package to {landing}"), _alone(landing, source) as working_folder:
        load_id, objects = _write_package(source, items, landing, working_folder, fetched_at)
    return FetchReport(source, batch_id_of(source, load_id), fetched_at, tuple(objects))


def complete_packages(settings: Settings) -> list[Package]:
    """The complete packages of all sources, in the order in which they were fetched."""
    packages = [package for source in landing_folder(settings).glob("*") for package in _packages_in(source)]
    return sorted(packages, key=lambda package: (float(package.load_id), package.source))


def _packages_in(folder: Path) -> list[Package]:
    """The complete packages of the source whose folder it is, in no order."""
    return [package for marker in folder.glob("_dlt_loads/*.jsonl") if (package := _package_of(marker))]


def _package_of(marker: Path) -> Package | None:
    try:
        load = json.loads(marker.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        # The process was killed in the middle of the last line that it wrote.
        return None
    return Package(source=marker.parent.parent.name, load_id=load["load_id"], folder=marker.parent.parent)


@contextmanager
def _alone(landing: Path, source: str) -> Iterator[Path]:
    """An empty working folder for dlt, while no other process fetches this source."""
    working_folder = landing / ".dlt" / source
    working_folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(working_folder.with_name(f"{source}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseBusy(f"another process is fetching {source} into {landing}; wait for it, then rerun") from None
    try:
        shutil.rmtree(working_folder, ignore_errors=True)
        _remove_incomplete(landing / source)
        yield working_folder
    finally:
        shutil.rmtree(working_folder, ignore_errors=True)
        lock.release()


def _remove_incomplete(folder: Path) -> None:
    """Remove the files of packages that have no marker: a killed fetch left them, and nobody will ever read them."""
    complete = {package.load_id for package in _packages_in(folder)}
    for file in folder.glob("[!_]*/*.parquet"):
        if file.name.rsplit(".", 2)[0] not in complete:
            file.unlink()


def _write_package(
    source: str,
    items: Iterator[Batch | ObjectRead],
    landing: Path,
    working_folder: Path,
    fetched_at: datetime,
) -> tuple[str, list[ObjectRead]]:
    objects: list[ObjectRead] = []
    pipeline = _pipeline(source, landing, working_folder)
    # Imported here, because it takes longer than many a command of the command line.
    import dlt
    from dlt.pipeline.exceptions import PipelineStepFailed

    @dlt.resource(name=source)
    def package() -> Iterator[Any]:
        for item in items:
            if isinstance(item, ObjectRead):
                objects.append(item)
                yield dlt.mark.with_table_name(object_table(item, fetched_at), OBJECT_TABLE)
                continue
            if item.rows.num_rows:
                yield dlt.mark.with_table_name(item.rows, item.object_name)
            if item.quarantined.num_rows:
                yield dlt.mark.with_table_name(item.quarantined, QUARANTINE_TABLE)

    try:
        info = pipeline.run(package(), loader_file_format="parquet")
        info.raise_on_failed_jobs()
    except PipelineStepFailed as failure:
        raise _cause(failure) from failure
    return info.loads_ids[0], objects


def _pipeline(source: str, landing: Path, working_folder: Path) -> Any:
    os.environ.update(DLT_ENVIRONMENT)
    import dlt

    return dlt.pipeline(
        source,
        pipelines_dir=str(working_folder),
        destination=dlt.destinations.filesystem(
            bucket_url=str(landing), layout="{table_name}/{load_id}.{file_id}.{ext}"
        ),
        dataset_name=source,
    )


def _cause(failure: BaseException) -> BaseException:
    """What went wrong beneath the layers of dlt's own errors: one of ours, or of the operating system's, or Ctrl-C."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, KpiMartError | OSError | KeyboardInterrupt):
            return cause
        cause = cause.__cause__ or cause.__context__
    return failure
