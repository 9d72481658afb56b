"""The canonical objects and their columns: the one language that every CRM's data are brought into.

A mapping says which column of the source holds which canonical column; `check_mappings` tells what is wrong with it
before anything of the source is opened.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any, Literal

from kpimart.errors import SettingsError, did_you_mean
from kpimart.extract.values import DIRECTIVES, PADDING, Check, Kind, check_for
from kpimart.settings import Column, FileMapping, M, MappedSettings, ObjectMapping, Settings, TableMapping

FileFormat = Literal["csv", "ndjson", "parquet"]
MappedSource = Literal["files", "sql"]
"""The sources that a mapping describes, by their names in the settings."""

FORMAT_OF_SUFFIX: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class CanonicalColumn:
    """A property of a canonical object; a required one must be mapped, and filled in every record.

    unless: where this other column is mapped too, it need not be filled.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    unless: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class CanonicalObject:
    """What a CRM holds many of. Where `id` is not mapped, the values of `key`, joined by `|`, identify a record.

    `version` names the column that tells two versions of one record apart and orders them.
    """

    name: str
    columns: tuple[CanonicalColumn, ...]
    key: tuple[str, ...] = ("id",)
    version: str = "updated_at"

    @cached_property
    def by_name(self) -> dict[str, CanonicalColumn]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    def id_columns(self, mapping: ObjectMapping) -> tuple[str, ...]:
        """The canonical columns that identify a record; of the key, an optional one may not be mapped."""
        if "id" in mapping.columns:
            return ("id",)
        return tuple(name for name in self.key if self.by_name[name].required or name in mapping.columns)


def _texts(*names: str) -> tuple[CanonicalColumn, ...]:
    return tuple(CanonicalColumn(name) for name in names)


_ID = CanonicalColumn("id", required=True)
_OPTIONAL_ID = CanonicalColumn("id")
_UPDATED = CanonicalColumn("updated_at", "moment")
_VERSION = (_UPDATED, CanonicalColumn("is_deleted", "boolean"))
_CREATED = CanonicalColumn("created_at", "moment")

OBJECTS: dict[str, CanonicalObject] = {
    each.name: each
    for each in (
        CanonicalObject(
            "deals",
            (
                _ID,
                CanonicalColumn("stage", "stage", required=True),
                *_texts("manager", "name", "account", "lead", "pipeline", "product", "source", "loss_reason"),
                CanonicalColumn("merged_into"),
                CanonicalColumn("currency"),
                CanonicalColumn("amount", "amount"),
                _CREATED,
                CanonicalColumn("closed_at", "moment"),
                CanonicalColumn("expected_close_on", "date"),
                *_VERSION,
            ),
        ),
        CanonicalObject("accounts", (_ID, *_texts("name", "segment", "country", "parent"), *_VERSION)),
        CanonicalObject(
            "managers",
            (
                _ID,
                *_texts("name", "department"),
                CanonicalColumn("hired_on", "date"),
                CanonicalColumn("left_on", "date"),
                *_VERSION,
            ),
        ),
        CanonicalObject("departments", (_ID, *_texts("name", "parent", "head"), *_VERSION)),
        CanonicalObject(
            "manager_assignments",
            (
                _OPTIONAL_ID,
                CanonicalColumn("manager", required=True),
                CanonicalColumn("department", required=True),
                CanonicalColumn("valid_from", "date", required=True),
                CanonicalColumn("valid_to", "date"),
            ),
            key=("manager", "valid_from"),
        ),
        CanonicalObject(
            "leads",
            (
                _ID,
                *_texts("manager", "account", "source", "deal"),
                _CREATED,
                CanonicalColumn("converted_at", "moment"),
                *_VERSION,
            ),
        ),
        CanonicalObject(
            "activities",
            (
                _ID,
                CanonicalColumn("type", "choice", required=True, choices=("call", "meeting", "email", "task")),
                *_texts("manager", "deal", "lead", "account"),
                CanonicalColumn("occurred_at", "moment", required=True, unless="due_at"),
                CanonicalColumn("due_at", "moment"),
                _CREATED,
                *_VERSION,
            ),
        ),
        CanonicalObject(
            "stage_changes",
            (
                _OPTIONAL_ID,
                CanonicalColumn("deal", required=True),
                CanonicalColumn("stage", "stage", required=True),
                CanonicalColumn("changed_at", "moment", required=True),
                _UPDATED,
            ),
            key=("deal", "changed_at", "stage"),
        ),
        CanonicalObject(
            "owner_changes",
            (
                _OPTIONAL_ID,
                CanonicalColumn("deal", required=True),
                CanonicalColumn("manager", required=True),
                CanonicalColumn("changed_at", "moment", required=True),
                _UPDATED,
            ),
            key=("deal", "changed_at"),
        ),
        CanonicalObject(
            "deal_splits",
            (
                _OPTIONAL_ID,
                CanonicalColumn("deal", required=True),
                CanonicalColumn("manager", required=True),
                CanonicalColumn("share", "share", required=True),
                CanonicalColumn("valid_from", "date"),
                CanonicalColumn("is_overlay", "boolean"),
                *_VERSION,
            ),
            key=("deal", "manager", "valid_from", "is_overlay"),
        ),
        CanonicalObject(
            "targets",
            (
                CanonicalColumn("kpi_code", required=True),
                CanonicalColumn(
                    "entity_level",
                    "choice",
                    required=True,
                    choices=("company", "department", "manager", "manager_in_department"),
                ),
                CanonicalColumn("entity", required=True),
                CanonicalColumn(
                    "period_grain", "choice", required=True, choices=("day", "week", "month", "quarter", "year")
                ),
                CanonicalColumn("period_start", "date", required=True),
                CanonicalColumn("value", "number", required=True),
                CanonicalColumn("set_at", "moment"),
            ),
            key=("kpi_code", "entity_level", "entity", "period_grain", "period_start"),
            version="set_at",
        ),
    )
}


def format_of(mapping: FileMapping) -> FileFormat | None:
    """How the file is written: as the mapping says, else as its name ends."""
    return mapping.format or FORMAT_OF_SUFFIX.get(PurePath(mapping.file).suffix.lower())


def pattern_of(kind: Kind, column: Column, mapping: ObjectMapping) -> str | None:
    """The strptime format of a date or a time: the column's own, else the mapping's; None is ISO 8601."""
    return (column.format or mapping.date_format) if kind in ("moment", "date") else None


def cleaned(text: str, column: Column) -> str:
    """The value that counts: trimmed, then replaced where the mapping says so."""
    trimmed = text.strip(PADDING)
    return column.values.get(trimmed, trimmed)


def stage_names(mapped: MappedSettings[Any]) -> tuple[str, ...]:
    """The stages that the settings know, in their order."""
    return tuple(dict.fromkeys(stage.name for stage in mapped.stages))


def mappings_of(mapped: MappedSettings[M]) -> dict[CanonicalObject, tuple[M, ...]]:
    """The mapped objects, in the order of the canonical ones, with what they come from."""
    chosen = {OBJECTS[name]: getattr(mapped, name) for name in OBJECTS}
    return {each: mappings for each, mappings in chosen.items() if mappings}


def check_mappings(settings: Settings, source: MappedSource) -> None:
    """Raise SettingsError with everything that is wrong with the mapping of a source, one line a problem."""
    mapped: MappedSettings[Any] = getattr(settings, source)
    problems = [f"{source}.{problem}" for problem in _problems(mapped, source)]
    if problems:
        where = settings.config or "settings"
        raise SettingsError("\n".join(f"{where}: {problem}" for problem in problems))


def _problems(mapped: MappedSettings[Any], source: MappedSource) -> Iterator[str]:
    if not mapped.deals:
        what = "file" if source == "files" else "table"
        yield f"deals: no {what} is mapped to deals; name one with its columns in [[{source}.deals]]"
    if (mapped.deals or mapped.stage_changes) and not mapped.stages:
        yield f"stages: no stage is known; name each with its outcome (open, won, lost) in [[{source}.stages]]"
    for each, mappings in mappings_of(mapped).items():
        for number, mapping in enumerate(mappings, start=1):
            place = f"{each.name}[{number}] ({mapping.label})"
            for problem in _problems_of_mapping(each, mapping, stage_names(mapped)):
                yield f"{place}: {problem}"
            for other in mappings[: number - 1]:
                if _reads_otherwise(mapping, other):
                    yield (
                        f"{place}: has the same source columns as {other.label} but reads them in another way, and raw "
                        "does not keep which of them a record came from; map one more column that tells them apart"
                    )


def source_columns(mapping: ObjectMapping) -> tuple[str, ...]:
    """The source's columns that are wanted, each once.

    Sorted, so that neither the export's order of columns nor the mapping's makes a new version of a record.
    """
    return tuple(sorted({column.column for column in mapping.columns.values() if column.column is not None}))


def _reads_otherwise(mapping: ObjectMapping, other: ObjectMapping) -> bool:
    """Whether equal payloads would mean different things in the two."""
    meaning = {"columns", "decimal_mark", "date_format", "time_zone", "currency"}
    is_alike = mapping.model_dump(include=meaning) == other.model_dump(include=meaning)
    return source_columns(mapping) == source_columns(other) and not is_alike


def _problems_of_mapping(each: CanonicalObject, mapping: ObjectMapping, stages: tuple[str, ...]) -> Iterator[str]:
    if isinstance(mapping, FileMapping) and format_of(mapping) is None:
        yield "the file's name does not tell its format; say format = 'csv', 'ndjson' or 'parquet'"
    if isinstance(mapping, TableMapping) and mapping.extent == "delta":
        yield from _problems_of_delta(each, mapping)
    for name in mapping.columns.keys() - each.by_name.keys():
        hint = did_you_mean(name, each.by_name) or f"; known are {', '.join(sorted(each.by_name))}"
        yield f"columns.{name}: no such column of {each.name}{hint}"
    for column in each.columns:
        if column.required and column.name not in mapping.columns:
            yield f"columns.{column.name}: is required for {each.name}; name the source's column that holds it"
    if mapping.date_format and (problem := _problem_of_format(mapping.date_format)):
        yield f"date_format: {problem}"
    for name in each.by_name.keys() & mapping.columns.keys():
        for problem in _problems_of_column(each, name, mapping, stages):
            yield f"columns.{name}: {problem}"
    id_columns = [mapping.columns[name] for name in each.id_columns(mapping) if name in mapping.columns]
    if id_columns and all(column.column is None for column in id_columns):
        yield f"columns.{each.id_columns(mapping)[0]}: is the same constant for all records; it must tell them apart"


def _problems_of_delta(each: CanonicalObject, mapping: TableMapping) -> Iterator[str]:
    """A database is asked for what changed since, so it must be able to tell."""
    version = mapping.columns.get(each.version)
    if each.version not in each.by_name:
        yield f"extent: {each.name} have no time of change that a delta could go by; say extent = 'full'"
    elif version is None or version.column is None:
        yield f"columns.{each.version}: a delta goes by it; name the column that holds it, or say extent = 'full'"
    elif pattern_of("moment", version, mapping):
        yield f"columns.{each.version}: a delta goes by it, and a database compares no formats; cast it in a query"


def _problems_of_column(
    each: CanonicalObject, name: str, mapping: ObjectMapping, stages: tuple[str, ...]
) -> Iterator[str]:
    canonical, column = each.by_name[name], mapping.columns[name]
    if column.format is not None:
        problem = _problem_of_format(column.format)
        if canonical.kind not in ("moment", "date"):
            yield f"format: is for dates and times; {name} is of type {canonical.kind}"
        elif problem:
            yield f"format: {problem}"
    if column.constant is not None:
        check = column_check(canonical, column, mapping, stages)
        value = cleaned(column.constant, column)
        reason = check(value) if check else None
        if reason or (canonical.required and not value):
            yield f"constant: {reason or 'is empty, and every record needs it'}"


def column_check(
    canonical: CanonicalColumn, column: Column, mapping: ObjectMapping, stages: tuple[str, ...]
) -> Check | None:
    """The check of the values of a mapped column; None where anything goes."""
    return check_for(
        canonical.kind,
        pattern=pattern_of(canonical.kind, column, mapping),
        decimal_mark=mapping.decimal_mark,
        choices=stages if canonical.kind == "stage" else canonical.choices,
    )


def _problem_of_format(pattern: str) -> str | None:
    unknown = [letter for letter in re.findall(r"%(.?)", pattern, re.DOTALL) if letter not in DIRECTIVES]
    if unknown:
        known = " ".join(f"%{letter}" for letter in sorted(DIRECTIVES))
        return f"expected a strptime pattern of {known}, found '%{unknown[0]}' in {pattern!r}"
    return None if "%" in pattern else f"expected a strptime pattern such as '%d.%m.%Y', found {pattern!r}"
