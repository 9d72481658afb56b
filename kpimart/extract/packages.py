"""Load packages: what one fetch leaves in the landing area, and which of them are complete.

fetch writes `<landing>/<source>/<table>/<load id>.<file id>.parquet` through dlt: a table an object, and
tables for the quarantined records, for the ids that the source listed, for fields that changed, and for the account of
what was read. dlt's marker in `_dlt_loads` comes last and makes a package complete; what a killed fetch left has none,
is never read, and is removed by the next fetch.

The account of an object says where the next fetch goes on. It is taken from the last package whose batch the raw gate
did not hold, so nothing that was held is skipped. A long read leaves several packages, each with a place to go on from.
"""

import gc
import importlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kpimart.clock import Clock
from kpimart.errors import KpiMartError, SettingsError, WarehouseBusy
from kpimart.extract.canonical import OBJECTS
from kpimart.extract.files import open_files
from kpimart.extract.landing_area import UNFINISHED, LandingArea
from kpimart.extract.reading import ApiReading
from kpimart.extract.records import Batch, Known, ObjectRead, Progress, Reading, change_table, object_table, silent
from kpimart.extract.source import ApiSource
from kpimart.extract.sql import open_sql
from kpimart.settings import Settings
from kpimart.warehouse import open_memory, storage_errors

QUARANTINE_TABLE = "quarantine"
OBJECT_TABLE = "package_object"
LISTING_TABLE = "listing"
SCHEMA_CHANGE_TABLE = "schema_change"
_MARKERS = "_dlt_loads"
# dlt makes the folder of a source unless its mark is there, and keeps its schemas beside.
_INITIALISED, _VERSIONS = "init", "_dlt_version"

# A package ends when it has so many records, or took so long: that is what an interruption costs.
PACKAGE_RECORDS = 250_000
PACKAGE_SECONDS = 60.0

# Python's own 700 let the search for cycles take up to half of the time of reading.
OBJECTS_BETWEEN_SEARCHES = 100_000

# The CRMs that are read over an API; each is a module of this package with its SOURCE.
API_SOURCES = ("hubspot", "salesforce", "pipedrive", "bitrix24", "amocrm", "odoo", "tryton")

# dlt reads these from the environment. Without them it reports usage to its makers, swallows Ctrl-C, writes a page of
# traceback for each attempt at what is raised in the end anyway, and, finding Airflow installed, imports all of it and
# asks its database for secrets: five seconds. It would also look for a state of its own in the landing area: where a
# fetch goes on stands in the accounts of the packages.
DLT_ENVIRONMENT = {
    "RESTORE_FROM_DESTINATION": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__INTERCEPT_SIGNALS": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
}


@dataclass(frozen=True)
class FetchReport:
    """What a fetch left: its packages, by the ids of the batches they will become, and what was read of each object."""

    source: str
    batch_ids: tuple[str, ...]
    fetched_at: datetime
    objects: tuple[ObjectRead, ...]


@dataclass(frozen=True)
class Package:
    """A load package in the landing area that has its marker."""

    area: LandingArea
    source: str
    load_id: str

    @property
    def batch_id(self) -> str:
        """The id of the batch that landing makes of it."""
        return batch_id_of(self.source, self.load_id)

    def is_complete(self) -> bool:
        """False if the process was killed in the middle of the last line that it wrote, that of the marker."""
        try:
            json.loads(self.area.read(self.source, _MARKERS, _marker_of(self.source, self.load_id)))
        except json.JSONDecodeError:
            return False
        return True

    def tables(self) -> list[str]:
        """Its tables that may have rows."""
        return [name for name in self.area.names(self.source) if not name.startswith("_") and self.files(name)]

    def files(self, table: str) -> list[str]:
        """The Parquet files of one of its tables, as DuckDB reads them; none if there were no rows."""
        names = self.area.names(self.source, table)
        return [self.area.path(self.source, table, name) for name in names if _load_id_of(name) == self.load_id]


def batch_id_of(source: str, load_id: str) -> str:
    """The id of the batch that a package becomes."""
    return f"{source}-{load_id}"


def account_files(package: Package) -> list[str]:
    """The files of a package that say where the next fetch goes on: the account of its objects, then its marker."""
    marker = package.area.path(package.source, _MARKERS, _marker_of(package.source, package.load_id))
    return [*package.files(OBJECT_TABLE), marker]


def fetch_state(settings: Settings, landed: Collection[str]) -> list[str]:
    """What a fetch goes on from, without the records: dlt's own files, and the accounts of landed packages."""
    area = landing_area(settings)
    files = []
    for source in _sources_in(area):
        files += [area.path(source, name) for name in area.names(source) if name == _INITIALISED]
        files += [area.path(source, _VERSIONS, name) for name in area.names(source, _VERSIONS)]
        for package in _packages_of(area, source):
            if package.batch_id in landed and package.is_complete():
                files += account_files(package)
    return files


def landing_area(settings: Settings) -> LandingArea:
    """Where the packages of all sources lie."""
    return LandingArea.at(settings.landing or settings.home / "landing")


def _marker_of(source: str, load_id: str) -> str:
    """The file that dlt writes last."""
    return f"{source}__{load_id}.jsonl"


def _load_id_of(file: str) -> str:
    """The load id in the name of a data file, whose last parts are the file's own."""
    return file.rsplit(".", 2)[0]


def configure_dlt() -> None:
    """Tell dlt how to behave; before it is imported."""
    os.environ.update(DLT_ENVIRONMENT)


def api_source(name: str) -> ApiSource[Any]:
    """The CRM of that name. Imported when it is asked for: some need libraries of their own."""
    source: ApiSource[Any] = importlib.import_module(f"kpimart.extract.{name}").SOURCE
    return source


def object_names(source: str) -> tuple[str, ...]:
    """The objects that a source may have, whether this company's has them or not."""
    return tuple(each.name for each in api_source(source).objects) if source in API_SOURCES else tuple(OBJECTS)


def parts_of(settings, source):
    return (object_names(source),)


def fetch(
    settings: Settings,
    source: str,
    *,
    objects: Sequence[str] | None = None,
    folder: Path | None,
    clock: Clock,
    held: Collection[str] = (),
    progress: Progress = silent,
) -> FetchReport:
    """Read a source and leave complete load packages, at least one.

    folder: where the source `files` finds its files, instead of `files.folder`. held: the batches that the raw gate
    held; what they brought is read again. Raises SettingsError, AccessRefused, SourceUnreachable, BadSourceData,
    StorageFailed; what was read before is in a complete package then. WarehouseBusy if another process is fetching it.
    """
    if source not in SOURCES:
        raise SettingsError(f"there is no source {source!r}; known are {', '.join(sorted(SOURCES))}")
    area = landing_area(settings)
    home = settings.home.absolute()
    if "%" in str(home):
        # dlt takes the path of its working folder for a pattern to fill in.
        raise SettingsError(f"home: expected a path without '%', found {home}; choose another with KPIMART_HOME")
    known = LastKnown(area, source, held)
    fetched_at = clock()
    with (
        SOURCES[source](settings, folder, fetched_at, known, progress) as readings,
        storage_errors(f"writing a load package to {area.url}"),
        _alone(area, source, home) as working_folder,
        _cycles_seldom_sought(),
    ):
        return _write_packages(source, readings, area, working_folder, fetched_at, clock)


@contextmanager
def _cycles_seldom_sought() -> Iterator[None]:
    """Python looks for cycles of garbage after so many new objects; records are many objects, and have none."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _write_packages(
    source: str,
    readings: Sequence[Reading],
    area: LandingArea,
    working_folder: Path,
    fetched_at: datetime,
    clock: Clock,
) -> FetchReport:
    batch_ids: list[str] = []
    objects: list[ObjectRead] = []
    pipeline = _pipeline(source, area, working_folder)
    while not batch_ids or not all(reading.is_done for reading in readings):
        load_id, read = _write_package(source, readings, pipeline, area, clock() if batch_ids else fetched_at)
        batch_ids.append(batch_id_of(source, load_id))
        objects += read
        failures = [reading.failure for reading in readings if reading.failure]
        if failures:
            raise failures[0]
    return FetchReport(source, tuple(batch_ids), fetched_at, tuple(objects))


class LastKnown(Mapping[str, Known]):
    """What the last complete packages of a source that were not held say of each object, by its name.

    The newest package tells of most objects, so packages are looked into only until the object asked for is found.
    """

    def __init__(self, area: LandingArea, source: str, held: Collection[str]) -> None:
        self._found: dict[str, Known] = {}
        packages = [package for package in _packages_of(area, source) if package.batch_id not in held]
        self._accounts = (_account_in(package) for package in reversed(packages) if package.is_complete())

    def __getitem__(self, name: str) -> Known:
        while name not in self._found and self._look_further():
            pass
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        while self._look_further():
            pass
        return iter(self._found)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _look_further(self) -> bool:
        """Look into one more package; False if there is none."""
        account = next(self._accounts, None)
        for name, known in (account or {}).items():
            self._found.setdefault(name, known)
        return account is not None


def _account_in(package: Package) -> dict[str, Known]:
    with open_memory() as connection:
        package.area.make_known_to(connection)
        rows = connection.execute(
            "select object, cursor, fields from read_parquet($files)", {"files": package.files(OBJECT_TABLE)}
        ).fetchall()
    return {name: Known(cursor, fields) for name, cursor, fields in rows}


def complete_packages(settings: Settings, *, taken: Collection[str] = ()) -> list[Package]:
    """The complete packages of all sources, in the order in which they were fetched, but for the batches `taken`."""
    area = landing_area(settings)
    packages = [package for source in _sources_in(area) for package in _packages_of(area, source)]
    wanted = [package for package in packages if package.batch_id not in taken and package.is_complete()]
    return sorted(wanted, key=lambda package: (float(package.load_id), package.source))


def _sources_in(area: LandingArea) -> list[str]:
    return [name for name in area.names() if not name.startswith(".")]


def _packages_of(area: LandingArea, source: str) -> list[Package]:
    """The packages of a source that have a marker, whole or not, in the order in which they were fetched."""
    prefix, suffix = _marker_of(source, "*").split("*")
    markers = [name for name in area.names(source, _MARKERS) if name.startswith(prefix) and name.endswith(suffix)]
    load_ids = [name.removeprefix(prefix).removesuffix(suffix) for name in markers]
    return [Package(area, source, load_id) for load_id in sorted(load_ids, key=float)]


@contextmanager
def _alone(area: LandingArea, source: str, home: Path) -> Iterator[Path]:
    """An empty working folder for dlt, while no other process of this home fetches this source."""
    working_folder = home / "landing" / ".dlt" / source
    working_folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(working_folder.with_name(f"{source}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseBusy(f"another process is fetching {source} into {area.url}; wait for it, then rerun") from None
    try:
        shutil.rmtree(working_folder, ignore_errors=True)
        _remove_incomplete(area, source)
        yield working_folder
    finally:
        shutil.rmtree(working_folder, ignore_errors=True)
        lock.release()


def remove_incomplete(settings: Settings) -> None:
    """Remove what killed fetches of any source left; raises WarehouseBusy while one is being fetched."""
    area, home = landing_area(settings), settings.home.absolute()
    for source in {*_sources_in(area), *(path.name for path in home.glob("landing/.dlt/*/"))}:
        with _alone(area, source, home):
            pass


def _remove_incomplete(area: LandingArea, source: str) -> None:
    """Remove the files of packages that have no whole marker: a killed fetch left them, and nobody will read them.

    Only the last marker can have been cut off, because each fetch begins with this.
    """
    packages = _packages_of(area, source)
    if packages and not packages[-1].is_complete():
        area.remove(source, _MARKERS, _marker_of(source, packages.pop().load_id))
    complete = {package.load_id for package in packages}
    for table in area.names(source):
        for name in area.names(source, table) if not table.startswith("_") else ():
            is_of_nobody = name.endswith(".parquet") and _load_id_of(name) not in complete
            if is_of_nobody or name.endswith(UNFINISHED):
                area.remove(source, table, name)


def _write_package(
    source: str, readings: Sequence[Reading], pipeline: Any, area: LandingArea, fetched_at: datetime
) -> tuple[str, list[ObjectRead]]:
    """Write what the readings have to give, up to a package full of it. Objects are read at the same time."""
    # Imported here, because it takes longer than many a command of the command line.
    import dlt
    from dlt.pipeline.exceptions import PipelineStepFailed

    objects: list[ObjectRead] = []
    quota = _Quota()

    def take(reading: Reading) -> Iterator[Any]:
        for item in reading.take(fetched_at, quota.is_used_up):
            if isinstance(item, ObjectRead):
                objects.append(item)
                yield from _account(item, fetched_at)
            else:
                quota.records += item.rows.num_rows
                yield from _tables(item)

    resources = [
        dlt.resource(take(reading), name=f"{source}_{number}", parallelized=len(readings) > 1)
        for number, reading in enumerate(readings)
        if not reading.is_done
    ]
    try:
        info = pipeline.run(resources, loader_file_format="parquet")
        info.raise_on_failed_jobs()
    except PipelineStepFailed as failure:
        with area.errors() if failure.step in ("sync", "load") else nullcontext():
            raise _cause(failure) from failure
    return info.loads_ids[0], objects


@dataclass
class _Quota:
    """How much goes into one package."""

    records: int = 0
    began: float = field(default_factory=time.monotonic)

    def is_used_up(self) -> bool:
        return self.records >= PACKAGE_RECORDS or time.monotonic() - self.began >= PACKAGE_SECONDS


def _tables(batch: Batch) -> Iterator[Any]:
    """The tables of a batch, each with the name of where it belongs."""
    import dlt

    tables = {
        batch.object_name: batch.rows,
        QUARANTINE_TABLE: batch.quarantined,
        LISTING_TABLE: batch.listed,
    }
    for name, table in tables.items():
        if table.num_rows:
            yield dlt.mark.with_table_name(table, name)


def _account(read: ObjectRead, fetched_at: datetime) -> Iterator[Any]:
    import dlt

    yield dlt.mark.with_table_name(object_table(read, fetched_at), OBJECT_TABLE)
    if read.schema_changes:
        yield dlt.mark.with_table_name(change_table(read.schema_changes), SCHEMA_CHANGE_TABLE)


def _pipeline(source: str, area: LandingArea, working_folder: Path) -> Any:
    configure_dlt()
    import dlt

    return dlt.pipeline(
        source,
        pipelines_dir=str(working_folder),
        destination=dlt.destinations.filesystem(bucket_url=area.url, layout="{table_name}/{load_id}.{file_id}.{ext}"),
        dataset_name=source,
    )


# ------------------------------------------------------------------------------------------------------------ sources


class _WholeReading:
    """A source that is read in one go, into one package."""

    def __init__(self, items: Iterator[Batch | ObjectRead]) -> None:
        self.is_done = False
        self.failure: KpiMartError | None = None
        self._items = items

    def take(self, _: datetime, __: Callable[[], bool]) -> Iterator[Batch | ObjectRead]:
        yield from self._items
        self.is_done = True


@contextmanager
def _open_files(
    settings: Settings, folder: Path | None, fetched_at: datetime, _: Mapping[str, Known], progress: Progress
) -> Iterator[Sequence[Reading]]:
    yield [_WholeReading(open_files(settings, folder, extracted_at=fetched_at, progress=progress))]


@contextmanager
def _open_sql(
    settings: Settings, _: Path | None, fetched_at: datetime, known: Mapping[str, Known], progress: Progress
) -> Iterator[Sequence[Reading]]:
    with closing(open_sql(settings, known, extracted_at=fetched_at, progress=progress)) as items:
        yield [_WholeReading(items)]


def _open_api(name: str) -> "OpenSource":
    @contextmanager
    def open_source(
        settings: Settings, _: Path | None, __: datetime, known: Mapping[str, Known], progress: Progress
    ) -> Iterator[Sequence[Reading]]:
        source = api_source(name)
        own = getattr(settings, name)
        with source.connect(settings) as client:
            yield [
                ApiReading(name, each, client, own, known.get(each.name, Known(None, None)), progress)
                for each in source.objects
            ]

    return open_source


OpenSource = Callable[
    [Settings, Path | None, datetime, Mapping[str, Known], Progress], AbstractContextManager[Sequence[Reading]]
]
"""Opens a source: settings, the folder of files, the moment of the fetch, what is known of its objects, progress."""

SOURCES: dict[str, OpenSource] = {
    "files": _open_files,
    "sql": _open_sql,
    **{name: _open_api(name) for name in API_SOURCES},
}


def _cause(failure: BaseException) -> BaseException:
    """What went wrong beneath the layers of dlt's own errors: one of ours, or of the operating system's, or Ctrl-C."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, KpiMartError | OSError | KeyboardInterrupt):
            return cause
        cause = cause.__cause__ or cause.__context__
    return failure
