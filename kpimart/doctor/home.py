"""The home: its disk, who writes there, and what the warehouse has on record of batches, builds and backups.

Whatever asks the warehouse holds the writer's place for as long as it looks, as everybody does who opens it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import duckdb

from kpimart import schema
from kpimart.backup import BACKUPS
from kpimart.doctor.check import Asked, Check, Outcome
from kpimart.errors import KpiMartError, ProgramTooOld, SettingsError, StorageFailed, UpgradeNeeded, WarehouseBusy
from kpimart.extract.landing import held_together
from kpimart.extract.landing_area import LandingArea
from kpimart.publish.shelf import REPORTING_FILE, Shelf
from kpimart.quality.verdict import read_verdict
from kpimart.warehouse import HOLDER_FILE, WAREHOUSE_FILE, open_warehouse, writer_lock

SPARE_BYTES = 1 << 30
"""What a run needs beside what it writes: DuckDB spills, dbt logs, a package is fetched."""
LONG_RUN = timedelta(hours=6)


def home(asked: Asked) -> Iterator[Check]:
    """The disk and the writer's place, then the warehouse; no more than that while somebody writes there."""
    try:
        with writer_lock(asked.home):
            yield _disk(asked)
            yield Check("writer", "ok", "nobody writes")
            yield from _warehouse(asked)
            yield _runs(asked)
    except WarehouseBusy as busy:
        yield _disk(asked)
        yield _busy(asked, busy)


def _disk(asked: Asked) -> Check:
    """Upkeep writes the warehouse a second time, and so does a build that derives everything; then comes a release."""
    files = (asked.home / WAREHOUSE_FILE, asked.home / "reporting" / REPORTING_FILE)
    sizes = [file.stat().st_size if file.exists() else 0 for file in files]
    needed = SPARE_BYTES + sizes[0] + 2 * sizes[1]
    free = shutil.disk_usage(asked.home).free
    found = f"{asked.home}: {free / 1e9:,.1f} GB free, a run may need {needed / 1e9:,.1f} GB"
    if free < needed:
        return Check("home", "warning", f"{found}; make room before the disk is full: kpimart upkeep")
    return Check("home", "ok", found)


def _busy(asked: Asked, busy: WarehouseBusy) -> Check:
    """Who writes, and since when; they may be leaving while one looks."""
    holder = asked.home / HOLDER_FILE
    try:
        since, process = datetime.fromtimestamp(holder.stat().st_mtime, UTC), holder.read_text()
    except FileNotFoundError:
        return Check("writer", "warning", str(busy))
    elsewhere = "" if _is_here(process) else ", by a process of another container or machine"
    outcome: Outcome = "failed" if asked.now - since > LONG_RUN else "warning"
    return Check("writer", outcome, f"since {_minute(since)}{elsewhere}: {busy}")


def _is_here(process: str) -> bool:
    """Whether a number is that of a process that can be seen from here."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def _warehouse(asked: Asked) -> Iterator[Check]:
    if not (asked.home / WAREHOUSE_FILE).exists():
        yield Check("warehouse", "ok", "not there yet; the first run makes it")
        return
    try:
        with open_warehouse(asked.home) as connection:
            yield Check("schema", "ok", f"{schema.version()}, which this program works with")
            looks: tuple[Callable[[duckdb.DuckDBPyConnection, Asked], Check], ...] = (_contents, _held, _build, _backup)
            yield from (look(connection, asked) for look in looks)
    except (UpgradeNeeded, ProgramTooOld) as error:
        yield Check("schema", "failed", str(error))
    except WarehouseBusy as busy:
        yield Check("warehouse", "warning", str(busy))
    except StorageFailed as error:
        yield Check("warehouse", "failed", str(error))


def _contents(connection: duckdb.DuckDBPyConnection, _: Asked) -> Check:
    rows = connection.execute(
        """
        select
            (select count(*) from ops.batch where source <> 'kpimart'),
            (select count(*) from ops.batch_verdict where verdict = 'held'),
            (select count(*) from ops.quarantine)
        """
    ).fetchall()
    batches, held, quarantined = rows[0]
    return Check(
        "warehouse", "ok", f"{batches:,} batches, {held:,} of them held; {quarantined:,} records in quarantine"
    )


def _held(connection: duckdb.DuckDBPyConnection, _: Asked) -> Check:
    rows = connection.execute(
        "select batch_id, judged_at from ops.batch_verdict where verdict = 'held' order by judged_at, batch_id"
    ).fetchall()
    waiting = [f"{batch_id} since {_minute(judged_at)}" for batch_id, judged_at in rows if _waits(connection, batch_id)]
    if not waiting:
        return Check("held", "ok", "no batch waits for a decision")
    return Check("held", "warning", f"{', '.join(waiting)}; correct the source and run again, or kpimart accept")


def _waits(connection: duckdb.DuckDBPyConnection, batch_id: str) -> bool:
    """Whether a held batch could still be accepted."""
    try:
        held_together(connection, batch_id)
    except SettingsError:
        return False
    return True


def _build(connection: duckdb.DuckDBPyConnection, asked: Asked) -> Check:
    """How far the last build came."""
    tell = partial(Check, "build")
    row = connection.execute(
        "select build_id, started_at, finished_at from ops.build order by started_at desc limit 1"
    ).fetchone()
    if row is None:
        return tell("ok", "none yet; kpimart run makes the first")
    build_id, started_at, finished_at = row
    if finished_at is None:
        return tell("warning", f"{build_id} broke off, begun {_minute(started_at)}; kpimart run builds anew")
    if Shelf(asked.home).folder(build_id).exists():
        return tell("ok", f"{build_id}, the last one, is published")
    verdict = read_verdict(connection, build_id, "reporting")
    if not verdict.results:
        return tell("warning", f"{build_id} was not judged: kpimart validate, then kpimart publish")
    if verdict.is_open:
        return tell("warning", f"{build_id} passed its gate and was not published: kpimart publish")
    refusals = ", ".join(f"{each.table}: {each.expectation}" for each in verdict.refusals)
    return tell("warning", f"{build_id} was refused: {refusals}; kpimart validate shows the rows")


def _backup(connection: duckdb.DuckDBPyConnection, asked: Asked) -> Check:
    """How old the last one is, and whether it is still where it was made."""
    limit = timedelta(days=asked.settings.alarms.max_backup_age_days)
    again = "kpimart backup" if asked.settings.backup.place else "kpimart backup PLACE"
    row = connection.execute(
        "select place, backup_id, made_at from ops.backup order by made_at desc limit 1"
    ).fetchone()
    if row is None:
        return Check("backup", "warning", f"none was made of this home: {again}")
    place, backup_id, made_at = row
    try:
        is_there = f"{backup_id}.json" in LandingArea.at(place, "backup").names(BACKUPS)
    except (KpiMartError, OSError) as error:
        return Check("backup", "failed", str(error))
    if not is_there:
        return Check("backup", "failed", f"{backup_id} is not in {place} any more; is it mounted, or removed? {again}")
    if asked.now - made_at > limit:
        return Check("backup", "warning", f"{backup_id}, in {place}, is more than {limit.days} days old: {again}")
    return Check("backup", "ok", f"{backup_id}, in {place}, is the last one")


def _runs(asked: Asked) -> Check:
    """When something was published last, whatever it speaks of."""
    limit = timedelta(hours=asked.settings.alarms.max_run_age_hours)
    published = max((each.published_at for each in Shelf(asked.home).manifests.values()), default=None)
    if published is None:
        return Check("runs", "ok", "none has published yet")
    found = f"the last release was published {_minute(published)}"
    if asked.now - published > limit:
        advice = "is the schedule on? kpimart status says how the last builds and batches ended"
        return Check("runs", "warning", f"{found}, more than {asked.settings.alarms.max_run_age_hours} h ago; {advice}")
    return Check("runs", "ok", found)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
