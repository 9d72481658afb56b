"""Files: any CRM's export as CSV, NDJSON or Parquet, described in the settings instead of programmed.

Reads: the files mapped in `files.<object>` below one folder. Several files may hold one object.
Keeps: the mapped columns only, under the source's names, with values as the source wrote them.
Cannot tell: who changed a record; when it changed, unless `updated_at` is mapped; that it vanished, from a `delta`.
"""

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from kpimart.errors import SettingsError, SourceUnreachable
from kpimart.extract.canonical import (
    CanonicalObject,
    check_mappings,
    cleaned,
    column_check,
    format_of,
    mappings_of,
    pattern_of,
    source_columns,
)
from kpimart.extract.readers import Broken, Chunk, SourceFile, check_file, read_chunks
from kpimart.extract.records import Batch, Extent, ObjectRead, Progress, Quarantined, Record, batch_of
from kpimart.extract.values import PADDING, TRUE_WORDS, as_text, is_broken, moment_of, repaired
from kpimart.settings import Column, FileMapping, Settings

_CACHED_VALUES = 65_536


def open_files(
    settings: Settings, folder: Path | None, *, extracted_at: datetime, progress: Progress | None = None
) -> Iterator[Batch | ObjectRead]:
    """The mapped objects below `folder` (default: `files.folder`), batch by batch.

    What is wrong with the mapping, or with a file as a whole, is raised now rather than when the first batch is taken:
    SettingsError, SourceUnreachable, BadSourceData.
    """
    check_mappings(settings)
    root = folder or settings.files.folder
    if root is None:
        raise SettingsError("files.folder: no folder to read from; name it there, or with --files FOLDER")
    if not root.is_dir():
        raise SourceUnreachable(f"files: there is no folder {root}; name the folder of the export with --files FOLDER")
    sources = {
        each: [_source_file(each, mapping, root) for mapping in mappings]
        for each, mappings in mappings_of(settings.files).items()
    }
    for files in sources.values():
        for file in files:
            check_file(file)
    return _read_all(sources, settings, extracted_at, progress or _silent)


def _silent(object_name: str, rows: int) -> None:
    """Nobody watches."""


def _source_file(each: CanonicalObject, mapping: FileMapping, root: Path) -> SourceFile:
    file_format = format_of(mapping)
    if file_format is None:
        raise SettingsError(f"files.{each.name}: {mapping.file}: say how it is written with 'format'")
    id_origins = {mapping.columns[name].column for name in each.id_columns(mapping)}
    return SourceFile(
        object_name=each.name,
        path=root / mapping.file,
        format=file_format,
        mapping=mapping,
        columns=source_columns(mapping),
        id_column=id_origins.pop() if len(id_origins) == 1 else None,
    )


def _read_all(
    sources: dict[CanonicalObject, list[SourceFile]], settings: Settings, extracted_at: datetime, progress: Progress
) -> Iterator[Batch | ObjectRead]:
    for each, files in sources.items():
        yield from _read_object(each, files, settings, extracted_at, progress)


def _read_object(
    each: CanonicalObject, files: list[SourceFile], settings: Settings, extracted_at: datetime, progress: Progress
) -> Iterator[Batch | ObjectRead]:
    seen = _Seen(files)
    read = refused = 0
    every_id_is_known = True
    for number, file in enumerate(files):
        examiner = _Examiner(each, file, number, settings, seen)
        for chunk in read_chunks(file):
            with _garbage_uncollected():
                records, quarantined = examiner.examine(chunk)
                batch = batch_of(each.name, records, quarantined, extracted_at)
            read += len(chunk)
            refused += len(quarantined)
            every_id_is_known = every_id_is_known and all(one.record_id for one in quarantined)
            progress(each.name, read)
            yield batch
    extent: Extent = "full" if all(file.mapping.extent == "full" for file in files) else "delta"
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

    def __init__(self, files: list[SourceFile]) -> None:
        self._files = files
        # One integer a record, row and file in one, and contents only where they are compared: a million records fit.
        self._places: dict[str | tuple[str, datetime | None], int] = {}
        self._contents: dict[str | tuple[str, datetime | None], bytes] | None = (
            {} if any(file.mapping.distinct for file in files) else None
        )

    def is_new(self, record: Record, row: int, number: int, *, is_versioned: bool) -> bool:
        """False if the very same was read and the file repeats itself by design; raises _Unusable for a duplicate."""
        key = (record.id, record.updated_at) if is_versioned else record.id
        first = self._places.setdefault(key, row * len(self._files) + number)
        is_first = first == row * len(self._files) + number
        if self._contents is not None:
            content = hashlib.blake2b(record.payload.encode(), digest_size=16).digest()
            is_same = self._contents.setdefault(key, content) == content
            if not is_first and is_same and self._files[number].mapping.distinct:
                return False
        if not is_first:
            first_row, first_number = divmod(first, len(self._files))
            place = self._files[first_number].place(first_row)
            raise _Unusable(f"expected one record with id {record.id!r}, found another: {place} is first", record.id)
        return True


@dataclass(frozen=True)
class _Field:
    """A canonical column as this file gives it: at a position of the record, or the same for all records."""

    column: Column
    position: int | None

    def text(self, texts: Sequence[str]) -> str:
        """The value that counts."""
        return cleaned(texts[self.position] if self.position is not None else self.column.constant or "", self.column)


class _Examiner:
    """Tells the usable records of one file from those that go to quarantine."""

    def __init__(self, each: CanonicalObject, file: SourceFile, number: int, settings: Settings, seen: _Seen) -> None:
        self._file = file
        self._number = number
        self._seen = seen
        self._is_typed = file.format != "csv"
        mapping = file.mapping
        fields = {
            name: _Field(column, None if column.column is None else file.columns.index(column.column))
            for name, column in mapping.columns.items()
        }
        self._id_fields = [fields[name] for name in each.id_columns(mapping)]
        self._id_position = self._id_fields[0].position if len(self._id_fields) == 1 else None
        self._checks = list(_checks(each, fields, file, settings, is_deleted=False))
        self._checks_if_deleted = list(_checks(each, fields, file, settings, is_deleted=True))
        self._deleted = fields.get("is_deleted")
        self._version = fields.get(each.version)
        zone = ZoneInfo(mapping.time_zone or settings.time_zone)
        pattern = pattern_of("moment", self._version.column, mapping) if self._version else None
        self._moment = lru_cache(maxsize=_CACHED_VALUES)(lambda text: moment_of(text, zone=zone, pattern=pattern))

    def examine(self, chunk: Chunk) -> tuple[list[Record], list[Quarantined]]:
        """The chunk's usable records, and those to put aside."""
        records: list[Record] = []
        quarantined = [self._put_aside(broken) for broken in chunk.broken]
        for row, values in chunk.records:
            try:
                record = self._record(values)
                if self._seen.is_new(record, row, self._number, is_versioned=self._version is not None):
                    records.append(record)
            except _Unusable as problem:
                place = self._file.place(row)
                quarantined.append(Quarantined(place, problem.record_id, problem.reason, self._shown(values)))
        return records, quarantined

    def _put_aside(self, broken: Broken) -> Quarantined:
        return Quarantined(self._file.place(broken.row), broken.record_id, broken.reason, broken.text)

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
            return orjson.dumps(dict(zip(self._file.columns, values, strict=True))).decode()
        except orjson.JSONEncodeError as error:
            raise self._broken_text(values, error) from error

    def _broken_text(self, values: Sequence[Any], error: Exception) -> _Unusable:
        names = [name for name, value in zip(self._file.columns, values, strict=True) if _is_broken(value)]
        texts = [repaired(as_text(value)) if _is_broken(value) else as_text(value) for value in values]
        is_id_known = not any(self._file.columns[field.position or 0] in names for field in self._id_fields)
        if not names:
            return _Unusable(f"cannot be kept as JSON: {error}", None)
        found = ", ".join(repr(texts[self._file.columns.index(name)]) for name in names)
        reason = f"{', '.join(names)}: expected text in {self._file.mapping.encoding}, found other bytes: {found}"
        return _Unusable(reason, self._id(texts) if is_id_known else None)

    def _id(self, texts: Sequence[str]) -> str:
        if self._id_position is not None and (only := texts[self._id_position].strip(PADDING)):
            return only
        parts = [
            (texts[field.position] if field.position is not None else field.column.constant or "").strip(PADDING)
            for field in self._id_fields
        ]
        if all(parts):
            return "|".join(parts)
        empty = ", ".join(
            repr(field.column.column) for field, part in zip(self._id_fields, parts, strict=True) if not part
        )
        raise _Unusable(f"expected an id in {empty}, found nothing", None)

    def _shown(self, values: Sequence[Any]) -> str:
        shown = {
            name: repaired(value) if isinstance(value, str) else value
            for name, value in zip(self._file.columns, values, strict=True)
        }
        return orjson.dumps(shown, default=str).decode()


def _checks(
    each: CanonicalObject, fields: dict[str, _Field], file: SourceFile, settings: Settings, *, is_deleted: bool
) -> Iterator[tuple[int, Callable[[str], str | None]]]:
    """The checks of the columns that have any, each with the position of its column. A deleted record may be hollow."""
    for name, field in fields.items():
        canonical = each.by_name[name]
        check = column_check(canonical, field.column, file.mapping, settings.files)
        is_needed = canonical.required and not is_deleted
        if field.position is not None and (check or is_needed):
            yield field.position, _remembered(field.column, check, is_needed=is_needed)


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
