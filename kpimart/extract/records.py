"""What a source hands over, whatever the CRM: batches of records as Arrow tables, and an account of each object.

A source is an iterator of `Batch` and `ObjectRead`; an object's `ObjectRead` comes after its last batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]

Extent = Literal["full", "delta"]
Progress = Callable[[str, int], None]
"""Called with an object's name and the number of its records read so far."""

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
        pa.field("fetched_at", _MOMENT, nullable=False),
    ]
)


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


@dataclass(frozen=True)
class Batch:
    """Some records of one object: `rows` in ROW_SCHEMA, `quarantined` in QUARANTINE_SCHEMA; either may be empty."""

    object_name: str
    rows: pa.Table
    quarantined: pa.Table


@dataclass(frozen=True)
class ObjectRead:
    """What was read of one object. `can_tell_vanished`: an id that is not there is no longer in the source.

    That takes a full extent, and an id for every record that was quarantined: a quarantined record has not vanished.
    """

    object_name: str
    extent: Extent
    rows_read: int
    rows_quarantined: int
    can_tell_vanished: bool


def batch_of(
    object_name: str, records: Sequence[Record], quarantined: Sequence[Quarantined], extracted_at: datetime
) -> Batch:
    """The batch of these records, all extracted at one moment."""
    rows = [*zip(*records, strict=True), [extracted_at] * len(records)] if records else []
    refused = [[object_name] * len(quarantined), *zip(*quarantined, strict=True)] if quarantined else []
    return Batch(object_name, _table(rows, ROW_SCHEMA), _table(refused, QUARANTINE_SCHEMA))


def object_table(read: ObjectRead, fetched_at: datetime) -> pa.Table:
    """The account of an object as one row in OBJECT_SCHEMA."""
    values = (
        read.object_name,
        read.extent,
        read.rows_read,
        read.rows_quarantined,
        read.can_tell_vanished,
        fetched_at,
    )
    return _table([[value] for value in values], OBJECT_SCHEMA)


def _table(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """The table of these columns; without any, it is empty."""
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns or [[]] * len(schema), schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
