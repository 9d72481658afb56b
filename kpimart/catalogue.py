"""The KPI catalogue as code: what must hold of the measures and of the seeds that define, choose and assign KPIs.

Every check reads text only, so that a mistake is told in a moment, with its line, before anything is built.
"""

import csv
import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from kpimart.errors import SettingsError
from kpimart.measures import MEASURES, BadFormula, Formula, Measure, MixedUnits, declared, parse_formula, units_of
from kpimart.paths import SEEDS
from kpimart.publish.contract import ENTITY_LEVELS, GRAINS
from kpimart.seeds import seed_file
from kpimart.settings import Settings

ADDITIVITIES = ("additive", "snapshot", "distinct", "distribution", "target")
BETTER = ("higher", "lower")
LEVELS = ("personal", "department", "both")
UNITS = ("currency", "count", "ratio", "days", "hours", "currency_per_day")
COLUMNS = (
    "kpi_code",
    "name_en",
    "name_ru",
    "description_en",
    "description_ru",
    "formula",
    "unit",
    "better",
    "level",
    "finest_grain",
    "owner",
    "group",
    "format",
)
ASSIGNED_LEVELS = ("manager", "department", "role")
ROLES = ("manager", "head")
SCORED = ("weight", "threshold", "cap")
PROFILE_COLUMNS = ("profile", "kpi_code", *SCORED)
ASSIGNMENT_COLUMNS = ("kpi_code", "assigned_level", "assigned_to", "valid_from", "valid_to", *SCORED)
TARGET_COLUMNS = ("kpi_code", "entity_level", "entity_key", "period_grain", "period_start", "target_value", "set_at")
# What stands beside the KPIs in the wide views, each a column of its code.
TAKEN = ("period_start", "period_end", "is_complete", "entity_name", "department_id", "manager_id")


@dataclass(frozen=True)
class Problem:
    """Something that must not be in a file: where, what was expected, what was found, what to do."""

    file: str
    line: int
    subject: str
    expected: str
    found: str
    what_to_do: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}, {self.subject}"
        return f"{place}: expected {self.expected}, found {self.found}; {self.what_to_do}"


@dataclass(frozen=True)
class Row:
    """A row of a seed and the line that it ends on."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


def read_catalogue(own: Path | None = None) -> list[dict[str, str]]:
    """The rows of the catalogue as text, in their order; own: the company's folder of seeds, if it has one."""
    with seed_file("kpi_catalogue.csv", own).open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def require_sound(settings: Settings) -> None:
    """Raise SettingsError that lists every problem of the company's catalogue, if there is one."""
    found = problems(settings.seeds)
    if found:
        listed = "".join(f"\n  {problem}" for problem in found)
        raise SettingsError(f"the KPI catalogue has errors, {len(found)}; nothing was started:{listed}")


def problems(own: Path | None = None, measures: Path = MEASURES) -> list[Problem]:
    """Everything that is wrong in the measures and in the seeds of KPIs, file by file.

    own: the company's folder of seeds, if it has one. measures: the file of the macro.
    """
    listed = tuple(declared(measures))
    catalogue = _SeedFile(seed_file("kpi_catalogue.csv", own), COLUMNS, "kpi_code")
    profiles = _SeedFile(seed_file("kpi_profile.csv", own), PROFILE_COLUMNS, "kpi_code")
    assignments = _SeedFile(seed_file("kpi_assignment.csv", own), ASSIGNMENT_COLUMNS, "kpi_code")
    targets = _SeedFile(seed_file("kpi_target.csv", own), TARGET_COLUMNS, "kpi_code")
    levels = {row["kpi_code"]: row["level"] for row in catalogue.rows}
    return [
        *_problems_of_measures(measures, listed),
        *_problems_of_catalogue(catalogue, {measure.name: measure for measure in listed}),
        *_problems_of_profiles(profiles, levels),
        *_problems_of_assignments(assignments, levels),
        *_problems_of_targets(targets, levels),
    ]


class _SeedFile:
    """A seed as text, with the problems of its shape; rows that have another number of cells are left out."""

    def __init__(self, path: Path, columns: Iterable[str], subject: str) -> None:
        self.path, self.subject = path, subject
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                self._read(csv.reader(lines, strict=True), list(columns))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            self.problems.append(self.problem(1, "the file", "CSV in UTF-8", str(error), "write it anew"))

    def _read(self, lines: Any, columns: list[str]) -> None:
        header: list[str] = next(lines, [])
        missing = [column for column in columns if column not in header]
        if missing:
            found = ", ".join(header) or "nothing"
            self.problems.append(self.problem(1, "its header", ", ".join(columns), found, f"add {', '.join(missing)}"))
            return
        for cells in lines:
            if len(cells) == len(header):
                self.rows.append(Row(lines.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
            elif cells:
                self.problems.append(
                    self.problem(
                        lines.line_num,
                        repr(cells[0]),
                        f"{len(header)} cells",
                        str(len(cells)),
                        "put text with a comma in double quotes",
                    )
                )

    def problem(self, line: int, subject: str, expected: str, found: str, what_to_do: str) -> Problem:
        file = f"seeds/{self.path.name}" if self.path.parent == SEEDS else str(self.path)
        return Problem(file, line, subject, expected, found, what_to_do)

    def of(self, row: Row, column: str, expected: str, what_to_do: str, found: str | None = None) -> Problem:
        """A problem of a cell."""
        what = (repr(row[column]) if row[column] else "nothing") if found is None else found
        return self.problem(row.line, f"{row[self.subject] or 'a row'}: {column}", expected, what, what_to_do)

    def one_of(self, row: Row, column: str, known: Iterable[str], what: str) -> Iterator[Problem]:
        known = list(known)
        if row[column] not in known:
            expected = f"one of {', '.join(known)}" if len(known) < 10 else what
            yield self.of(row, column, expected, f"correct it{_nearest(row[column], known)}")

    def repeated(self, key: tuple[str, ...]) -> Iterator[Problem]:
        first: dict[tuple[str, ...], int] = {}
        for row in self.rows:
            name = tuple(row[column] for column in key)
            if name in first:
                yield self.of(row, key[-1], f"each {' and '.join(key)} once", f"remove it, or line {first[name]}")
            first.setdefault(name, row.line)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]}?" if near else ""


# ------------------------------------------------------------------------------------------------------ of the measures


def _problems_of_measures(path: Path, declared: Collection[Measure]) -> Iterator[Problem]:
    lines = path.read_text(encoding="utf-8").splitlines()
    names = Counter(measure.name for measure in declared)
    for measure in declared:
        line = next((n for n, text in enumerate(lines, 1) if f"name='{measure.name}'" in text), 1)
        for expected, found, what_to_do in _faults_of_measure(measure, names):
            file = "/".join(path.parts[-3:])
            yield Problem(file, line, f"measure {measure.name}", expected, found, what_to_do)


def _faults_of_measure(measure: Measure, names: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    if names[measure.name] > 1:
        yield "each name once", f"{names[measure.name]} measures", "rename one"
    if measure.additivity not in ADDITIVITIES:
        yield f"an additivity of {', '.join(ADDITIVITIES)}", measure.additivity, "choose how it adds up"
    counts_what_is_distinct = re.search(r"\bdistinct\b|\w+_id\b", measure.sql)
    is_quantile = re.search(r"\b(median|quantile\w*|mode)\b", measure.sql)
    if measure.additivity in ("additive", "snapshot") and counts_what_is_distinct:
        yield "distinct, as it counts what may come again", measure.additivity, "mark it distinct"
    if measure.additivity != "distribution" and is_quantile:
        yield "distribution, as a median is no sum", measure.additivity, "mark it distribution"
    if measure.additivity == "distinct" and not counts_what_is_distinct:
        yield "the id that is counted", f"sql {measure.sql!r}", "name the id, or mark it additive"
    if measure.additivity == "distribution" and not is_quantile:
        yield "a median or a quantile", f"sql {measure.sql!r}", "write one, or mark it additive"
    for other in measure.counted_with:
        if other not in names:
            yield "a measure to tell whether it is known", repr(other), f"declare it{_nearest(other, names)}"


# --------------------------------------------------------------------------------------------------------- of the KPIs


def _problems_of_catalogue(file: _SeedFile, measures: Mapping[str, Measure]) -> Iterator[Problem]:
    yield from file.problems
    yield from file.repeated(("kpi_code",))
    for row in file.rows:
        yield from _problems_of_kpi(file, row, measures)


def _problems_of_kpi(file: _SeedFile, row: Row, measures: Mapping[str, Measure]) -> Iterator[Problem]:
    yield from _problems_of_code(file, row)
    for column in ("name_en", "name_ru", "description_en", "description_ru", "owner", "group"):
        if not row[column]:
            yield file.of(row, column, _NEEDED[column], "fill it in")
    if row["description_ru"] and not re.search("[а-яА-ЯёЁ]", row["description_ru"]):
        yield file.of(row, "description_ru", "a translation into Russian", "translate it")
    for column, known in (("unit", UNITS), ("better", BETTER), ("level", LEVELS), ("finest_grain", GRAINS)):
        yield from file.one_of(row, column, known, column)
    yield from _problems_of_format(file, row)
    try:
        formula = parse_formula(row["formula"])
    except BadFormula as error:
        yield file.of(row, "formula", "arithmetic over measures", error.what_to_do, error.found)
        return
    unknown = [name for name in formula.measures if name not in measures]
    for name in unknown:
        what_to_do = f"correct it, or declare it{_nearest(name, measures)}"
        yield file.of(row, "formula", f"measures of macros/{MEASURES.name}", what_to_do, repr(name))
    if not unknown:
        yield from _problems_of_unit(file, row, formula, measures)


_NEEDED = {
    "name_en": "a name in English",
    "name_ru": "a name in Russian",
    "description_en": "a description in English",
    "description_ru": "a description in Russian",
    "owner": "who answers for the definition",
    "group": "the part of selling it belongs to",
}


def _problems_of_code(file: _SeedFile, row: Row) -> Iterator[Problem]:
    code = row["kpi_code"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", code):
        expected = "lower case letters, digits and underscores"
        yield file.of(row, "kpi_code", expected, "rename it; it becomes the name of a column")
    elif code in TAKEN or duckdb.tokenize(code)[0][1] == duckdb.token_type.keyword:
        yield file.of(row, "kpi_code", "the name of a column of its own", "rename it; SQL means something else by it")


def _problems_of_format(file: _SeedFile, row: Row) -> Iterator[Problem]:
    if not re.fullmatch(r"(0|#,##0)(\.0+)?%?", row["format"]):
        yield file.of(row, "format", "a number format such as #,##0.00, 0.0 or 0.0%", "write one")
    elif row["unit"] in UNITS and (row["unit"] == "ratio") != row["format"].endswith("%"):
        yield file.of(row, "format", "one that ends in % for a ratio, and for nothing else", "correct it, or the unit")


def _problems_of_unit(
    file: _SeedFile, row: Row, formula: Formula, measures: Mapping[str, Measure]
) -> Iterator[Problem]:
    try:
        units = units_of(formula, measures)
    except MixedUnits as mixed:
        expected = "only what is of one kind to be added: amounts, days, or counts"
        yield file.of(row, "formula", expected, "correct the formula", repr(str(mixed)))
        return
    if not units:
        expected = f"a formula that gives one of {', '.join(UNITS)}"
        yield file.of(row, "formula", expected, "correct the formula")
    elif row["unit"] in UNITS and row["unit"] not in units:
        yield file.of(row, "unit", f"{' or '.join(units)}, which the formula gives", "correct the unit or the formula")


# ------------------------------------------------------------------------------- of profiles, assignments and targets


def _problems_of_profiles(file: _SeedFile, levels: Mapping[str, str]) -> Iterator[Problem]:
    yield from file.problems
    yield from file.repeated(("profile", "kpi_code"))
    weights: dict[str, Decimal] = {}
    for row in file.rows:
        yield from file.one_of(row, "kpi_code", levels, "the code of a KPI")
        weight = _number(row["weight"])
        if weight is None or not 0 < weight <= 1:
            yield file.of(row, "weight", "a number above 0, of 1 at most", "correct it")
        weights[row["profile"]] = weights.get(row["profile"], Decimal()) + (weight or 0)
    for profile, total in weights.items():
        if total != 1:
            line = max(row.line for row in file.rows if row["profile"] == profile)
            yield file.problem(line, f"profile {profile}", "weights that sum to 1", str(total), "change one of them")


def _problems_of_assignments(file: _SeedFile, levels: Mapping[str, str]) -> Iterator[Problem]:
    yield from file.problems
    for row in file.rows:
        yield from file.one_of(row, "kpi_code", levels, "the code of a KPI")
        yield from file.one_of(row, "assigned_level", ASSIGNED_LEVELS, "assigned_level")
        level, assigned_level, whom = levels.get(row["kpi_code"]), row["assigned_level"], row["assigned_to"]
        if not whom:
            yield file.of(row, "assigned_to", "a manager or a department as crm:id, or a role", "fill it in")
        elif assigned_level == "role" and whom not in ROLES:
            yield from file.one_of(row, "assigned_to", ROLES, "a role")
        elif level == "department" and (assigned_level == "manager" or (assigned_level, whom) == ("role", "manager")):
            expected = "a department or head: the catalogue has the level department"
            found = f"{whom!r}, {'a person' if assigned_level == 'manager' else 'all managers'}"
            yield file.of(row, "assigned_to", expected, "assign it to a department, or change its level", found)
        elif level == "personal" and (assigned_level, whom) == ("role", "head"):
            expected = "a manager: the catalogue has the level personal"
            yield file.of(row, "assigned_to", expected, "assign it to a manager, or change its level")


def _problems_of_targets(file: _SeedFile, levels: Mapping[str, str]) -> Iterator[Problem]:
    yield from file.problems
    for row in file.rows:
        yield from file.one_of(row, "kpi_code", levels, "the code of a KPI")
        yield from file.one_of(row, "entity_level", ENTITY_LEVELS, "entity_level")
        yield from file.one_of(row, "period_grain", GRAINS, "period_grain")
        if levels.get(row["kpi_code"]) == "department" and row["entity_level"].startswith("manager"):
            expected = "department or company: the catalogue has the level department"
            yield file.of(row, "entity_level", expected, "set it for the department, or change the KPI's level")


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
