"""CSV, NDJSON and Parquet, read in chunks: the mapped columns of each record, and the lines that are no record.

Memory stays flat: a chunk is all that is held. Values are as the file gives them. Bytes that the encoding does not know
come through as lone surrogates, so that one broken record does not spoil the file.
"""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, ClassVar

import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.errors import BadSourceData, SourceUnreachable
from kpimart.extract.canonical import FileFormat
from kpimart.extract.mapped import CHUNK_ROWS, Broken, Chunk, Origin, refuse_lost_columns
from kpimart.extract.values import PADDING, decimal_text, is_broken, iso_text, json_number, repaired
from kpimart.settings import FileMapping

# From here on a double no longer tells cents apart with certainty.
_INEXACT_FROM = 1e13


@dataclass(frozen=True)
class SourceFile(Origin[FileMapping]):
    """A file to read."""

    what: ClassVar[str] = "file"
    whole: ClassVar[str] = "export"

    path: Path
    format: FileFormat

    @property
    def is_typed(self) -> bool:
        """All but CSV tell text from numbers."""
        return self.format != "csv"

    @property
    def encoding(self) -> str:
        """The encoding that its mapping says."""
        return self.mapping.encoding

    def place(self, row: int) -> str:
        """Where a record stands, as a person finds it: rows as a spreadsheet counts them, lines as an editor does."""
        return f"{self.mapping.file}, {'line' if self.format == 'ndjson' else 'row'} {row}"

    def __str__(self) -> str:
        return f"{self.each.name}: {self.path}"


def check_file(file: SourceFile) -> None:
    """Raise what can be known before reading: SourceUnreachable; BadSourceData for an empty file or a lost column."""
    with _reading(file):
        if file.path.stat().st_size == 0 and not _may_be_empty(file):
            raise BadSourceData(f"{file}: is empty (0 bytes), expected records; export it again, then rerun")
        if file.format == "csv":
            with _open_text(file) as text:
                _read_header(file, csv.reader(text, delimiter=file.mapping.delimiter))
        elif file.format == "parquet":
            _open_parquet(file).close()
        else:
            file.path.open("rb").close()


def read_chunks(file: SourceFile) -> Iterator[Chunk]:
    """The file's rows in chunks. Raises SourceUnreachable or BadSourceData; a file without any row is bad if `full`."""
    read = {"csv": _read_csv, "ndjson": _read_ndjson, "parquet": _read_parquet}[file.format]
    rows = 0
    with _reading(file):
        for chunk in read(file):
            rows += len(chunk)
            yield chunk
    if rows == 0 and file.mapping.extent == "full":
        raise BadSourceData(
            f"{file}: holds no record, expected a full export; export it again, or say extent = 'delta', then rerun"
        )


@contextmanager
def _reading(file: SourceFile) -> Iterator[None]:
    """Say of what goes wrong with a file what it was read for, and what to do."""
    try:
        yield
    except UnicodeError as error:
        raise BadSourceData(
            f"{file}: cannot be read as {file.mapping.encoding}: {error}; correct 'encoding' in its mapping, then rerun"
        ) from error
    except OSError as error:
        raise SourceUnreachable(
            f"{file}: {error.strerror or error}; check the folder, the name and the rights, then rerun"
        ) from error


def _may_be_empty(file: SourceFile) -> bool:
    return file.format == "ndjson" and file.mapping.extent == "delta"


# ---------------------------------------------------------------------------------------------------------------- CSV


class _Lines:
    """Lines that can be given back: the parser swallows many of them after a quote that is never closed."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._returned: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        return line

    def give_back_all_but_first(self) -> str:
        """The first line taken, which is the broken one; the others are read anew."""
        first, *others = self.taken
        self._returned.extendleft(reversed(others))
        return first


def _read_csv(file: SourceFile) -> Iterator[Chunk]:
    with _open_text(file) as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=file.mapping.delimiter, strict=True)
        header = _read_header(file, reader)
        pick = _picker([header.index(column) for column in file.columns])
        has_leading_id = header[0] == file.id_column
        chunk = Chunk()
        for row in count(2):
            lines.taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                chunk.broken.append(_unparseable(row, error, lines, header, file))
            else:
                if len(fields) == len(header):
                    chunk.records.append((row, pick(fields)))
                elif not _is_blank(fields):
                    leading = fields[0].strip(PADDING) if has_leading_id else ""
                    chunk.broken.append(_misshapen(row, fields, header, lines.taken, leading))
            if row % CHUNK_ROWS == 0:
                yield chunk
                chunk = Chunk()
        yield chunk


def _open_text(file: SourceFile) -> IO[str]:
    encoding = "utf-8-sig" if file.mapping.encoding == "utf-8" else file.mapping.encoding
    return file.path.open(encoding=encoding, errors="surrogateescape", newline="")


def _read_header(file: SourceFile, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip(PADDING) for name in next((row for row in reader if row), [])]
    except csv.Error as error:
        raise BadSourceData(f"{file}: its header cannot be read: {error}; export it again, then rerun") from error
    if any(is_broken(name) or "\0" in name for name in header):
        raise BadSourceData(
            f"{file}: its header is not {file.mapping.encoding}: {repaired(','.join(header))[:200]!r}; "
            "correct 'encoding' in its mapping, then rerun"
        )
    _refuse_lost_columns(file, header)
    for column in file.columns:
        if header.count(column) > 1:
            raise BadSourceData(f"{file}: column {column!r} stands {header.count(column)} times in its header")
    return header


def _refuse_lost_columns(file: SourceFile, present: Sequence[str]) -> None:
    hint = ""
    if file.format == "csv" and len(present) == 1:
        others = [mark for mark in ";\t|," if mark in present[0] and mark != file.mapping.delimiter]
        hint = f"\n  its one column looks like several: is the delimiter {others[0]!r}?" if others else ""
    refuse_lost_columns(file, present, hint)


def _picker(positions: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if len(positions) == 1:
        only = positions[0]
        return lambda fields: (fields[only],)
    return itemgetter(*positions)


def _is_blank(fields: list[str]) -> bool:
    return not any(value.strip(PADDING) for value in fields)


def _unparseable(row: int, error: csv.Error, lines: _Lines, header: list[str], file: SourceFile) -> Broken:
    text = repaired(lines.give_back_all_but_first().rstrip("\r\n"))
    expected = f"expected {len(header)} fields separated by {file.mapping.delimiter!r}"
    return Broken(row, f"{expected}, found quotes that do not fit: {error}", text)


def _misshapen(row: int, fields: list[str], header: list[str], lines: list[str], leading_id: str) -> Broken:
    text = "".join(lines).rstrip("\r\n")
    record_id = None if is_broken(leading_id) else leading_id or None
    return Broken(row, f"expected {len(header)} fields, found {len(fields)}", repaired(text), record_id)


# ------------------------------------------------------------------------------------------------------------- NDJSON


def _read_ndjson(file: SourceFile) -> Iterator[Chunk]:
    never_seen = set(file.columns)
    chunk = Chunk()
    with _open_lines(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                chunk.broken.append(Broken(number, f"expected a JSON object, found no JSON: {error}", _shown(line)))
            else:
                if isinstance(record, dict):
                    never_seen -= record.keys()
                    chunk.records.append((number, _exact(record, line, file)))
                else:
                    found = f"expected a JSON object, found {type(record).__name__}"
                    chunk.broken.append(Broken(number, found, _shown(line)))
            if number % CHUNK_ROWS == 0:
                yield chunk
                chunk = Chunk()
        yield chunk
    if never_seen and file.mapping.extent == "full":
        _refuse_lost_columns(file, _keys_of(file))


def _open_lines(file: SourceFile) -> IO[Any]:
    """The file's lines: bytes where they are UTF-8 already, which the JSON parser judges itself."""
    if file.mapping.encoding != "utf-8":
        return _open_text(file)
    lines = file.path.open("rb")
    if lines.read(3) != b"\xef\xbb\xbf":
        lines.seek(0)
    return lines


def _shown(line: str | bytes) -> str:
    text = line.decode(errors="replace") if isinstance(line, bytes) else repaired(line)
    return text.rstrip("\r\n")


def _exact(record: dict[str, Any], line: str | bytes, file: SourceFile) -> Sequence[Any]:
    """The wanted values. Numbers that a double cannot keep, or that a decimal comma would misread, stay text."""
    mark = file.mapping.decimal_mark
    limit = _INEXACT_FROM if mark == "." else 0
    values = tuple(map(record.get, file.columns))
    if any(type(value) is float and abs(value) >= limit for value in values):
        as_written = json.loads(line, parse_float=lambda text: text.replace(".", mark), parse_int=str)
        return tuple(map(as_written.get, file.columns))
    return values


def _keys_of(file: SourceFile) -> list[str]:
    """The keys that the records of an NDJSON file have, read again for the sake of the message."""
    keys: dict[str, None] = {}
    with _open_lines(file) as lines:
        for line in lines:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict):
                keys.update(dict.fromkeys(record))
    return list(keys)


# ------------------------------------------------------------------------------------------------------------ Parquet


def _read_parquet(file: SourceFile) -> Iterator[Chunk]:
    numbers = count(1)
    with _open_parquet(file) as parquet:
        convert = [_converter(parquet.schema_arrow.field(column).type, file) for column in file.columns]
        for batch in parquet.iter_batches(batch_size=CHUNK_ROWS, columns=list(file.columns)):
            columns = [make(batch.column(name)) for name, make in zip(file.columns, convert, strict=True)]
            yield Chunk(records=list(zip(numbers, zip(*columns, strict=True), strict=False)))


def _open_parquet(file: SourceFile) -> Any:
    # Most exports are text, and do without what this loads.
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        parquet = pq.ParquetFile(file.path)
    except pa.ArrowInvalid as error:
        raise BadSourceData(
            f"{file}: is not a Parquet file ({error}); correct 'format' in its mapping or export it again, then rerun"
        ) from error
    _refuse_lost_columns(file, parquet.schema_arrow.names)
    return parquet


def _converter(kind: Any, file: SourceFile) -> Callable[[Any], list[Any]]:
    """How values of an Arrow type become what JSON can hold: times ISO 8601 text, decimals exact text."""
    types = pa.types
    mark = file.mapping.decimal_mark
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_timestamp(kind):
        # Python's own times have no nanoseconds, and offsets other than UTC would need a time zone library.
        target = pa.timestamp("us", tz="UTC" if kind.tz else None)
        return lambda column: _converted(column.cast(target, safe=False), iso_text)
    if types.is_date(kind) or types.is_time(kind):
        return lambda column: _converted(column, iso_text)
    if types.is_decimal(kind):
        return lambda column: _converted(column, lambda value: decimal_text(value, mark))
    if types.is_floating(kind):
        return lambda column: _converted(column, lambda value: json_number(value, mark))
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    if any(is_plain(kind) for is_plain in (*texts, types.is_integer, types.is_boolean, types.is_null)):
        return lambda column: list(column.to_pylist())
    raise BadSourceData(
        f"{file}: a mapped column is of type {kind}; expected text, numbers, booleans, dates or times; "
        "write it as one of them, then rerun"
    )


def _converted(column: Any, convert: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in column.to_pylist()]
