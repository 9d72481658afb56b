"""Load packages: what one fetch leaves in the landing area, and which of them are complete.

fetch writes `<landing>/<source>/<table>/<load id>.<file id>.parquet` through dlt: a table an object, and
tables for the quarantined records, for the ids that the source listed, for fields that changed, and for the account of
what was read. dlt's marker in `_dlt_loads` comes last and makes a package complete; what a killed fetch left has none,
is never read, and is removed by the next fetch.

Where an API sets no rate, an object is a part of its source: several processes may fetch a part each, and a part's
packages lie in a folder of its own, `<landing>/<source>__<object>/`, so that none of them touches a neighbour's.

The account of an object says where the next fetch goes on. It is taken from the last package whose batch the raw gate
did not hold, so nothing that was held is skipped. A long read leaves several packages, each with a place to go on from.
"""

import gc
import importlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kpimart.clock import Clock, utc_now
from kpimart.errors import KpiMartError, SettingsError, WarehouseBusy
from kpimart.extract.canonical import OBJECTS
from kpimart.extract.files import open_files
from kpimart.extract.landing_area import UNFINISHED, LandingArea
from kpimart.extract.mapped import deals_of
from kpimart.extract.reading import ApiReading
from kpimart.extract.records import Batch, Known, ObjectRead, Progress, Reading, change_table, object_table, silent
from kpimart.extract.source import ApiSource, Deals
from kpimart.extract.sql import open_sql
from kpimart.settings import FilesSettings, Settings, SqlSettings
from kpimart.warehouse import open_memory, storage_errors

QUARANTINE_TABLE = "quarantine"
OBJECT_TABLE = "package_object"
LISTING_TABLE = "listing"
SCHEMA_CHANGE_TABLE = "schema_change"
_MARKERS = "_dlt_loads"
# Between a source and its object in the name of a part's folder, as between those in the name of a table of raw.
_OF = "__"
# dlt makes the folder of a source unless its mark is there, and keeps its schemas beside.
_INITIALISED, _VERSIONS = "init", "_dlt_version"

# A package ends when it has so many records, or took so long: that is what an interruption costs.
PACKAGE_RECORDS = 250_000
PACKAGE_SECONDS = 60.0

# Its files come into the landing area one after the other, once it is read. Where other homes fetch into the same area,
# which this home's locks do not see, what is without a marker for no longer may be that of a living fetch.
LONGEST_WRITING = timedelta(hours=1)

# Python's own 700 let the search for cycles take up to half of the time of reading.
OBJECTS_BETWEEN_SEARCHES = 100_000

# The accounts in some files. Those from before there were places to go on from have no columns for them.
ACCOUNTS = """(
    from read_parquet($files)
    union all by name
    select null::varchar as cursor, null::varchar as fields where false
)"""

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
    """A load package in the landing area that has its marker; `folder` is its source's, or that of a part of it."""

    area: LandingArea
    folder: str
    load_id: str

    @property
    def source(self) -> str:
        """The source that it was fetched from."""
        return _source_of(self.folder)

    @property
    def batch_id(self) -> str:
        """The id of the batch that landing makes of it."""
        return batch_id_of(self.folder, self.load_id)

    def is_complete(self) -> bool:
        """False if the process was killed in the middle of the last line that it wrote, that of the marker."""
        try:
            json.loads(self.area.read(self.folder, _MARKERS, _marker_of(self.source, self.load_id)))
        except json.JSONDecodeError:
            return False
        return True

    def tables(self) -> list[str]:
        """Its tables that may have rows."""
        return [name for name in self.area.names(self.folder) if not name.startswith("_") and self.files(name)]

    def files(self, table: str) -> list[str]:
        """The Parquet files of one of its tables, as DuckDB reads them; none if there were no rows."""
        names = self.area.names(self.folder, table)
        return [self.area.path(self.folder, table, name) for name in names if _load_id_of(name) == self.load_id]


def batch_id_of(folder: str, load_id: str) -> str:
    """The id of the batch that a package becomes: two parts may be given the same load id."""
    return f"{folder}-{load_id}"


def account_files(package: Package) -> list[str]:
    """The files of a package that say where the next fetch goes on: the account of its objects, then its marker."""
    marker = package.area.path(package.folder, _MARKERS, _marker_of(package.source, package.load_id))
    return [*package.files(OBJECT_TABLE), marker]


def fetch_state(settings: Settings, landed: Collection[str]) -> list[str]:
    """What a fetch goes on from, without the records: dlt's own files, and the accounts of landed packages."""
    area = landing_area(settings)
    files = []
    for folder in _folders_in(area):
        files += [area.path(folder, name) for name in area.names(folder) if name == _INITIALISED]
        files += [area.path(folder, _VERSIONS, name) for name in area.names(folder, _VERSIONS)]
        for package in _packages_in(area, folder):
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


def deals_in_raw(decisions: Mapping[str, Any]) -> dict[str, Deals]:
    """What of raw is a deal, by source; decisions: what raw keeps of the settings (`Settings.decisions`)."""
    mapped: Mapping[str, type[FilesSettings | SqlSettings]] = {"files": FilesSettings, "sql": SqlSettings}
    return {
        source: api_source(source).deals
        if source in API_SOURCES
        else deals_of(mapped[source].model_validate(decisions[source]).deals)
        for source in decisions["sources"]
    }


def parts_of(settings: Settings, source: str) -> tuple[tuple[str, ...], ...]:
    """What of a source several processes may fetch at the same time: a part an object, or one part with all of them.

    One part are the APIs that set a rate, or were given one in the settings: it is the process that counts requests,
    and the account that they are counted for. So are files and a database, because what is read of them belongs to one
    moment. Raises SettingsError.
    """
    _require_known(source)
    names = object_names(source)
    if source not in API_SOURCES or getattr(settings, source).requests_per_second:
        return (names,)
    return (names,) if api_source(source).rates(settings) else tuple((name,) for name in names)


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

    objects: only these; what `parts_of` divides may be fetched by several processes at the same time, on one machine or
    several. folder: where the source `files` finds its files, instead of `files.folder`. held: the batches that the raw
    gate held; what they brought is read again. Raises SettingsError, AccessRefused, SourceUnreachable, BadSourceData,
    StorageFailed; what was read before is in a complete package then. WarehouseBusy if another process is fetching it.
    """
    wanted = _wanted(source, objects)
    area = landing_area(settings)
    home = settings.home.absolute()
    if "%" in str(home):
        # dlt takes the path of its working folder for a pattern to fill in.
        raise SettingsError(f"home: expected a path without '%', found {home}; choose another with KPIMART_HOME")
    known = LastKnown(area, source, held, wanted)
    fetched_at = clock()
    parts, folders = parts_of(settings, source), _folders_of(source, wanted)
    if len(parts) > 1 and wanted in parts:
        # A part is written into a folder of its own; anything else into the source's, alone with each part that it is.
        folders = folders[1:]
    with (
        SOURCES[source](settings, folder, wanted, fetched_at, known, progress) as readings,
        storage_errors(f"writing a load package to {area.url}"),
        _alone(area, folders, home) as working_folder,
        _cycles_seldom_sought(),
    ):
        for each in {*folders} & {*_folders_in(area)}:
            _remove_incomplete(area, each, is_shared=settings.landing is not None)
        return _write_packages(folders[0], readings, area, working_folder, fetched_at, clock)


def _require_known(source: str) -> None:
    if source not in SOURCES:
        raise SettingsError(f"there is no source {source!r}; known are {', '.join(sorted(SOURCES))}")


def _wanted(source: str, objects: Sequence[str] | None) -> tuple[str, ...]:
    """The objects to read, all if none is named, in the order in which the source has them."""
    _require_known(source)
    names = object_names(source)
    unknown = sorted({*(objects or ())} - {*names})
    if unknown:
        raise SettingsError(f"{source} has no object {', '.join(unknown)}; it has {', '.join(names)}")
    wanted = tuple(name for name in names if not objects or name in objects)
    if source not in API_SOURCES and wanted != names:
        raise SettingsError(f"{source} is read as a whole, because its objects belong to one moment; name no object")
    return wanted


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
    folder: str,
    readings: Sequence[Reading],
    area: LandingArea,
    working_folder: Path,
    fetched_at: datetime,
    clock: Clock,
) -> FetchReport:
    batch_ids: list[str] = []
    objects: list[ObjectRead] = []
    pipeline = _pipeline(folder, area, working_folder)
    while not batch_ids or not all(reading.is_done for reading in readings):
        load_id, read = _write_package(folder, readings, pipeline, area, clock() if batch_ids else fetched_at)
        batch_ids.append(batch_id_of(folder, load_id))
        objects += read
        failures = [reading.failure for reading in readings if reading.failure]
        if failures:
            raise failures[0]
    return FetchReport(_source_of(folder), tuple(batch_ids), fetched_at, tuple(objects))


class LastKnown(Mapping[str, Known]):
    """What the last complete packages of a source that were not held say of each object, by its name.

    The newest packages tell of most objects, so packages are looked into only until the object asked for is found.
    objects: those that may be asked for; by default all.
    """

    def __init__(
        self, area: LandingArea, source: str, held: Collection[str], objects: Sequence[str] | None = None
    ) -> None:
        self._found: dict[str, Known] = {}
        folders = {*_folders_of(source, objects or object_names(source))} & {*_folders_in(area)}
        packages = _in_order(package for folder in folders for package in _packages_in(area, folder))
        packages = [package for package in packages if package.batch_id not in held]
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
            f"select object, cursor, fields from {ACCOUNTS}", {"files": package.files(OBJECT_TABLE)}
        ).fetchall()
    return {name: Known(cursor, fields) for name, cursor, fields in rows}


def complete_packages(settings: Settings, *, taken: Collection[str] = ()) -> list[Package]:
    """The complete packages of all sources, in the order in which they were fetched, but for the batches `taken`."""
    area = landing_area(settings)
    packages = (package for folder in _folders_in(area) for package in _packages_in(area, folder))
    return _in_order(package for package in packages if package.batch_id not in taken and package.is_complete())


def sources_in(area: LandingArea) -> list[str]:
    """The sources of which something lies in the landing area."""
    return sorted({_source_of(folder) for folder in _folders_in(area)})


def _folders_in(area: LandingArea) -> list[str]:
    return [name for name in area.names() if not name.startswith(".")]


def _folders_of(source: str, objects: Sequence[str]) -> tuple[str, ...]:
    """Where packages with these objects may lie: the source's own folder, and those of its parts."""
    return (source, *(f"{source}{_OF}{name}" for name in objects))


def _source_of(folder: str) -> str:
    return folder.partition(_OF)[0]


def _in_order(packages: Iterable[Package]) -> list[Package]:
    """Packages in the order in which they were fetched."""
    return sorted(packages, key=lambda package: (float(package.load_id), package.folder))


def _packages_in(area: LandingArea, folder: str) -> list[Package]:
    """The packages of a folder that have a marker, whole or not, in the order in which they were fetched."""
    prefix, suffix = _marker_of(_source_of(folder), "*").split("*")
    markers = [name for name in area.names(folder, _MARKERS) if name.startswith(prefix) and name.endswith(suffix)]
    load_ids = [name.removeprefix(prefix).removesuffix(suffix) for name in markers]
    return _in_order(Package(area, folder, load_id) for load_id in load_ids)


@contextmanager
def _alone(area: LandingArea, folders: Sequence[str], home: Path) -> Iterator[Path]:
    """An empty working folder for dlt, while no other process of this home fetches into any of these folders."""
    working_folders = [home / "landing" / ".dlt" / folder for folder in folders]
    working_folders[0].parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for folder in working_folders:
            try:
                locks.enter_context(FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0))
            except Timeout:
                raise WarehouseBusy(
                    f"another process is fetching {folder.name.replace(_OF, ' ')} into {area.url}; wait for it, then "
                    "rerun"
                ) from None
        try:
            for folder in working_folders:
                shutil.rmtree(folder, ignore_errors=True)
            yield working_folders[0]
        finally:
            shutil.rmtree(working_folders[0], ignore_errors=True)


def remove_incomplete(settings: Settings) -> None:
    """Remove what killed fetches of any source left; raises WarehouseBusy while one is being fetched."""
    area, home = landing_area(settings), settings.home.absolute()
    for folder in {*_folders_in(area), *(path.name for path in home.glob("landing/.dlt/*/"))}:
        with _alone(area, (folder,), home):
            left = _remove_incomplete(area, folder, is_shared=settings.landing is not None)
        if left:
            raise WarehouseBusy(
                f"{area.url}: {left[0]} belongs to no complete package, and was written within the last hour: another "
                "machine may be fetching. Rerun when it is done, or in an hour"
            )


def _remove_incomplete(area: LandingArea, folder: str, *, is_shared: bool) -> list[str]:
    """Remove the files of packages that have no whole marker: a killed fetch left them, and nobody will read them.

    Only the last marker can have been cut off, because each fetch begins with this. is_shared: others than this home
    may fetch into this area. Returns the files that stay, because one of them may still be writing.
    """
    packages = _packages_in(area, folder)
    unread: list[tuple[str, str]] = []
    if packages and not packages[-1].is_complete():
        unread.append((_MARKERS, _marker_of(packages[-1].source, packages.pop().load_id)))
    complete = {package.load_id for package in packages}
    for table in area.names(folder):
        for name in area.names(folder, table) if not table.startswith("_") else ():
            is_of_nobody = name.endswith(".parquet") and _load_id_of(name) not in complete
            if is_of_nobody or name.endswith(UNFINISHED):
                unread.append((table, name))
    recent = utc_now() - LONGEST_WRITING
    living = [place for place in unread if is_shared and area.changed_at(folder, *place) > recent]
    for place in unread:
        if place not in living:
            area.remove(folder, *place)
    return ["/".join((folder, *place)) for place in living]


def _write_package(
    folder: str, readings: Sequence[Reading], pipeline: Any, area: LandingArea, fetched_at: datetime
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
        dlt.resource(take(reading), name=f"{folder}_{number}", parallelized=len(readings) > 1)
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


def _pipeline(folder: str, area: LandingArea, working_folder: Path) -> Any:
    configure_dlt()
    import dlt

    return dlt.pipeline(
        _source_of(folder),
        pipelines_dir=str(working_folder),
        destination=dlt.destinations.filesystem(
            bucket_url=area.url,
            layout="{table_name}/{load_id}.{file_id}.{ext}",
            enable_dataset_name_normalization=False,
        ),
        dataset_name=folder,
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
    settings: Settings,
    folder: Path | None,
    _: Collection[str],
    fetched_at: datetime,
    __: Mapping[str, Known],
    progress: Progress,
) -> Iterator[Sequence[Reading]]:
    yield [_WholeReading(open_files(settings, folder, extracted_at=fetched_at, progress=progress))]


@contextmanager
def _open_sql(
    settings: Settings,
    _: Path | None,
    __: Collection[str],
    fetched_at: datetime,
    known: Mapping[str, Known],
    progress: Progress,
) -> Iterator[Sequence[Reading]]:
    with closing(open_sql(settings, known, extracted_at=fetched_at, progress=progress)) as items:
        yield [_WholeReading(items)]


def _open_api(name: str) -> "OpenSource":
    @contextmanager
    def open_source(
        settings: Settings,
        _: Path | None,
        wanted: Collection[str],
        __: datetime,
        known: Mapping[str, Known],
        progress: Progress,
    ) -> Iterator[Sequence[Reading]]:
        source = api_source(name)
        own = getattr(settings, name)
        with source.connect(settings) as client:
            yield [
                ApiReading(name, each, client, own, known.get(each.name, Known(None, None)), progress)
                for each in source.objects
                if each.name in wanted
            ]

    return open_source


OpenSource = Callable[
    [Settings, Path | None, Collection[str], datetime, Mapping[str, Known], Progress],
    AbstractContextManager[Sequence[Reading]],
]
"""Opens a source: settings, the folder of files, the objects that are wanted of an API, the moment of the fetch, what
is known of the objects, progress.
"""

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
