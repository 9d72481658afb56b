"""Raw against the CRM's own aggregates: counts and sums per object, owner and month of creation (UTC).

Ours is the latest accepted version of every live record. What the CRM changed since is read from where the last
accepted fetch ended, landed for the length of the comparison, and taken back; so are records in batches that are held
or not judged. What neither these nor quarantine explain is a fault of somebody's.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, DecimalException
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from kpimart.clock import Clock
from kpimart.errors import SettingsError
from kpimart.extract.landing import rehearsed
from kpimart.extract.landing_area import LandingArea
from kpimart.extract.packages import (
    API_SOURCES,
    LISTING_TABLE,
    OBJECT_TABLE,
    QUARANTINE_TABLE,
    SOURCES,
    LastKnown,
    Package,
    api_source,
    complete_packages,
    landing_area,
)
from kpimart.extract.progress import FetchProgress
from kpimart.extract.reading import ApiReading
from kpimart.extract.records import Known, ObjectRead, Progress, object_table
from kpimart.extract.source import ApiSource, Counted, Total
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, raw_table, storage_errors, writer_lock

CENT = Decimal("0.01")
FETCHED_ROWS = 10_000
FOLDER_PREFIX = "reconcile."

Tell = Callable[[str], None]


class Key(NamedTuple):
    """A cell of an object: its owner in the CRM, and the month in which its records were created."""

    manager_id: str | None
    month: date | None


@dataclass(frozen=True)
class Sum:
    """A number of records, and the sum of their amounts to the cent; None where the CRM only counts."""

    count: int
    amount: Decimal | None


@dataclass(frozen=True)
class Explanation:
    """Records that make the CRM's figures differ from ours: why, which, and by how much."""

    why: str
    ids: tuple[str, ...]
    by: Sum


@dataclass(frozen=True)
class Cell:
    """A cell in which the two differ, and why; `unexplained` is what the explanations leave of the difference."""

    object: str
    manager_id: str | None
    month: date | None
    ours: Sum
    theirs: Sum
    explanations: tuple[Explanation, ...]
    unexplained: Sum

    @property
    def is_explained(self) -> bool:
        """Nothing is left."""
        return not (self.unexplained.count or self.unexplained.amount)


@dataclass(frozen=True)
class ObjectTotal:
    """An object as a whole: the figures of both, and of how many cells they were compared."""

    object: str
    ours: Sum
    theirs: Sum
    cells: int
    differing: int
    unexplained: int


@dataclass(frozen=True)
class Reconciliation:
    """What came of comparing a source. `cells` are those that differ, the unexplained first.

    has_totals: its API has aggregates to compare with. unexplained: in how many cells something is left.
    """

    source: str
    has_totals: bool
    objects: tuple[ObjectTotal, ...] = ()
    cells: tuple[Cell, ...] = ()
    unexplained: int = 0


def reconcile(settings: Settings, source: str, *, clock: Clock, tell: Tell) -> Reconciliation:
    """Compare what raw has of a source with what its CRM counts itself. Nothing is stored.

    What is not explained is looked at once more: the CRM may have changed between its aggregates and its changes.
    Raises SettingsError for an unknown source and before the first extract, what reading the CRM raises, and
    WarehouseBusy while a run is writing.
    """
    if source not in SOURCES:
        raise SettingsError(f"there is no source {source!r}; known are {', '.join(SOURCES)}")
    crm = api_source(source) if source in API_SOURCES else None
    if crm is None or crm.totals is None:
        return Reconciliation(source, has_totals=False)
    if not (settings.home / WAREHOUSE_FILE).exists():
        raise SettingsError("nothing has been extracted yet; run kpimart extract first")
    found = _compare(settings, crm, clock, tell)
    if found.unexplained:
        tell(f"{source}: looking again at what is not explained")
        found = _compare(settings, crm, clock, tell)
    return found


def _compare(settings: Settings, crm: ApiSource[Any], clock: Clock, tell: Tell) -> Reconciliation:
    known = _known(settings, crm)
    with storage_errors(f"comparing {crm.name}"), _own_folder(settings.home) as folder:
        # Nothing slow or remote happens while the warehouse is held.
        with crm.connect(settings) as client:
            tell(f"{crm.name}: the CRM's own totals")
            totals = list(crm.totals(client, settings)) if crm.totals else []
            package = _read_changes(crm, client, settings, known, Path(folder), clock, FetchProgress(crm.name, tell))
        tell(f"{crm.name}: comparing")
        with (
            writer_lock(settings.home),
            open_warehouse(settings.home) as connection,
            rehearsed(connection, settings, package, clock=clock) as batch,
        ):
            compared = [
                _Comparison(crm.name, name, counted, [total for total in totals if total.object == name]).made(
                    connection, batch.batch_id
                )
                for name, counted in crm.counted.items()
            ]
    cells = sorted((cell for _, cells in compared for cell in cells), key=_order)
    unexplained = sum(not cell.is_explained for cell in cells)
    return Reconciliation(crm.name, True, tuple(total for total, _ in compared), tuple(cells), unexplained)


def _order(cell: Cell) -> tuple[Any, ...]:
    return cell.is_explained, cell.object, cell.month or date.min, cell.manager_id or ""


# ------------------------------------------------------------------------------------------- what the CRM changed since


def _own_folder(home: Path) -> tempfile.TemporaryDirectory[str]:
    """Where a comparison keeps what it reads; that of a killed one is removed by `kpimart forget`."""
    return tempfile.TemporaryDirectory(dir=home, prefix=FOLDER_PREFIX)


def _known(settings: Settings, crm: ApiSource[Any]) -> Mapping[str, Known]:
    """Where the last fetch ended whose batch was accepted: what came later counts as not known."""
    with writer_lock(settings.home), open_warehouse(settings.home) as connection:
        rows = connection.execute("select batch_id from ops.batch_verdict where verdict = 'accepted'").fetchall()
    accepted = {batch_id for (batch_id,) in rows}
    others = {package.batch_id for package in complete_packages(settings)} - accepted
    return LastKnown(landing_area(settings), crm.name, others)


def _read_changes(
    crm: ApiSource[Any],
    client: Any,
    settings: Settings,
    known: Mapping[str, Known],
    folder: Path,
    clock: Clock,
    progress: Progress,
) -> Package:
    """A load package, of the objects that are compared, of which nobody but this comparison knows."""
    now = clock()
    package = Package(LandingArea.at(folder), crm.name, f"{now.timestamp():.6f}")
    with _tables_of(package, folder / crm.name) as write:
        for each in crm.objects:
            if each.name in crm.counted:
                reading = ApiReading(
                    crm.name,
                    each,
                    client,
                    getattr(settings, crm.name),
                    known.get(each.name, Known(None, None)),
                    progress,
                )
                _write_reading(reading, now, write)
    return package


def _write_reading(reading: ApiReading[Any], now: datetime, write: Callable[[str, Any], None]) -> None:
    for item in reading.take(now, lambda: False):
        if isinstance(item, ObjectRead):
            write(OBJECT_TABLE, object_table(item, now))
        else:
            write(item.object_name, item.rows)
            write(QUARANTINE_TABLE, item.quarantined)
            write(LISTING_TABLE, item.listed)
    if reading.failure:
        raise reading.failure


@contextmanager
def _tables_of(package: Package, folder: Path) -> Iterator[Callable[[str, Any], None]]:
    """Writes tables of a package, each part by part."""
    writers: dict[str, Any] = {}

    def write(name: str, table: Any) -> None:
        if table.num_rows:
            if name not in writers:
                (folder / name).mkdir(parents=True)
                writers[name] = pq.ParquetWriter(folder / name / f"{package.load_id}.0.parquet", table.schema)
            writers[name].write_table(table)

    try:
        yield write
    finally:
        for writer in writers.values():
            writer.close()


# ------------------------------------------------------------------------------------------------------ cell by cell

# The latest version of each record: as it was accepted, and as it is with what is held, not judged, or just read.
_STATES = """
with

versions as (

    select version.*, coalesce(verdict.verdict, 'pending') as verdict
    from {table} as version
    left join ops.batch_verdict as verdict using (batch_id)

),

accepted as (

    select id, payload, is_deleted
    from versions
    where verdict = 'accepted'
    qualify row_number() over (partition by id order by updated_at desc nulls last, landed_at desc) = 1

),

now as (

    select id, payload, payload_hash, is_deleted, batch_id
    from versions
    where verdict <> 'held'
    qualify row_number() over (partition by id order by updated_at desc nulls last, landed_at desc) = 1

),

held as (

    select id, payload_hash, min(batch_id) as batch_id
    from versions
    where verdict = 'held'
    group by id, payload_hash

)

select
    now.id,
    case when not accepted.is_deleted then accepted.payload end as before,
    case when not now.is_deleted then now.payload end as after,
    held.batch_id as held_in,
    now.batch_id
from now
left join accepted on now.id = accepted.id
left join held on now.id = held.id and now.payload_hash = held.payload_hash
where not accepted.is_deleted or not now.is_deleted
"""

# What was set aside, each record as it was last, unless a later version of it could be used.
_SET_ASIDE = """
select
    quarantined.record_id,
    quarantined.payload,
    (
        select latest.payload
        from {table} as latest
        inner join ops.batch_verdict as verdict on latest.batch_id = verdict.batch_id
        where latest.id = quarantined.record_id and verdict.verdict = 'accepted'
        order by latest.updated_at desc nulls last, latest.landed_at desc
        limit 1
    ) as before
from ops.quarantine as quarantined
where
    quarantined.source = ?
    and quarantined.object = ?
    and not exists (
        select 1
        from {table} as version
        where version.id = quarantined.record_id and version.landed_at > quarantined.quarantined_at
    )
qualify
    row_number() over (
        partition by coalesce(quarantined.record_id, quarantined.payload)
        order by quarantined.quarantined_at desc
    ) = 1
order by quarantined.record_id, quarantined.payload
"""


@dataclass
class _Tally:
    count: int = 0
    amount: Decimal = Decimal()

    def add(self, count: int, amount: Decimal) -> None:
        self.count += count
        self.amount += amount


class _State(NamedTuple):
    """A record as it counts: where, and for how much."""

    key: Key
    amount: Decimal


@dataclass
class _Comparison:
    """The comparison of one object."""

    source: str
    name: str
    counted: Counted
    totals: Sequence[Total]
    ours: dict[Key, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    theirs: dict[Key, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    explained: dict[Key, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    reasons: dict[tuple[Key, str], tuple[list[str], _Tally]] = field(default_factory=lambda: defaultdict(_reason))

    def made(self, connection: duckdb.DuckDBPyConnection, batch_id: str) -> tuple[ObjectTotal, list[Cell]]:
        """The totals, and the cells that differ; `batch_id` is that of what was just read."""
        for total in self.totals:
            self.theirs[Key(total.manager_id, total.month)].add(total.count, total.amount or Decimal())
        table = raw_table(self.source, self.name)
        states = connection.execute(_STATES.format(table=table))
        while rows := states.fetchmany(FETCHED_ROWS):
            for record_id, before, after, held_in, batch in rows:
                was = self._state(before)
                if was:
                    self.ours[was.key].add(1, was.amount)
                if before != after:
                    self._changed(record_id, was, self._state(after), _where(held_in, batch, batch_id))
        quarantined = connection.execute(_SET_ASIDE.format(table=table), [self.source, self.name]).fetchall()
        for record_id, payload, before in quarantined:
            self._set_aside(record_id, payload, before)
        return self._result()

    @property
    def _has_amounts(self) -> bool:
        return bool(self.totals) and all(total.amount is not None for total in self.totals)

    def _changed(self, record_id: str, was: _State | None, now: _State | None, where: str) -> None:
        if was and now and was.key != now.key:
            self._explain(was.key, f"gone to {_named(now.key)}, {where}", record_id, -1, -was.amount)
            self._explain(now.key, f"come from {_named(was.key)}, {where}", record_id, 1, now.amount)
        elif was and now and was.amount != now.amount:
            self._explain(now.key, f"changed, {where}", record_id, 0, now.amount - was.amount)
        elif now and not was:
            self._explain(now.key, f"new, {where}", record_id, 1, now.amount)
        elif was and not now:
            self._explain(was.key, f"deleted, {where}", record_id, -1, -was.amount)

    def _set_aside(self, record_id: str | None, payload: str, before: str | None) -> None:
        """A record in quarantine explains what it can: whether the CRM still has it like this, nobody knows."""
        was, now = self._state(before), self._state(payload) or _State(Key(None, None), Decimal())
        name = record_id or "without an id"
        if was and was.key == now.key:
            self._explain_if_it_helps(now.key, name, 0, now.amount - was.amount)
            return
        if was:
            self._explain_if_it_helps(was.key, name, -1, -was.amount)
        # One whose owner or month cannot be read may be in any cell that lacks one.
        key = next(filter(partial(_may_be, now.key), self._lacking()), now.key)
        left = self._left(key)
        self._explain_if_it_helps(key, name, 1, now.amount or (left.amount if left.count == 1 else Decimal()))

    def _lacking(self) -> list[Key]:
        """The cells of which the CRM has more than is explained."""
        return sorted((key for key in self._keys() if self._left(key).count > 0), key=_key_order)

    def _explain_if_it_helps(self, key: Key, record_id: str, count: int, amount: Decimal) -> None:
        left = self._left(key)
        if abs(left.count - count) < abs(left.count) or (count == 0 and abs(left.amount - amount) < abs(left.amount)):
            self._explain(key, "in quarantine", record_id, count, amount)

    def _explain(self, key: Key, why: str, record_id: str, count: int, amount: Decimal) -> None:
        ids, tally = self.reasons[key, why]
        ids.append(record_id)
        tally.add(count, amount)
        self.explained[key].add(count, amount)

    def _left(self, key: Key) -> _Tally:
        ours, theirs, explained = self.ours[key], self.theirs[key], self.explained[key]
        return _Tally(theirs.count - ours.count - explained.count, theirs.amount - ours.amount - explained.amount)

    def _keys(self) -> list[Key]:
        return sorted({*self.ours, *self.theirs, *self.explained}, key=_key_order)

    def _result(self) -> tuple[ObjectTotal, list[Cell]]:
        keys = self._keys()
        cells = [cell for cell in map(self._cell, keys) if cell.ours != cell.theirs or not cell.is_explained]
        total = ObjectTotal(
            self.name,
            self._summed(self.ours),
            self._summed(self.theirs),
            cells=sum(bool(self.ours[key].count or self.theirs[key].count) for key in keys),
            differing=len(cells),
            unexplained=sum(not cell.is_explained for cell in cells),
        )
        return total, cells

    def _cell(self, key: Key) -> Cell:
        explanations = [
            Explanation(why, tuple(ids), self._sum(tally))
            for (where, why), (ids, tally) in sorted(self.reasons.items(), key=lambda item: item[0][1])
            if where == key
        ]
        sums = (self._sum(tally) for tally in (self.ours[key], self.theirs[key], self._left(key)))
        ours, theirs, left = sums
        return Cell(self.name, key.manager_id, key.month, ours, theirs, tuple(explanations), left)

    def _summed(self, tallies: Mapping[Key, _Tally]) -> Sum:
        amount = sum((tally.amount for tally in tallies.values()), Decimal())
        return self._sum(_Tally(sum(tally.count for tally in tallies.values()), amount))

    def _sum(self, tally: _Tally) -> Sum:
        return Sum(tally.count, tally.amount.quantize(CENT) if self._has_amounts else None)

    def _state(self, payload: str | None) -> _State | None:
        """Where a record counts; what of it cannot be read is None, and an amount is 0."""
        if payload is None:
            return None
        try:
            record = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(record, dict):
            return None
        manager_id, created_at, amount = None, None, Decimal()
        with suppress(ValueError):
            manager_id = self.counted.manager_id(record)
        with suppress(ValueError):
            created_at = self.counted.created_at(record)
        with suppress(ValueError, DecimalException):
            amount = Decimal(str(self.counted.amount(record) or 0))
        month = created_at.astimezone(UTC).date().replace(day=1) if created_at else None
        return _State(Key(str(manager_id) if manager_id else None, month), amount)


def _reason() -> tuple[list[str], _Tally]:
    return [], _Tally()


def _may_be(told: Key, key: Key) -> bool:
    """Whether a record that tells this of itself may be in a cell."""
    return told.manager_id in (None, key.manager_id) and told.month in (None, key.month)


def _where(held_in: str | None, batch: str, read_in: str) -> str:
    """Where the state of a record that was not accepted comes from."""
    if held_in:
        return f"held in {held_in}"
    return "since the last fetch" if batch == read_in else f"not judged in {batch}"


def _named(key: Key) -> str:
    return f"{key.manager_id or 'nobody'}, {f'{key.month:%Y-%m}' if key.month else 'undated'}"


def _key_order(key: Key) -> tuple[date, str]:
    return key.month or date.min, key.manager_id or ""
