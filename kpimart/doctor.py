"""Looks at everything that a run needs, before it is needed at night, and says what is missing."""

import importlib.metadata
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kpimart.catalogue import problems, read_catalogue
from kpimart.clock import utc_now
from kpimart.errors import KpiMartError, WarehouseBusy
from kpimart.figures import profile_kpis
from kpimart.holidays import holiday_years
from kpimart.measures import read_measures
from kpimart.paths import DBT_PROJECT, EXPECTATIONS, SEEDS
from kpimart.publish.contract import BUILT
from kpimart.seeds import own_seeds
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, writer_lock

if TYPE_CHECKING:
    from kpimart.extract.source import ApiObject

NEEDED_FREE_BYTES = 1 << 30
MAX_CLOCK_DIFFERENCE_SECONDS = 120
LIBRARIES = ("duckdb", "dbt-core", "dbt-duckdb", "great-expectations", "dlt", "apache-airflow")

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """Something looked at; `found` says what was there, and what to do if that is not right."""

    name: str
    outcome: Outcome
    found: str


def examine(settings: Settings, files: Path | None = None) -> list[Check]:
    """Every check, in the order in which a run would stumble. Never raises what a check can say."""
    return [found for name, check in _checks(settings, files) for found in _checked(name, check)]


def _checks(settings: Settings, files: Path | None) -> Iterator[tuple[str, Callable[[], list[Check] | Check | str]]]:
    yield "python", lambda: f"{sys.version.split()[0]}, {', '.join(_versions())}"
    yield "settings", lambda: _settings(settings)
    yield "seeds", lambda: _seeds(settings.seeds)
    yield "profile", lambda: f"{settings.profile}: {', '.join(profile_kpis(settings.profile, settings.seeds))}"
    yield "catalogue", lambda: _catalogue(settings)
    if settings.holidays:
        yield "holidays", lambda: _holidays(settings)
    yield "project", _project
    yield "home", lambda: _home(settings.home)
    yield "warehouse", lambda: _warehouse(settings.home)
    if settings.landing:
        yield "landing", lambda: _landing(settings)
    for source in settings.sources:
        yield f"source {source}", lambda source=source: _source(settings, source, files)  # type: ignore[misc]
    yield "release", lambda: _release(settings.home)
    if settings.postgres.url:
        yield "postgres", lambda: _postgres(settings)


def _checked(name: str, check: Callable[[], list[Check] | Check | str]) -> list[Check]:
    try:
        found = check()
    except WarehouseBusy as busy:
        found = Check(name, "warning", str(busy))
    except (KpiMartError, OSError, importlib.metadata.PackageNotFoundError) as error:
        found = Check(name, "failed", str(error))
    if isinstance(found, list):
        return found
    return [found if isinstance(found, Check) else Check(name, "ok", found)]


def _versions() -> list[str]:
    return [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]


def _settings(settings: Settings) -> Check | str:
    secrets = [Path(str(Settings.model_config.get("env_file") or ""))]
    secrets += settings.secrets_dir.iterdir() if settings.secrets_dir else []
    for path in secrets:
        if path.is_file() and path.stat().st_mode & stat.S_IROTH:
            return Check("settings", "warning", f"everybody on this machine can read {path}: chmod 600 {path}")
    where = settings.config or "no kpimart.toml, only defaults and the environment"
    return f"{where}; time zone {settings.time_zone}, base currency {settings.base_currency}"


def _seeds(own: Path | None) -> str:
    names = ", ".join(own_seeds(own))
    return f"{own}: {names or 'none'}; all others are the project's" if own else "the project's"


def _catalogue(settings: Settings) -> list[Check] | str:
    found = problems(settings.seeds)
    if found:
        return [Check("catalogue", "failed", str(problem)) for problem in found]
    kpis, measures = len(read_catalogue(settings.seeds)), len(read_measures())
    return f"{kpis} KPIs of {measures} measures, their profiles, assignments and targets are sound"


def _holidays(settings: Settings) -> Check | str:
    years = holiday_years(settings)
    found = f"{settings.holidays}: {min(years)} to {max(years)}"
    as_of = settings.moment(settings.as_of) if settings.as_of else utc_now()
    year = (as_of - timedelta(microseconds=1)).astimezone(settings.zone).year
    if year not in years:
        advice = "they count as working days; add them to holiday.csv"
        return Check("holidays", "warning", f"{found}, without the holidays of {year}: {advice}")
    return found


def _project() -> Check | str:
    needed = (*(DBT_PROJECT / name for name in ("models", "seeds", "tests")), SEEDS / "kpi_catalogue.csv")
    missing = [path.name for path in needed if not path.exists()]
    missing += [
        f"expectations/reporting/{table.name}.json"
        for table in BUILT
        if not (EXPECTATIONS / "reporting" / f"{table.name}.json").exists()
    ]
    if missing:
        return Check("project", "failed", f"missing: {', '.join(missing)}; check the project out again")
    return f"{len(list(EXPECTATIONS.rglob('*.json')))} suites of expectations, {len(BUILT)} tables to publish"


def _home(home: Path) -> Check | str:
    with writer_lock(home):
        free = shutil.disk_usage(home).free
    if free < NEEDED_FREE_BYTES:
        return Check("home", "warning", f"{home}: {free / 1e9:.1f} GB free; make room before the disk is full")
    return f"{home}: {free / 1e9:,.1f} GB free"


def _warehouse(home: Path) -> Check | str:
    if not (home / WAREHOUSE_FILE).exists():
        return Check("warehouse", "ok", "not there yet; the first run makes it")
    with writer_lock(home), open_warehouse(home) as connection:
        rows = connection.execute(
            """
            select
                (select count(*) from ops.batch where source <> 'kpimart'),
                (select count(*) from ops.batch_verdict where verdict = 'held'),
                (select count(*) from ops.quarantine)
            """
        ).fetchall()
    batches, held, quarantined = rows[0]
    return f"{batches:,} batches, {held:,} of them held; {quarantined:,} records in quarantine"


def _landing(settings: Settings) -> str:
    """Write, list and remove, which are the rights that a fetch needs."""
    from kpimart.extract.packages import landing_area, sources_in

    area, probe = landing_area(settings), ".doctor"
    with area.rewriting(area.path(probe)) as stream:
        stream.write(b"")
    area.remove(probe)
    return f"{area.url}: can be written; packages of {', '.join(sources_in(area)) or 'no source'} lie there"


def _source(settings: Settings, source: str, files: Path | None) -> list[Check] | Check:
    from kpimart.extract.packages import API_SOURCES

    if source in API_SOURCES:
        return _api_source(settings, source)
    if source == "sql":
        return [_database(settings), _whole_source(settings, source, files)]
    return _whole_source(settings, source, files)


def _whole_source(settings: Settings, source: str, files: Path | None) -> Check:
    """Read all of a source that a mapping describes."""
    from kpimart.extract.packages import SOURCES, object_names
    from kpimart.extract.records import ObjectRead, silent

    now = utc_now()
    with SOURCES[source](settings, files, object_names(source), now, {}, silent) as readings:
        reads = [
            each for reading in readings for each in reading.take(now, lambda: False) if isinstance(each, ObjectRead)
        ]
    limit = settings.thresholds.max_quarantined_share
    rows, quarantined = sum(read.rows_read for read in reads), sum(read.rows_quarantined for read in reads)
    found = f"{rows:,} rows can be read, {quarantined:,} would go to quarantine"
    too_many = [read.object_name for read in reads if read.rows_quarantined > limit * read.rows_read]
    if too_many:
        found += f", of {', '.join(too_many)} more than thresholds.max_quarantined_share = {limit:.1%} lets pass"
    return Check(f"source {source}", "failed" if too_many else "ok", found)


def _database(settings: Settings) -> Check:
    """The connection to the database and its clock."""
    from kpimart.extract.sql import database_url, server_time, snapshot

    with snapshot(database_url(settings.sql)) as connection:
        return _clock("sql", server_time(connection))


def _clock(name: str, server_time: datetime) -> Check:
    """Nothing is read by this machine's clock, but the times at which changes are first seen are."""
    ahead = (server_time - utc_now()).total_seconds()
    clock = f"its clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    is_off = abs(ahead) > MAX_CLOCK_DIFFERENCE_SECONDS
    return Check(f"source {name}", "warning" if is_off else "ok", f"answers; {clock}")


def _api_source(settings: Settings, name: str) -> list[Check]:
    """The connection and the clock, then the right to each object."""
    from kpimart.extract.packages import api_source

    source = api_source(name)
    with source.connect(settings) as client:
        clock = _clock(name, source.server_time(client))
        return [clock, *(_right(name, each, client) for each in source.objects)]


def _right(name: str, each: "ApiObject[Any]", client: Any) -> Check:
    try:
        if each.probe:
            each.probe(client)
        else:
            next(iter(each.read(client, {})), None)
    except KpiMartError as error:
        needed = f"needs {each.right}: " if each.right else ""
        return Check(f"{name} {each.name}", "failed", f"{needed}{error}")
    return Check(f"{name} {each.name}", "ok", f"can be read{f' ({each.right})' if each.right else ''}")


def _release(home: Path) -> Check | str:
    from kpimart.publish.release import current, damaged_releases, verify_release

    damaged = damaged_releases(home)
    if damaged:
        return Check("release", "failed", "; ".join(damaged.values()))
    release = current(home)
    if release is None:
        return "none yet; kpimart run makes the first"
    verify_release(home, release.release_id)
    return f"{release.release_id} is served, figures as of {release.as_of:%Y-%m-%d %H:%M %Z}, checksums right"


def _postgres(settings: Settings) -> Check:
    """The connection, the roles, who is served, and whether it is what is served from disk."""
    from kpimart.publish.postgres.access import read_entries
    from kpimart.publish.postgres.connection import connected
    from kpimart.publish.postgres.export import served_id
    from kpimart.publish.postgres.schema import excess_rights, logins_without_role, require_usable
    from kpimart.publish.release import current

    entries = read_entries(settings.postgres.access)
    with connected(settings.postgres) as server:
        require_usable(server)
        served, excess = served_id(server), excess_rights(server)
        without_role = logins_without_role(server, {entry.login for entry in entries})
    release = current(settings.home)
    problems = [f"{login} of postgres.access is no member of kpi_head or kpi_manager" for login in without_role]
    problems += [f"the publishing role {what}" for what in excess]
    if release and release.release_id != served:
        problems.append(f"{release.release_id} is served from disk: kpimart export postgres")
    found = f"serves {served or 'no release yet'}"
    return Check("postgres", "warning" if problems else "ok", "; ".join([found, *problems]))
