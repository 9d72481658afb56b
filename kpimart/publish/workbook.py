"""A release as an Excel workbook: a sheet a table, for people who look and calculate there.

Texts are written as texts, whatever they begin with, and those that Excel would take for a formula when they are edited
get the prefix that keeps them texts. Numbers become Excel's doubles, moments local times of the business time zone.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import duckdb
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.exceptions import XlsxWriterException  # type: ignore[import-untyped]

from kpimart.errors import SettingsError, StorageFailed
from kpimart.publish import contract
from kpimart.publish.contract.shape import AMOUNT
from kpimart.publish.release import silently
from kpimart.publish.shelf import Release
from kpimart.sql import quoted
from kpimart.warehouse import open_database, storage_errors

MAX_ROWS = 1_048_576
MAX_TEXT = 32_767
MAX_SHEET_NAME = 31
MAX_WHOLE_NUMBER = 10**15
CUT = " … (cut)"
FIRST_DAY = date(1900, 3, 1)
"""Excel believes in a 29 February 1900; days before are written as texts."""

DEFAULT_TABLES = (
    *(
        contract.wide_view(level, grain)
        for level in contract.ENTITY_LEVELS[:3]
        for grain in ("month", "quarter", "year")
    ),
    *("target_attainment", "scorecard", "leaderboard", "funnel_stage"),
    *("kpi_catalogue", "dim_manager", "dim_department"),
)

_READ_ROWS = 10_000
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
LIKE_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Excel would take a text that begins so for a formula once somebody edits it."""
OPTIONS = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
_NUMBER_FORMAT = re.compile(r"[#0,. %]+")
_UNIT_FORMATS = {"count": "#,##0", "ratio": "0.0%", "days": "#,##0.0", "hours": "#,##0.0"}


@dataclass(frozen=True)
class Sheet:
    """A table on its sheet: its columns with their types and what the contract says of them."""

    table: str
    rows: int
    columns: tuple[tuple[str, str, str | None], ...]


def export_workbook(
    release: Release, file: Path, zone: ZoneInfo, tables: Sequence[str] = (), tell: Callable[[str], None] = silently
) -> list[Sheet]:
    """Write a verified release's tables, and a first sheet about it, to a file; returns what was written.

    tables: published tables or wide views; by default DEFAULT_TABLES. The file is there whole or as it was before.
    Raises SettingsError for another ending, a table that is not published, and one with more rows than a sheet has.
    """
    with open_database(release.database) as connection, written(file) as packed:
        sheets = [_sheet(connection, name) for name in tables or DEFAULT_TABLES]
        _require_room(sheets, release)
        _write(connection, release, packed, zone, sheets, tell)
    return sheets


@contextmanager
def written(file: Path) -> Iterator[io.BytesIO]:
    """Where to write a workbook to: the file gets it whole at the end of the block, or stays as it was before.

    Raises SettingsError for another ending, and StorageFailed.
    """
    if file.suffix.lower() != ".xlsx":
        raise SettingsError(f"{file}: a workbook's name ends in .xlsx")
    coming = file.with_name(f".{file.name}.next")
    with storage_errors(f"writing {file}"):
        try:
            # Packed in memory: a packer that is left with half a file tells of it on its own, wherever it ends.
            packed = io.BytesIO()
            yield packed
            coming.write_bytes(packed.getbuffer())
            coming.replace(file)
        except XlsxWriterException as error:
            raise StorageFailed(f"writing {file}: {error}; make room or grant the right, then rerun") from error
        finally:
            coming.unlink(missing_ok=True)


def _sheet(connection: duckdb.DuckDBPyConnection, name: str) -> Sheet:
    columns = connection.execute(
        "select column_name, lower(data_type), comment from duckdb_columns() where not internal and table_name = ? "
        "order by column_index",
        [name],
    ).fetchall()
    if not columns:
        raise SettingsError(f"{name}: the release has no such table; its tables are in docs/reference/tables.md")
    (rows,) = connection.execute(f"select count(*) from {quoted(name)}").fetchall()[0]
    return Sheet(name, rows, tuple(columns))


def _require_room(sheets: Sequence[Sheet], release: Release) -> None:
    too_long = [f"{sheet.table} ({sheet.rows:,} rows)" for sheet in sheets if sheet.rows >= MAX_ROWS]
    if too_long:
        raise SettingsError(
            f"{', '.join(too_long)}: a sheet has room for {MAX_ROWS - 1:,} rows below its head; name other tables with "
            f"--table, or take all of release {release.release_id} as files:  kpimart export parquet DIR"
        )


class Cells:
    """A workbook while it is written, cell by cell, with its formats, each made once.

    zone: of which moments are written. options: of xlsxwriter, further ones.
    """

    def __init__(self, file: IO[bytes], zone: ZoneInfo, **options: object) -> None:
        self.book = xlsxwriter.Workbook(file, OPTIONS | options)
        self.zone = zone
        self.format = cache(lambda code: self.book.add_format({"num_format": code}))
        self.head = self.book.add_format({"bold": True, "bottom": 1})
        self.kept_text = self.book.add_format({"quote_prefix": True})

    def text(self, sheet: Any, row: int, column: int, value: str) -> None:
        """A text that stays one, whatever it begins with."""
        shown = cell_text(value)
        sheet.write_string(row, column, shown, self.kept_text if shown.startswith(LIKE_A_FORMULA) else None)

    def cell(self, sheet: Any, row: int, column: int, value: Any, number_format: str = "") -> None:
        """Whatever a release has; what Excel has no number or date for is a text."""
        match value:
            case None:
                return
            case bool():
                sheet.write_boolean(row, column, value)
            case int() if abs(value) >= MAX_WHOLE_NUMBER:
                self.text(sheet, row, column, str(value))
            case int() | float() | Decimal():
                if isfinite(value):
                    sheet.write_number(row, column, float(value), self.format(number_format))
            case datetime():
                local = value.astimezone(self.zone)
                if local.date() < FIRST_DAY:
                    self.text(sheet, row, column, local.isoformat(sep=" "))
                else:
                    self._moment(sheet, row, column, local.replace(tzinfo=None), "yyyy-mm-dd hh:mm:ss")
            case date():
                if value < FIRST_DAY:
                    self.text(sheet, row, column, value.isoformat())
                else:
                    self._moment(sheet, row, column, datetime(value.year, value.month, value.day), "yyyy-mm-dd")  # noqa: DTZ001
            case _:
                self.text(sheet, row, column, str(value))

    def _moment(self, sheet: Any, row: int, column: int, value: datetime, code: str) -> None:
        sheet.write_datetime(row, column, value, self.format(code))


class _Book(Cells):
    """The workbook of a release. kpi_formats: KPI → how Excel shows its numbers."""

    def __init__(self, file: IO[bytes], release: Release, zone: ZoneInfo, kpi_formats: dict[str, str]) -> None:
        super().__init__(file, zone, constant_memory=True)
        self.book.set_properties({"title": f"release {release.release_id}", "created": release.published_at})
        self.kpi_formats = kpi_formats


def cell_text(value: str) -> str:
    """A text without what XML refuses, and no longer than a cell takes, which counts in units of UTF-16."""
    text = _NOT_IN_XML.sub("\ufffd", value)
    if len(text) * 2 <= MAX_TEXT or len(text.encode("utf-16-le")) // 2 <= MAX_TEXT:
        return text
    room = (MAX_TEXT - len(CUT)) * 2
    return text.encode("utf-16-le")[:room].decode("utf-16-le", errors="ignore") + CUT


def _write(
    connection: duckdb.DuckDBPyConnection,
    release: Release,
    file: IO[bytes],
    zone: ZoneInfo,
    sheets: Sequence[Sheet],
    tell: Callable[[str], None],
) -> None:
    catalogue = connection.execute("select kpi_code, unit, format from kpi_catalogue").fetchall()
    made = _Book(file, release, zone, {code: kpi_format(unit, shown) for code, unit, shown in catalogue})
    _write_about(made, release)
    for sheet in sheets:
        tell(f"writing {sheet.table}")
        _write_sheet(connection, made, sheet)
    made.book.close()


def _write_about(made: _Book, release: Release) -> None:
    sheet = made.book.add_worksheet("about")
    sheet.set_column(0, 1, 28)
    facts = [
        ("release", release.release_id),
        ("figures as of", release.as_of),
        ("known at", release.known_at),
        ("published at", release.published_at),
        ("times are those of", str(made.zone)),
        ("made by", f"kpimart {release.code_version}"),
    ]
    for row, (name, value) in enumerate(facts):
        sheet.write_string(row, 0, name, made.head)
        made.cell(
            sheet, row, 1, value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else value, ""
        )


def _write_sheet(connection: duckdb.DuckDBPyConnection, made: _Book, sheet: Sheet) -> None:
    written = made.book.add_worksheet(sheet.table[:MAX_SHEET_NAME])
    written.freeze_panes(1, 0)
    written.autofilter(0, 0, max(sheet.rows, 1), len(sheet.columns) - 1)
    formats = [made.kpi_formats.get(name) or _type_format(data_type) for name, data_type, _ in sheet.columns]
    names = [name for name, *_ in sheet.columns]
    for column, (name, _, note) in enumerate(sheet.columns):
        written.set_column(column, column, max(12, min(len(name) + 4, 40)))
        written.write_string(0, column, name, made.head)
        if note:
            written.write_comment(0, column, note)
    # In the long tables each row has a KPI of its own.
    kpi = names.index("kpi_code") if "kpi_code" in names else None
    of_a_kpi = {names.index(name) for name in ("value", "target") if name in names} if kpi is not None else set()
    found = connection.execute(f"from {quoted(sheet.table)} order by {_order(sheet.table)}")
    row = 0
    while rows := found.fetchmany(_READ_ROWS):
        for values in rows:
            row += 1
            for column, value in enumerate(values):
                own = made.kpi_formats.get(values[kpi]) if kpi is not None and column in of_a_kpi else None
                made.cell(written, row, column, value, own or formats[column])


def _order(name: str) -> str:
    """The key of a table; a view has its period and its entity in front."""
    keys = [table.key for table in contract.PUBLISHED if table.name == name]
    return ", ".join(map(quoted, keys[0])) if keys else "all"


def kpi_format(unit: str, shown: str | None) -> str:
    """The catalogue's own format, which is Excel's; one that Excel might refuse to open is replaced by the unit's."""
    is_one = shown is not None and _NUMBER_FORMAT.fullmatch(shown)
    return shown if shown and is_one else _UNIT_FORMATS.get(unit, "#,##0.00")


def _type_format(data_type: str) -> str:
    return "#,##0.00" if data_type == AMOUNT else "General"
