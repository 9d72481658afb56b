"""What all sources that are described instead of programmed share: from the values of a record to a row, or a reason.

A source names what holds each canonical object in an `Origin`, and gives the values of its mapped columns in chunks.
"""

import gc
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import orjson

from kpimart.errors import BadSourceData, did_you_mean
from kpimart.extract.canonical import (
    CanonicalObject,
    cleaned,
    column_check,
    pattern_of,
    source_columns,
)
from kpimart.extract.records import Batch, Extent, ObjectRead, Progress, Quarantined, Record, batch_of
from kpimart.extract.source import Deals
from kpimart.extract.values import PADDING, TRUE_WORDS, as_text, is_broken, moment_of, repaired
from kpimart.settings import Column, M, ObjectMapping
from kpimart.sql import literal

CHUNK_ROWS = 20_000

_CACHED_VALUES = 65_536


@dataclass(frozen=True)
class Origin(ABC, Generic[M]):
    """Something that holds records of one canonical object. `ids_are_unique`: it is certain that none comes twice."""

    what: ClassVar[str]
    """What people call such a thing: a file, a table."""
    whole: ClassVar[str]
    """What people call what it is a part of."""

    each: CanonicalObject
    mapping: M
    ids_are_unique: bool = field(default=False, kw_only=True)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that are wanted."""
        return source_columns(self.mapping)

    @cached_property
    def id_column(self) -> str | None:
        """The source's column that identifies its records, if it is one alone."""
        columns = {self.mapping.columns[name].column for name in self.each.id_columns(self.mapping)}
        return columns.pop() if len(columns) == 1 else None

    @property
    def is_typed(self) -> bool:
        """Whether values come with a type of their own, not all as text."""
        return True

    @property
    def encoding(self) -> str:
        """The encoding of its texts."""
        return "utf-8"

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a record stands, as a person finds it."""

    def __str__(self) -> str:
        return f"{self.each.name}: {self.mapping.label}"


Held = TypeVar("Held", bound=Origin[Any])


@dataclass(frozen=True)
class Broken:
    """A row that is no record, as text, and its id if that is certain."""

    row: int
    reason: str
    text: str
    record_id: str | None = None


@dataclass
class Chunk:
    """Some rows of an origin: their numbers and the values of the wanted columns, and those that are no record."""

    records: list[tuple[int, Sequence[Any]]] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.broken)


@dataclass(frozen=True)
class Context:
    """What holds for all objects of one reading: the known stages, the company's zone, the moment, who watches."""

    stages: tuple[str, ...]
    zone: ZoneInfo
    extracted_at: datetime
    progress: Progress


def deals_of(mappings: Sequence[ObjectMapping]) -> Deals:
    """Which records of raw are deals, and for how much, by the mappings they came through; see `source.Deals`.

    A record has the columns of its own mapping only, so these tell which one it was.
    """
    amounts, kinds = [], []
    for mapping in mappings:
        columns = ", ".join(map(literal, source_columns(mapping)))
        kinds.append(f"json_keys(payload) = [{columns}]")
        if "amount" in mapping.columns:
            amounts.append(f"when {kinds[-1]} then {_amount_in_raw(mapping)}")
    amount = f"case {' '.join(amounts)} end" if amounts else "null::decimal(18, 2)"
    return Deals("deals", amount, " or ".join(kinds) or "false")


def _amount_in_raw(mapping: ObjectMapping) -> str:
    """SQL of a deal's amount: its digits, whatever stands between them."""
    column = mapping.columns["amount"]
    pointer = "/" + (column.column or "").replace("~", "~0").replace("/", "~1")
    text = literal(column.constant) if column.column is None else f"payload ->> {literal(pointer)}"
    if column.values:
        words = " ".join(f"when {literal(found)} then {literal(meant)}" for found, meant in column.values.items())
        text = f"case trim({text}) {words} else {text} end"
    digits = f"regexp_replace({text}, '[^0-9+{mapping.decimal_mark}-]', '', 'g')"
    return f"try_cast(replace({digits}, ',', '.') as decimal(18, 2))"


def refuse_lost_columns(origin: Origin[Any], present: Sequence[str], hint: str = "") -> None:
    """Raise BadSourceData that names the mapped columns which are not among those present; `hint` is a further line."""
    lost = [column for column in origin.columns if column not in present]
    if not lost:
        return
    lines = [
        f"no column {column!r}, which is mapped to {_canonical_names(origin, column)}{did_you_mean(column, present)}"
        for column in lost
    ]
    raise BadSourceData(
        f"{origin}: {'; '.join(lines)}\n  the {origin.what} has: {', '.join(present) or 'nothing'}{hint}"
        f"\n  correct the mapping or the {origin.whole}, then rerun"
    )


def _canonical_names(origin: Origin[Any], column: str) -> str:
    return ", ".join(name for name, mapped in origin.mapping.columns.items() if mapped.column == column)


def read_object(
    origins: Sequence[Held], read_chunks: Callable[[Held], Iterator[Chunk]], context: Context
) -> Iterator[Batch | ObjectRead]:
    """The records of an object from all its origins, batch by batch, then the account of it."""
    each = origins[0].each
    seen = None if len(origins) == 1 and origins[0].ids_are_unique else _Seen(origins)
    read = refused = 0
    every_id_is_known = True
    for number, origin in enumerate(origins):
        examiner = _Examiner(origin, number, context, seen)
        for chunk in read_chunks(origin):
            with _garbage_uncollected():
                records, quarantined = examiner.examine(chunk)
                batch = batch_of(each.name, records, quarantined, context.extracted_at)
            read += len(chunk)
            refused += len(quarantined)
            every_id_is_known = every_id_is_known and all(one.record_id for one in quarantined)
            context.progress(each.name, read)
            yield batch
    extent: Extent = "full" if all(origin.mapping.extent == "full" for origin in origins) else "delta"
    yield ObjectRead(each.name, extent, read, refused, can_tell_vanished=extent == "full" and every_id_is_known)


@contextmanager
def _garbage_uncollected() -> Iterator[None]:
    """Look for no cycles among thousands of new tuples that have none: that is a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Unusable(Exception):
    """A record goes to quarantine, for this reason."""

    def __init__(self, reason: str, record_id: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.record_id = record_id


class _Seen:
    """Which versions of an object's records were read already, and where: the first one stands, the others do not."""

    def __init__(self, origins: Sequence[Origin[Any]]) -> None:
        self._origins = origins
        # One integer a record, row and origin in one, and contents only where they are compared: a million records fit.
        self._places: dict[str | tuple[str, datetime | None], int] = {}
        self._contents: dict[str | tuple[str, datetime | None], bytes] | None = (
            {} if any(origin.mapping.distinct for origin in origins) else None
        )

    def is_new(self, record: Record, row: int, number: int, *, is_versioned: bool) -> bool:
        """False if the very same was read and the origin repeats itself by design; raises _Unusable for a duplicate."""
        key = (record.id, record.updated_at) if is_versioned else record.id
        first = self._places.setdefault(key, row * len(self._origins) + number)
        is_first = first == row * len(self._origins) + number
        if self._contents is not None:
            content = hashlib.blake2b(record.payload.encode(), digest_size=16).digest()
            is_same = self._contents.setdefault(key, content) == content
            if not is_first and is_same and self._origins[number].mapping.distinct:
                return False
        if not is_first:
            first_row, first_number = divmod(first, len(self._origins))
            place = self._origins[first_number].place(first_row)
            raise _Unusable(f"expected one record with id {record.id!r}, found another: {place} is first", record.id)
        return True


class _Field(NamedTuple):
    """A canonical column as this origin gives it: at a position of the record, or the same for all records."""

    column: Column
    position: int | None

    def text(self, texts: Sequence[str]) -> str:
        """The value that counts."""
        return cleaned(texts[self.position] if self.position is not None else self.column.constant or "", self.column)


class _Examiner:
    """Tells the usable records of one origin from those that go to quarantine."""

    def __init__(self, origin: Origin[Any], number: int, context: Context, seen: _Seen | None) -> None:
        self._origin = origin
        self._number = number
        self._seen = seen
        self._columns = origin.columns
        self._is_typed = origin.is_typed
        each, mapping = origin.each, origin.mapping
        fields = {
            name: _Field(column, None if column.column is None else self._columns.index(column.column))
            for name, column in mapping.columns.items()
        }
        self._id_fields = [fields[name] for name in each.id_columns(mapping)]
        self._id_needs = [name == "id" or each.by_name[name].required for name in each.id_columns(mapping)]
        self._id_position = self._id_fields[0].position if len(self._id_fields) == 1 else None
        self._checks = list(_checks(origin, fields, context, is_deleted=False))
        self._checks_if_deleted = list(_checks(origin, fields, context, is_deleted=True))
        self._deleted = fields.get("is_deleted")
        self._version = fields.get(each.version)
        zone = ZoneInfo(mapping.time_zone) if mapping.time_zone else context.zone
        pattern = pattern_of("moment", self._version.column, mapping) if self._version else None
        self._moment = lru_cache(maxsize=_CACHED_VALUES)(lambda text: moment_of(text, zone=zone, pattern=pattern))

    def examine(self, chunk: Chunk) -> tuple[list[Record], list[Quarantined]]:
        """The chunk's usable records, and those to put aside."""
        records: list[Record] = []
        quarantined = [self._put_aside(broken) for broken in chunk.broken]
        for row, values in chunk.records:
            try:
                record = self._record(values)
                if self._is_new(record, row):
                    records.append(record)
            except _Unusable as problem:
                place = self._origin.place(row)
                quarantined.append(Quarantined(place, problem.record_id, problem.reason, self._shown(values)))
        return records, quarantined

    def _is_new(self, record: Record, row: int) -> bool:
        return self._seen is None or self._seen.is_new(
            record, row, self._number, is_versioned=self._version is not None
        )

    def _put_aside(self, broken: Broken) -> Quarantined:
        return Quarantined(self._origin.place(broken.row), broken.record_id, broken.reason, broken.text)

    def _record(self, values: Sequence[Any]) -> Record:
        texts = self._texts(values) if self._is_typed else values
        payload = self._payload(values)
        record_id = self._id(texts)
        is_deleted = self._deleted is not None and self._deleted.text(texts).lower() in TRUE_WORDS
        for position, check in self._checks_if_deleted if is_deleted else self._checks:
            reason = check(texts[position])
            if reason:
                raise _Unusable(reason, record_id)
        version = self._version.text(texts) if self._version else ""
        return Record(record_id, self._moment(version) if version else None, is_deleted, payload)

    def _texts(self, values: Sequence[Any]) -> Sequence[str]:
        try:
            return [value if type(value) is str else as_text(value) for value in values]
        except ValueError as error:
            raise _Unusable(str(error), None) from error

    def _payload(self, values: Sequence[Any]) -> str:
        try:
            return orjson.dumps(dict(zip(self._columns, values, strict=True))).decode()
        except orjson.JSONEncodeError as error:
            raise self._broken_text(values, error) from error

    def _broken_text(self, values: Sequence[Any], error: Exception) -> _Unusable:
        names = [name for name, value in zip(self._columns, values, strict=True) if _is_broken(value)]
        texts = [repaired(as_text(value)) if _is_broken(value) else as_text(value) for value in values]
        is_id_known = not any(self._columns[field.position or 0] in names for field in self._id_fields)
        if not names:
            return _Unusable(f"cannot be kept as JSON: {error}", None)
        found = ", ".join(repr(texts[self._columns.index(name)]) for name in names)
        reason = f"{', '.join(names)}: expected text in {self._origin.encoding}, found other bytes: {found}"
        return _Unusable(reason, self._id(texts) if is_id_known else None)

    def _id(self, texts: Sequence[str]) -> str:
        if self._id_position is not None and (only := texts[self._id_position].strip(PADDING)):
            return only
        parts = [
            (texts[field.position] if field.position is not None else field.column.constant or "").strip(PADDING)
            for field in self._id_fields
        ]
        empty = [
            repr(field.column.column)
            for field, part, is_needed in zip(self._id_fields, parts, self._id_needs, strict=True)
            if is_needed and not part
        ]
        if not empty:
            return "|".join(parts)
        raise _Unusable(f"expected an id in {', '.join(empty)}, found nothing", None)

    def _shown(self, values: Sequence[Any]) -> str:
        shown = {
            name: repaired(value) if isinstance(value, str) else value
            for name, value in zip(self._columns, values, strict=True)
        }
        return orjson.dumps(shown, default=str).decode()


def _checks(
    origin: Origin[Any], fields: dict[str, _Field], context: Context, *, is_deleted: bool
) -> Iterator[tuple[int, Callable[[str], str | None]]]:
    """The checks of the columns that have any, each with the position of its column. A deleted record may be hollow."""
    for name, (column, position) in fields.items():
        canonical = origin.each.by_name[name]
        check = column_check(canonical, column, origin.mapping, context.stages)
        is_needed = canonical.required and not is_deleted and canonical.unless not in fields
        if position is not None and (check or is_needed):
            yield position, _remembered(column, check, is_needed=is_needed)


def _remembered(
    column: Column, check: Callable[[str], str | None] | None, *, is_needed: bool
) -> Callable[[str], str | None]:
    """A check of the text as the source wrote it, which names the source's column."""

    @lru_cache(maxsize=_CACHED_VALUES)
    def reason(written: str) -> str | None:
        text = cleaned(written, column)
        if not text:
            return f"{column.column}: expected a value, found nothing" if is_needed else None
        found = check(text) if check else None
        return f"{column.column}: {found}" if found else None

    return reason


def _is_broken(value: Any) -> bool:
    return isinstance(value, str) and is_broken(value)
