"""What a source hands over, whatever the CRM: batches of records as Arrow tables, and an account of each object.

A source is opened as one or several `Reading`s, which may be read at the same time. What a reading hands over for one
load package is batches, and an `ObjectRead` for each object after its last batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.errors import KpiMartError

Extent = Literal["full", "delta"]


class Progress(Protocol):
    """Called with an object's name, the number of its records read so far, and how many there will be, if known."""

    def __call__(self, object_name: str, rows: int, expected: int | None = None) -> None: ...


def silent(object_name: str, rows: int, expected: int | None = None) -> None:
    """Nobody watches."""


_MOMENT = pa.timestamp("us", tz="UTC")

ROW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("updated_at", _MOMENT),
        pa.field("is_deleted", pa.bool_(), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("extracted_at", _MOMENT, nullable=False),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("object", pa.string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("record_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
    ]
)
OBJECT_SCHEMA = pa.schema(
    [
        pa.field("object", pa.string(), nullable=False),
        pa.field("extent", pa.string(), nullable=False),
        pa.field("rows_read", pa.int64(), nullable=False),
        pa.field("rows_quarantined", pa.int64(), nullable=False),
        pa.field("can_tell_vanished", pa.bool_(), nullable=False),
        pa.field("cursor", pa.string()),
        pa.field("fields", pa.string()),
        pa.field("fetched_at", _MOMENT, nullable=False),
    ]
)
# A listing is a row an id, and one row without an id, so that one without any is there too.
LISTING_SCHEMA = pa.schema(
    [
        pa.field("object", pa.string(), nullable=False),
        pa.field("low_id", pa.int64()),
        pa.field("high_id", pa.int64()),
        pa.field("id", pa.string()),
    ]
)
SCHEMA_CHANGE_SCHEMA = pa.schema(
    [
        pa.field("object", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        pa.field("was", pa.string()),
        pa.field("is_now", pa.string()),
    ]
)


Row = tuple[str, datetime | None, bool, str]
"""What a `Record` holds, for where many are made."""


class Record(NamedTuple):
    """A usable record: its trimmed id, the source's version of it, and its payload as JSON text."""

    id: str
    updated_at: datetime | None
    is_deleted: bool
    payload: str


class Quarantined(NamedTuple):
    """A record that cannot be used: where it stands, its id if that could be told, why, and what it says."""

    place: str
    record_id: str | None
    reason: str
    payload: str


class SchemaChange(NamedTuple):
    """What became different about a field of a source's records; `was` and `is_now` are types."""

    object_name: str
    field: str
    change: Literal["new", "vanished", "retyped"]
    was: str | None
    is_now: str | None


@dataclass(frozen=True)
class Batch:
    """Some records of one object: `rows` in ROW_SCHEMA, `quarantined` in QUARANTINE_SCHEMA; either may be empty.

    listed: in LISTING_SCHEMA, which ids the source has; what is known and not listed has vanished.
    """

    object_name: str
    rows: pa.Table
    quarantined: pa.Table
    listed: pa.Table = field(default_factory=LISTING_SCHEMA.empty_table)


@dataclass(frozen=True)
class ObjectRead:
    """What was read of one object. `can_tell_vanished`: an id that is not there is no longer in the source.

    That takes a full extent, and an id for every record that was quarantined: a quarantined record has not vanished.
    cursor: where the next fetch goes on, as JSON; None for a source that is always read whole. fields: the types of
    every field that was ever seen, as JSON. schema_changes: what is different from what was seen before.
    """

    object_name: str
    extent: Extent
    rows_read: int
    rows_quarantined: int
    can_tell_vanished: bool
    cursor: str | None = None
    fields: str | None = None
    schema_changes: tuple[SchemaChange, ...] = ()


class Known(NamedTuple):
    """What an earlier fetch left about an object: where to go on, and the fields that it saw, both as JSON."""

    cursor: str | None
    fields: str | None


class Reading(Protocol):
    """A part of a source that is read in one go, or in pieces, each of which ends at a place to go on from.

    is_done: nothing is left. failure: why it was left off before its end. take: what belongs into one load package,
    extracted at that moment; it may stop once `is_enough` says so, and is called again for the next package.
    """

    is_done: bool
    failure: KpiMartError | None

    def take(self, extracted_at: datetime, is_enough: Callable[[], bool]) -> Iterator["Batch | ObjectRead"]: ...


def batch_of(
    object_name: str,
    records: Sequence[Row],
    quarantined: Sequence[Quarantined],
    extracted_at: datetime,
    listed: Sequence[tuple[int | None, int | None, str | None]] = (),
) -> Batch:
    """The batch of these records, all extracted at one moment. listed: rows of bounds and id."""
    moments = pa.repeat(pa.scalar(extracted_at, type=_MOMENT), len(records))
    rows = [*zip(*records, strict=True), moments] if records else []
    refused = [[object_name] * len(quarantined), *zip(*quarantined, strict=True)] if quarantined else []
    ids = [[object_name] * len(listed), *zip(*listed, strict=True)] if listed else []
    return Batch(object_name, _table(rows, ROW_SCHEMA), _table(refused, QUARANTINE_SCHEMA), _table(ids, LISTING_SCHEMA))


def object_table(read: ObjectRead, fetched_at: datetime) -> pa.Table:
    """The account of an object as one row in OBJECT_SCHEMA."""
    values = (
        read.object_name,
        read.extent,
        read.rows_read,
        read.rows_quarantined,
        read.can_tell_vanished,
        read.cursor,
        read.fields,
        fetched_at,
    )
    return _table([[value] for value in values], OBJECT_SCHEMA)


def change_table(changes: Sequence[SchemaChange]) -> pa.Table:
    """Changes of fields as rows in SCHEMA_CHANGE_SCHEMA."""
    return _table(list(zip(*changes, strict=True)), SCHEMA_CHANGE_SCHEMA)


def _table(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """The table of these columns; without any, it is empty."""
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns or [[]] * len(schema), schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
