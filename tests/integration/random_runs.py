"""Companies, made up side by side, as the product and the model see them: one warehouse, night by night."""

import csv
import json
import shutil
from calendar import day_name
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from model_calendar import Calendar
from model_records import Company as Modelled
from model_records import Decisions, Stage, company_of, named
from model_runs import take_in
from random_companies import Told

from kpimart import pipeline
from kpimart.build import Build
from kpimart.paths import SEEDS
from kpimart.settings import Settings, load_settings

BASE_CURRENCY = "USD"
HOLIDAYS = "RU"
"""Days off in February and March, and days on which they are worked instead."""
DEFINITIONS = {
    "regular_window_days": 20,
    "regular_min_purchases": 2,
    "lost_after_days": 15,
    "stale_after_days": 10,
}
STAGES = {
    (pipeline_name, name): Stage(outcome, probability)
    for pipeline_name in ("default", "new", "renewals")
    for name, outcome, probability in (
        ("New", "open", Decimal("0.25") if pipeline_name == "new" else None),
        ("Offer", "open", Decimal("0.333")),
        ("Won", "won", None),
        ("Lost", "lost", None),
    )
}
VERSIONED = ("updated_at", "is_deleted")
COLUMNS = {
    "departments": ("id", "name", "parent", "updated_at"),
    "managers": ("id", "name", "department", "hired_on", "left_on", "updated_at"),
    "manager_assignments": ("manager", "department", "valid_from", "valid_to"),
    "deals": (
        *("id", "manager", "account", "pipeline", "stage", "product", "source", "amount", "currency", "created_at"),
        *("closed_at", "expected_close_on", "merged_into", *VERSIONED),
    ),
    "stage_changes": ("id", "deal", "stage", "changed_at", "updated_at"),
    "owner_changes": ("id", "deal", "manager", "changed_at", "updated_at"),
    "deal_splits": ("deal", "manager", "share", "valid_from", "is_overlay", "updated_at"),
    "targets": ("kpi_code", "entity_level", "entity", "period_grain", "period_start", "value", "set_at"),
    "leads": ("id", "manager", "account", "source", "created_at", "converted_at", "deal", *VERSIONED),
    "activities": (
        *("id", "type", "manager", "deal", "lead", "account", "created_at", "due_at", "occurred_at"),
        *VERSIONED,
    ),
}


def configuration(zone: ZoneInfo, calendar: Calendar) -> str:
    """kpimart.toml: every object in a file of its own, which brings what is new."""
    lines = [f'time_zone = "{zone.key}"', f'base_currency = "{BASE_CURRENCY}"', f'holidays = "{HOLIDAYS}"']
    lines += [f"fiscal_year_start = {calendar.first_month}"]
    if calendar.weeks:
        lines += [
            f'calendar = "{"-".join(map(str, calendar.weeks))}"',
            f'week_starts_on = "{day_name[calendar.first_weekday].lower()}"',
            f'fiscal_year_first_week = "{"nearest" if calendar.is_nearest else "containing"}"',
        ]
    lines += ["[definitions]"]
    lines += [f"{name} = {days}" for name, days in DEFINITIONS.items()]
    lines += ["[thresholds]", "max_quarantined_share = 0.0"]
    for position, ((pipeline_name, name), stage) in enumerate(STAGES.items()):
        lines += ["[[files.stages]]", f'pipeline = "{pipeline_name}"', f'name = "{name}"', f"position = {position}"]
        lines += [
            f'outcome = "{stage.outcome}"',
            *([f"probability = {stage.probability}"] if stage.probability else []),
        ]
    for name, columns in COLUMNS.items():
        mapped = ", ".join(f'{column} = "{column}"' for column in columns)
        lines += [f"[[files.{name}]]", f'file = "{name}.ndjson"', 'extent = "delta"', f"columns = {{ {mapped} }}"]
    return "\n".join(lines)


def decisions(zone: ZoneInfo, calendar: Calendar) -> Decisions:
    """The same for the model."""
    rates = tuple(
        (row["from_currency"], date.fromisoformat(row["valid_on"]), Decimal(row["rate"]))
        for row in _seed("exchange_rate")
        if row["to_currency"] == BASE_CURRENCY
    )
    holidays = {
        date.fromisoformat(row["day"]): row["is_working_day"] == "true"
        for row in _seed("holiday")
        if row["calendar"] == HOLIDAYS
    }
    return Decisions(
        zone=zone,
        base_currency=BASE_CURRENCY,
        stages={(named(pipeline_name), name): stage for (pipeline_name, name), stage in STAGES.items()},
        rates=rates,
        holidays=holidays,
        calendar=calendar,
        regular_window=timedelta(days=DEFINITIONS["regular_window_days"]),
        regular_purchases=DEFINITIONS["regular_min_purchases"],
        lost_after=timedelta(days=DEFINITIONS["lost_after_days"]),
        stale_after=timedelta(days=DEFINITIONS["stale_after_days"]),
    )


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def modelled(told: Iterable[Told], zone: ZoneInfo, calendar: Calendar) -> Modelled:
    """The companies as the model knows them when it was told all this."""
    records: dict[str, list[dict[str, Any]]] = {}
    for each in told:
        records.setdefault(each.object_name, []).append(each.row)
    return company_of(records, decisions(zone, calendar))


@dataclass(frozen=True)
class Night:
    """The tables of a build, in a file of their own."""

    build: Build
    tables: Path


class Warehouse:
    """A home of the product, which is told of things night by night."""

    def __init__(self, root: Path, zone: ZoneInfo, calendar: Calendar) -> None:
        self._root = root
        (root / "export").mkdir(parents=True)
        (root / "kpimart.toml").write_text(configuration(zone, calendar))
        self.settings: Settings = load_settings(root / "kpimart.toml", home=root / "home")

    def take_in(self, told: Iterable[Told]) -> None:
        """One package, accepted."""
        export = self._root / "export"
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
        for each in told:
            rows[each.object_name].append({column: each.row.get(column) for column in COLUMNS[each.object_name]})
        for name, several in rows.items():
            (export / f"{name}.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in several))
        take_in(self.settings, export)

    def build(self, as_of: datetime, *, known_at: datetime | None = None) -> Night:
        """Build, and keep the tables."""
        build = pipeline.build(self.settings, as_of=as_of, known_at=known_at)
        kept = self._root / f"{build.build_id}.kept"
        shutil.copy(build.database, kept)
        return Night(build, kept)
