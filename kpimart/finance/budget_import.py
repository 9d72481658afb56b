"""Reading a budget workbook back: what finance typed becomes targets, all of it or nothing.

Cells are found by the keys in the hidden columns, so rows may be sorted. What cannot be read is told cell by cell.
"""

import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import duckdb
import openpyxl
import orjson
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from kpimart.clock import Clock, utc_now
from kpimart.errors import ReleaseDamaged, SettingsError, WorkbookRefused
from kpimart.extract.landing import record_decision
from kpimart.finance.allocation import CannotBeSpread, Target, allocate
from kpimart.finance.budget import Budget, Key, read_budget
from kpimart.finance.sheets import budget as sheet_of_inputs
from kpimart.finance.sheets.notes import FACTS_SHEET
from kpimart.publish.files import sha256
from kpimart.publish.manifest import MANIFEST_FILE
from kpimart.publish.release import find
from kpimart.publish.shelf import Release, Shelf
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse, transaction, writer_lock

OBJECT = "target"
FORMAT = "1"
MAX_BYTES = 50_000_000
MAX_VALUE = 10**15
SHOWN = 20
# What the readers of ZIP, XML (each parser has an error of its own, all of them are SyntaxError) and workbooks raise.
_UNREADABLE = (
    *(BadZipFile, InvalidFileException, SyntaxError, zlib.error, RuntimeError),
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError, OverflowError),
)


@dataclass(frozen=True)
class Total:
    """What was set for a KPI: the sum of its months, and for how many departments and managers."""

    kpi_code: str
    name: str
    unit: str
    value: Decimal
    departments: int
    managers: int


@dataclass(frozen=True)
class ImportedBudget:
    """What became of a workbook. `is_repeated`: it had been read before, and nothing was recorded.

    warnings: that what it was made from is not what is served. targets: how many were recorded.
    """

    file: Path
    year: str
    release_id: str
    decided_by: str
    note: str
    decided_at: datetime
    cells: int
    targets: int
    totals: tuple[Total, ...]
    warnings: tuple[str, ...]
    is_repeated: bool = False


@dataclass(frozen=True)
class _Workbook:
    """A workbook as it was read. `formulas`, `values`: of it with its formulas, and with their results."""

    name: str
    digest: str
    formulas: Any
    values: Any
    facts: Mapping[str, str]

    @property
    def sheets(self) -> list[str]:
        return list(self.formulas.sheetnames)

    def rows(self, title: str) -> list[tuple[list[Any], list[Any]]]:
        """The rows of a sheet: their cells, with formulas, and their values. Only this sheet is read."""
        with _readable(self.name):
            for book in (self.formulas, self.values):
                # Somebody else's program may have written another extent than there is.
                book[title].reset_dimensions()
            cells = (list(row) for row in self.formulas[title].iter_rows())
            return list(zip(cells, (list(row) for row in self.values[title].iter_rows(values_only=True)), strict=True))


def import_budget(settings: Settings, file: Path, *, by: str, note: str = "", clock: Clock = utc_now) -> ImportedBudget:
    """Read a filled-in budget workbook, and record the targets that it comes to.

    by: who decides. To read the same file again changes nothing. Raises WorkbookRefused that names every cell which
    cannot be used, and why; SettingsError, ReleaseNotFound, StorageFailed, and WarehouseBusy while a run writes. After
    each of them nothing is recorded.
    """
    if not by.strip():
        raise SettingsError("to import a budget needs the name of who decides it; give --by NAME")
    book = _read(file)
    served = find(settings.home)
    warnings = tuple(_stale(Shelf(settings.home), book, served))
    budget = _budget(book, served)
    inputs = _inputs(book, budget)
    targets = _allocated(book, served, budget, inputs)
    with writer_lock(settings.home), open_warehouse(settings.home) as connection, transaction(connection):
        repeated = _recorded_before(connection, book.digest)
        decided_at = repeated or clock()
        if repeated is None:
            payloads = {target.id: _payload(target, book, by.strip(), note.strip()) for target in targets}
            record_decision(connection, OBJECT, payloads, lambda: decided_at)
    return ImportedBudget(
        file=file,
        year=budget.year.name,
        release_id=book.facts["release_id"],
        decided_by=by.strip(),
        note=note.strip(),
        decided_at=decided_at,
        cells=len(inputs),
        targets=0 if repeated else sum(target.value is not None for target in targets),
        totals=tuple(_totals(budget, targets)),
        warnings=warnings,
        is_repeated=repeated is not None,
    )


# --------------------------------------------------------------------------------------------------------- the workbook


def _read(file: Path) -> _Workbook:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise WorkbookRefused(f"{file}: {len(content):,} bytes; a budget workbook has no more than {MAX_BYTES:,}")
    with _readable(str(file)):
        formulas = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
        values = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        facts = _facts(values)
    if facts is None:
        raise WorkbookRefused(
            f"{file}: is no budget workbook of kpimart: it has the sheets {', '.join(formulas.sheetnames)} and not the "
            f"hidden one {FACTS_SHEET!r}\n  what now   fill in one that  kpimart export budget  has written"
        )
    missing = [name for name in ("release_id", "as_of", "known_at", "manifest_sha256", "year") if name not in facts]
    if facts.get("format") != FORMAT or missing:
        raise WorkbookRefused(
            f"{file}: is a budget workbook of format {facts.get('format')!r}, and this program reads {FORMAT!r}"
            + (f"; its hidden sheet has no {', '.join(missing)}" if missing else "")
            + "\n  what now   export it anew, and type the figures there"
        )
    return _Workbook(file.name, hashlib.sha256(content).hexdigest(), formulas, values, facts)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """A damaged file is refused by its name, wherever the damage is met: sheets are read when they are asked for."""
    try:
        yield
    except _UNREADABLE as error:
        raise WorkbookRefused(
            f"{name}: is no Excel workbook that can be read ({type(error).__name__}: {error})\n"
            "  what now   open it in Excel and save it as .xlsx"
        ) from error


def _facts(values: Any) -> dict[str, str] | None:
    """What the hidden sheet says; None without one."""
    if FACTS_SHEET not in values.sheetnames:
        return None
    rows = values[FACTS_SHEET].iter_rows(max_col=2, values_only=True)
    return {str(row[0]): str(row[1]) for row in rows if len(row) == 2 and None not in row}


def _stale(shelf: Shelf, book: _Workbook, served: Release) -> Iterator[str]:
    """What is to be said of the release that a workbook was made from; raises WorkbookRefused if it is not ours."""
    name = book.facts["release_id"]
    manifest = shelf.manifests.get(name)
    if manifest is None:
        raise WorkbookRefused(
            f"{book.name}: was made from release {name}, which was never published here; it is another company's or "
            "another home's\n  what now   kpimart releases  lists those that were"
        )
    if (manifest.as_of.isoformat(), manifest.known_at.isoformat()) != (book.facts["as_of"], book.facts["known_at"]):
        raise WorkbookRefused(
            f"{book.name}: says that release {name} is as of {book.facts['as_of']}, known at {book.facts['known_at']}; "
            f"the release of that name here is as of {manifest.as_of.isoformat()}, known at "
            f"{manifest.known_at.isoformat()}\n  what now   fill in a workbook that was exported here"
        )
    if name in shelf.removed:
        yield f"release {name}, which it was made from, was removed since by retention; its figures cannot be verified"
    else:
        try:
            shelf.verified(name)
        except ReleaseDamaged as error:
            raise WorkbookRefused(f"{book.name}: was made from a release that is not what it was\n{error}") from error
    if sha256(shelf.folder(name) / MANIFEST_FILE) != book.facts["manifest_sha256"]:
        amended = ", ".join(f"by {each.by} on {each.at:%Y-%m-%d}" for each in manifest.amended)
        yield f"release {name}, which it was made from, was amended since {amended}: look at  kpimart verify {name}"
    if name != served.release_id:
        yield (
            f"it was made from release {name}, figures as of {manifest.as_of:%Y-%m-%d}, and {served.release_id}, as of "
            f"{served.as_of:%Y-%m-%d}, is served now; see what changed with  kpimart releases diff {name}  and export "
            "anew if that matters"
        )


def _budget(book: _Workbook, served: Release) -> Budget:
    """The year of the workbook as it can be planned now."""
    year = book.facts["year"].removeprefix("FY")
    try:
        return read_budget(served.database, int(year), "en")
    except (SettingsError, ValueError) as error:
        raise WorkbookRefused(
            f"{book.name}: is a budget of {book.facts['year']}, which is not to be planned any more: {error}\n"
            "  what now   export one of a year that is not over"
        ) from error


# ------------------------------------------------------------------------------------------------------------ its cells


def _inputs(book: _Workbook, budget: Budget) -> dict[Key, Decimal]:
    """What is typed, by key; raises WorkbookRefused that names every cell which cannot be used."""
    title = book.facts.get("sheet:Budget", "")
    if title not in book.sheets:
        raise WorkbookRefused(
            f"{book.name}: has no sheet {title!r}; it has {', '.join(book.sheets)}\n"
            f"  what now   name the sheet with the yellow cells {title!r} again"
        )
    reader = _Reader(book, budget, title)
    typed = reader.read()
    if reader.refusals:
        more = len(reader.refusals) - SHOWN
        listed = "".join(f"\n  {refusal}" for refusal in reader.refusals[:SHOWN])
        raise WorkbookRefused(
            f"{book.name}: nothing was imported, because of {len(reader.refusals)} cells or rows:{listed}"
            + (f"\n  … and {more} more" if more > 0 else "")
        )
    if not typed:
        raise WorkbookRefused(f"{book.name}: nothing is typed in the yellow cells of {title!r}; nothing was imported")
    return typed


class _Reader:
    """Reads the sheet that is filled in, and collects what cannot be used of it."""

    def __init__(self, book: _Workbook, budget: Budget, title: str) -> None:
        self.budget, self.title = budget, title
        self.rows = book.rows(title)
        self.expected = dict.fromkeys(value for name, value in book.facts.items() if name.startswith("row:"))
        self.kpis = {kpi.kpi_code: kpi for kpi in budget.kpis}
        self.entities = {entity.id: entity for entity in budget.entities}
        self.periods = {(period.grain, period.start.isoformat()): period for period in budget.year.periods}
        self.refusals: list[str] = []

    def read(self) -> dict[Key, Decimal]:
        """Key → what is typed."""
        columns = self._columns()
        if columns is None:
            return {}
        typed: dict[Key, Decimal] = {}
        seen: dict[str, int] = {}
        for number, (cells, values) in enumerate(self.rows, start=1):
            if number <= sheet_of_inputs.FIRST_ROW:
                continue
            row = _Row(
                number,
                {name: (cells[place], values[place]) for name, place in columns.items() if place < len(cells)},
                columns,
            )
            if row.name is None:
                self._refuse_stray(row)
            elif row.name not in self.expected:
                self.refusals.append(f"{self.title}, row {number}: its hidden keys are {row.name!r}, which no row had")
            elif row.name in seen:
                self.refusals.append(
                    f"{self.title}, row {number}: is row {seen[row.name]} once more; delete one of them"
                )
            else:
                seen[row.name] = number
                self._refuse_values_for_formulas(row)
                self._take(row, row.name, typed)
        for name in self.expected:
            if name not in seen:
                self.refusals.append(f"{self.title}: the row of {self._told(name)} is gone; bring it back")
        return typed

    def _columns(self) -> dict[str, int] | None:
        """Code → place of its column, from 0; by the hidden first row."""
        first = self.rows[sheet_of_inputs.CODES_ROW][1] if self.rows else []
        missing = [name for name in sheet_of_inputs.COLUMNS if name not in first]
        if missing:
            self.refusals.append(f"{self.title}: its hidden first row has no {', '.join(missing)}; undo their deletion")
            return None
        return {name: first.index(name) for name in sheet_of_inputs.COLUMNS}

    def _refuse_stray(self, row: "_Row") -> None:
        if row.value("input") is not None:
            self.refusals.append(
                f"{self.title}!{row.place('input')}: {row.value('input')!r} stands in a row without its hidden keys"
            )

    def _refuse_values_for_formulas(self, row: "_Row") -> None:
        for name in sheet_of_inputs.FORMULAS:
            if not row.is_formula(name):
                self.refusals.append(
                    f"{self.title}!{row.place(name)}: held a formula, and now {row.value(name)!r}; bring it back"
                )

    def _take(self, row: "_Row", name: str, typed: dict[Key, Decimal]) -> None:
        is_formula, value = row.is_formula("input"), row.value("input")
        if value is None and not is_formula:
            return
        place = f"{self.title}!{row.place('input')} ({self._told(name)})"
        key = self._key(name)
        if isinstance(key, str):
            self.refusals.append(f"{place}: {key}")
            return
        number = _number(value, is_formula=is_formula, is_amount=self.kpis[key.kpi_code].is_amount)
        if isinstance(number, str):
            self.refusals.append(f"{place}: {number}")
        elif not self.budget.is_open(self.periods[key.period_grain, key.period_start.isoformat()]):
            self.refusals.append(
                f"{place}: that period, or a month of it, is over, and is planned no more; empty the cell"
            )
        else:
            typed[key] = number

    def _key(self, name: str) -> Key | str:
        """The key of a row, or why it is none now."""
        code, level, entity, grain, start = name.split("|")
        if code not in self.kpis:
            return f"the served release plans no KPI {code}"
        if (level, entity) not in self.entities:
            return f"the served release has no {level} {entity}"
        if (grain, start) not in self.periods:
            return f"{grain} {start} is not of the year {self.budget.year.name}"
        return Key(code, level, entity, grain, date.fromisoformat(start))

    def _told(self, name: str) -> str:
        """A row as people know it."""
        code, level, entity, grain, start = name.split("|")
        who = self.entities[level, entity].name if (level, entity) in self.entities else entity
        when = self.periods[grain, start].name if (grain, start) in self.periods else f"{grain} {start}"
        return f"{code}, {who}, {when}"


@dataclass(frozen=True)
class _Row:
    """A row of the sheet that is filled in. cells: by column code, the cell and its value."""

    number: int
    cells: Mapping[str, tuple[Any, Any]]
    columns: Mapping[str, int]

    @property
    def name(self) -> str | None:
        """Its keys, as the hidden sheet lists them; None without any."""
        parts = [self.value(name) for name in sheet_of_inputs.KEYS]
        return (
            None
            if all(part is None for part in parts)
            else "|".join("" if part is None else str(part) for part in parts)
        )

    def value(self, column: str) -> Any:
        return self.cells.get(column, (None, None))[1]

    def is_formula(self, column: str) -> bool:
        cell, _ = self.cells.get(column, (None, None))
        return cell is not None and cell.value is not None and cell.data_type == "f"

    def place(self, column: str) -> str:
        """Such as K14."""
        return f"{get_column_letter(self.columns[column] + 1)}{self.number}"


def _number(value: object, *, is_formula: bool, is_amount: bool) -> Decimal | str:
    """A typed figure, of whole cents or a whole count; or what is wrong with it."""
    if is_formula and value is None:
        return "a formula without its result: open the file in Excel and save it, or type the number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"found {_shown(value)}, expected a number"
    exact = Decimal(repr(value))
    if not exact.is_finite() or not 0 <= exact < MAX_VALUE:
        return f"found {value}, expected 0 or more, and less than {MAX_VALUE:,}"
    if is_amount:
        return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    whole = exact.quantize(Decimal(1), ROUND_HALF_UP)
    return whole if abs(whole - exact) < Decimal("1e-6") else f"found {value}, expected a whole number"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"the error {value}" if value.startswith("#") else f"the text {value!r}"
    return f"the date {value:%Y-%m-%d}" if isinstance(value, datetime) else repr(value)


# ---------------------------------------------------------------------------------------------------------- the targets


def _allocated(book: _Workbook, served: Release, budget: Budget, inputs: Mapping[Key, Decimal]) -> list[Target]:
    try:
        return allocate(served.database, budget, inputs)
    except CannotBeSpread as error:
        key = error.key
        who = next(each.name for each in budget.entities if each.id == (key.entity_level, key.entity_key))
        when = next(each.name for each in budget.year.periods if (each.grain, each.start) == key[3:])
        parts = "its months and quarters" if error.is_over_time else "those of its departments"
        problem = (
            f"{parts} come to {-error.rest:,f} more than it"
            if error.rest < 0
            else f"{parts} come to {error.rest:,f} less than it, and nobody is left to take the rest"
        )
        raise WorkbookRefused(
            f"{book.name}: nothing was imported, because it does not add up: {key.kpi_code}, {who}, {when}: {problem}\n"
            "  what now   correct one of them, or empty the whole, which is then the sum of its parts"
        ) from error


def _payload(target: Target, book: _Workbook, by: str, note: str) -> str:
    content = {
        "kpi_code": target.kpi_code,
        "entity_level": target.entity_level,
        "entity_key": target.entity_key,
        "period_grain": target.period_grain,
        "period_start": target.period_start.isoformat(),
        "target_value": None if target.value is None else f"{target.value:f}",
        "decided_by": by,
        "note": note,
        "file_sha256": book.digest,
        "release_id": book.facts["release_id"],
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


def _recorded_before(connection: duckdb.DuckDBPyConnection, digest: str) -> datetime | None:
    """When this very file was read, if all that it set is still the last that was set; else None."""
    row = connection.execute(
        """
        with versions as (
            select
                extracted_at,
                payload ->> '$.file_sha256' = ? as is_of_it,
                row_number() over (partition by id order by landed_at desc) = 1 as is_latest
            from raw.kpimart__target
        )
        select max(extracted_at) from versions where is_of_it having bool_and(is_latest)
        """,
        [digest],
    ).fetchone()
    return row[0] if row else None


def _totals(budget: Budget, targets: list[Target]) -> Iterator[Total]:
    """Of each KPI that is set; what a department is a part of is counted there, if that is set too."""
    above = {child.id: entity for entity, children in budget.children.items() for child in children}
    for kpi in budget.kpis:
        months = {
            (target.entity_level, target.entity_key, target.period_start): target.value
            for target in targets
            if target.kpi_code == kpi.kpi_code and target.value is not None
        }
        if months:
            whole = [
                value
                for (level, key, start), value in months.items()
                if level != "manager" and (*above.get((level, key), ("", "")), start) not in months
            ]
            reached = {(level, key) for level, key, _ in months}
            yield Total(
                kpi_code=kpi.kpi_code,
                name=kpi.name,
                unit=kpi.unit,
                value=sum(whole, Decimal(0)),
                departments=sum(level == "department" for level, _ in reached),
                managers=sum(level == "manager" for level, _ in reached),
            )
