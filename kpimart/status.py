"""Is it fresh, is it right: what is served, what judged it, and what the last batches and builds came to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from kpimart.clock import Clock
from kpimart.errors import WarehouseBusy
from kpimart.publish.manifest import Gate, read_manifest
from kpimart.publish.release import current
from kpimart.publish.shelf import Release
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, writer_lock

SHOWN = 5


@dataclass(frozen=True)
class LastBatch:
    """What of a source was judged together, and what became of it: `verdict` is None while it is not judged.

    batch_id: the last batch. others: those besides it, if the source was read in parts, or for long.
    """

    batch_id: str
    landed_at: datetime
    rows_read: int
    versions_stored: int
    rows_quarantined: int
    verdict: str | None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class LastBuild:
    """A build, and what the reporting gate made of it; `finished_at` is None if it broke off."""

    build_id: str
    as_of: datetime
    finished_at: datetime | None
    failed: int | None


@dataclass(frozen=True)
class ChangedField:
    """A field of a source's records that is new, has vanished, or has another type than before."""

    source: str
    object: str
    field: str
    change: str
    was: str | None
    is_now: str | None
    seen_at: datetime


@dataclass(frozen=True)
class Status:
    """What there is to know of a home. `age` is the time since the current release's `as_of`."""

    release: Release | None
    age: timedelta | None
    gate: Gate | None
    batches: tuple[LastBatch, ...]
    builds: tuple[LastBuild, ...]
    busy: str | None
    changed_fields: tuple[ChangedField, ...] = ()


def read_status(home: Path, clock: Clock) -> Status:
    """Read it all; a run that is writing meanwhile is told of, not waited for. Raises ReleaseDamaged."""
    release = current(home)
    batches, builds, changed_fields, busy = _last(home)
    return Status(
        release=release,
        age=clock() - release.as_of if release else None,
        gate=read_manifest(release.folder).gate if release else None,
        batches=tuple(batches),
        builds=tuple(LastBuild(*row) for row in builds),
        busy=busy,
        changed_fields=tuple(ChangedField(*row) for row in changed_fields),
    )


@dataclass(frozen=True)
class SetAside:
    """A record that could not be used: where it stood, why, and the record itself as JSON text."""

    source: str
    object: str
    place: str
    record_id: str | None
    reason: str
    payload: str


def read_quarantine(home: Path) -> list[SetAside]:
    """What was set aside of what was last judged of each source, or waits; raises WarehouseBusy while a run writes."""
    if not (home / WAREHOUSE_FILE).exists():
        return []
    with writer_lock(home), open_warehouse(home) as connection:
        rows = connection.execute(
            """
            select source, object, place, record_id, reason, payload
            from ops.quarantine
            where batch_id in (
                select batch_id
                from ops.batch
                left join ops.batch_verdict using (batch_id)
                qualify rank() over (partition by source order by coalesce(judged_at, 'infinity') desc) = 1
            )
            order by source, object, length(place), place
            """
        ).fetchall()
    return [SetAside(*row) for row in rows]


def _last(home: Path) -> tuple[list[LastBatch], list[Any], list[Any], str | None]:
    if not (home / WAREHOUSE_FILE).exists():
        return [], [], [], None
    try:
        # A run opens and closes the file several times; who looked in between would be in its way.
        with writer_lock(home), open_warehouse(home) as connection:
            batches = _batches(connection)
            shown = [batch_id for batch in batches for batch_id in (batch.batch_id, *batch.others)]
            return batches, _builds(connection), _changed_fields(connection, shown), None
    except WarehouseBusy as busy:
        return [], [], [], str(busy)


def _batches(connection: duckdb.DuckDBPyConnection) -> list[LastBatch]:
    rows = connection.execute(
        f"""
        select
            list(distinct batch.batch_id order by batch.batch_id),
            max_by(batch.batch_id, batch.landed_at),
            max(batch.landed_at),
            cast(sum(objects.rows_read) as bigint),
            cast(sum(objects.versions_stored) as bigint),
            cast(sum(objects.rows_quarantined) as bigint),
            any_value(verdict.verdict)
        from ops.batch as batch
        inner join ops.batch_object as objects using (batch_id)
        left join ops.batch_verdict as verdict using (batch_id)
        where batch.source <> 'kpimart'
        group by batch.source, verdict.judged_at
        order by max(batch.landed_at) desc
        limit {SHOWN}
        """
    ).fetchall()
    return [
        LastBatch(last, landed_at, read, stored, quarantined, verdict, tuple(each for each in together if each != last))
        for together, last, landed_at, read, stored, quarantined, verdict in rows
    ]


def _changed_fields(connection: duckdb.DuckDBPyConnection, batch_ids: list[str]) -> list[Any]:
    return connection.execute(
        """
        select source, object, field, change, was, is_now, seen_at
        from ops.schema_change
        where list_contains(?, batch_id)
        order by seen_at desc, source, object, field
        """,
        [batch_ids],
    ).fetchall()


def _builds(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    return connection.execute(
        f"""
        select
            build.build_id,
            build.as_of,
            build.finished_at,
            (
                select count(*) filter (where outcome <> 'passed')
                from ops.quality_result
                where subject_id = build.build_id
                having count(*) > 0
            )
        from ops.build as build
        order by build.started_at desc
        limit {SHOWN}
        """
    ).fetchall()
