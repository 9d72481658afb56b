"""Where data come from: the landing area, and each source with the right to all that is read of it."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpimart.clock import utc_now
from kpimart.doctor.check import Asked, Check
from kpimart.errors import KpiMartError
from kpimart.settings import Settings

if TYPE_CHECKING:
    from kpimart.extract.source import ApiObject

MAX_CLOCK_DIFFERENCE_SECONDS = 120


def landing(asked: Asked) -> str:
    """Write, list and remove, which are the rights that a fetch needs."""
    from kpimart.extract.packages import landing_area, sources_in

    area, probe = landing_area(asked.settings), ".doctor"
    with area.rewriting(area.path(probe)) as stream:
        stream.write(b"")
    area.remove(probe)
    return f"{area.url}: can be written; packages of {', '.join(sources_in(area)) or 'no source'} lie there"


def source(asked: Asked, name: str) -> list[Check] | Check:
    """The connection to a source and its clock, the right to each object; or all that a mapping describes, read."""
    from kpimart.extract.packages import API_SOURCES

    settings, files = asked.settings, asked.files
    if name in API_SOURCES:
        return _api_source(settings, name)
    if name == "sql":
        return [_database(settings), _whole_source(settings, name, files)]
    return _whole_source(settings, name, files)


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
