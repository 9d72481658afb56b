"""What a budget is made for: a year, its periods, the company and its departments, and what is known of each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import duckdb

from kpimart.errors import SettingsError
from kpimart.insight.forecast import FORECAST_KPIS
from kpimart.language import Language, said
from kpimart.publish.workbook import kpi_format
from kpimart.warehouse import open_database

COMPANY = ("company", "company")

Inputs = Mapping["Key", Decimal]


class Key(NamedTuple):
    """A cell: a KPI of an entity in a period."""

    kpi_code: str
    entity_level: str
    entity_key: str
    period_grain: str
    period_start: date


@dataclass(frozen=True)
class Kpi:
    """A KPI of the budget, named in the language of the workbook. `step`: what its figures are multiples of."""

    kpi_code: str
    name: str
    unit: str
    formula: str
    number_format: str

    @property
    def is_amount(self) -> bool:
        return self.unit not in ("count", "ratio", "days", "hours")

    @property
    def step(self) -> Decimal:
        return Decimal("0.01") if self.is_amount else Decimal(1)


@dataclass(frozen=True)
class Entity:
    """The company or a department; `depth`: its place in the tree, the company's is 0."""

    level: str
    key: str
    name: str
    depth: int

    @property
    def id(self) -> tuple[str, str]:
        return self.level, self.key


@dataclass(frozen=True)
class Period:
    """A month, quarter or year."""

    grain: str
    start: date
    end: date
    name: str
    is_complete: bool


@dataclass(frozen=True)
class Figures:
    """What is known of a cell, as `budget_input` has it; what is not known, or not there, is None."""

    complete_actual: Decimal | None = None
    outlook: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    plan: Decimal | None = None
    last_year: Decimal | None = None
    year_before_last: Decimal | None = None
    forecast: Decimal | None = None
    origin_on: date | None = None
    is_complete: bool = False


NOTHING = Figures()


@dataclass(frozen=True)
class Year:
    """The periods of a year: months and quarters in their order, and the year itself."""

    name: str
    periods: tuple[Period, ...]

    @cached_property
    def year(self) -> Period:
        return next(period for period in self.periods if period.grain == "year")

    def of(self, grain: str) -> list[Period]:
        return [period for period in self.periods if period.grain == grain]

    def parts(self, whole: Period) -> list[Period]:
        """The quarters of the year, the months of a quarter."""
        grain = {"year": "quarter", "quarter": "month"}.get(whole.grain)
        return [each for each in self.periods if each.grain == grain and whole.start <= each.start <= whole.end]

    @cached_property
    def in_order(self) -> list[Period]:
        """Each quarter after its months, the year after all."""
        width = {"month": 0, "quarter": 1, "year": 2}
        return sorted(self.periods, key=lambda period: (period.end, width[period.grain]))


@dataclass(frozen=True)
class Budget:
    """A year to plan, as a release knows it, and the year that goes on.

    entities: the company, then departments in the order of the tree; `children`: entity → those right below it.
    Somebody may sit beside them, so together they need not be all of it. figures: of both years; `to_date`: from the
    beginning of the year that goes on to the end of each of its months. managers: how many work for an entity on the
    release's last day.
    """

    year: Year
    running: Year
    kpis: tuple[Kpi, ...]
    entities: tuple[Entity, ...]
    children: Mapping[tuple[str, str], Sequence[Entity]]
    figures: Mapping[Key, Figures]
    to_date: Mapping[Key, Figures]
    managers: Mapping[tuple[str, str], int]

    def key(self, kpi: Kpi, entity: Entity, period: Period) -> Key:
        return Key(kpi.kpi_code, entity.level, entity.key, period.grain, period.start)

    def at(self, kpi: Kpi, entity: Entity, period: Period) -> Figures:
        return self.figures.get(self.key(kpi, entity, period), NOTHING)

    def below(self, entity: Entity) -> list[Entity]:
        """All entities below one that is made of others."""
        return [each for child in self.children.get(entity.id, ()) for each in (child, *self.below(child))]

    def months_of(self, periods: Sequence[Period], whole: Period) -> list[Period]:
        """The months among periods that lie in one."""
        return [
            each for each in periods if each.grain == "month" and whole.start <= each.start and each.end <= whole.end
        ]

    def is_open(self, period: Period) -> bool:
        """Whether it can still be planned: none of its months is over."""
        return not any(month.is_complete for month in self.months_of(self.year.periods, period))


def read_budget(database: Path, year: int, language: Language) -> Budget:
    """Read what a release knows for the budget of a year; raises SettingsError for a year that is not to be planned.

    year: as the company names it: 2027 is also FY2027.
    """
    with open_database(database) as connection:
        planned, running = _years(connection, year)
        entities, children = _entities(connection, language)
        return Budget(
            year=planned,
            running=running,
            kpis=_kpis(connection, language),
            entities=tuple(entities),
            children=children,
            figures=_figures(connection, "period", (planned, running)),
            to_date=_figures(connection, "year_to_date", (running,)),
            managers=_managers(connection, entities),
        )


def _years(connection: duckdb.DuckDBPyConnection, year: int) -> tuple[Year, Year]:
    rows = connection.execute(
        """
        select distinct period_grain, period_start, period_end, period_name, is_complete
        from budget_input
        where scope = 'period'
        order by period_start, period_end
        """
    ).fetchall()
    periods = [Period(*row) for row in rows]
    open_years = [period for period in periods if period.grain == "year" and not period.is_complete]
    asked = [period for period in open_years if period.name in (str(year), f"FY{year}")]
    if not asked:
        names = " and ".join(period.name for period in open_years) or "none"
        raise SettingsError(f"year {year} is not one that this release can plan, which are: {names}")
    planned, running = (
        Year(whole.name, tuple(each for each in periods if whole.start <= each.start <= whole.end))
        for whole in (asked[0], open_years[0])
    )
    return planned, running


def _kpis(connection: duckdb.DuckDBPyConnection, language: Language) -> tuple[Kpi, ...]:
    """Those of budget_input, the ones with a forecast first."""
    rows = connection.execute(
        f"""
        select kpi_code, catalogue.name_{language}, min(planned.unit), catalogue.formula, catalogue.unit, format
        from budget_input as planned
        inner join kpi_catalogue as catalogue using (kpi_code)
        group by all
        order by kpi_code
        """
    ).fetchall()
    kpis = [Kpi(code, name, unit, formula, kpi_format(kind, shown)) for code, name, unit, formula, kind, shown in rows]
    first = {code: place for place, code in enumerate(FORECAST_KPIS)}
    return tuple(sorted(kpis, key=lambda kpi: first.get(kpi.kpi_code, len(first))))


def _entities(
    connection: duckdb.DuckDBPyConnection, language: Language
) -> tuple[list[Entity], dict[tuple[str, str], list[Entity]]]:
    rows = connection.execute(
        """
        select
            department_id, department_name, parent_department_id
        from dim_department
        where not is_inferred and department_id in (select department_id from budget_input)
        order by department_name, department_id
        """
    ).fetchall()
    known = {row[0] for row in rows}
    below: dict[str | None, list[tuple[str, str]]] = {}
    for department_id, name, parent in rows:
        below.setdefault(parent if parent in known else None, []).append((department_id, name))
    entities = [Entity(*COMPANY, said("Company", language), 0)]
    children: dict[tuple[str, str], list[Entity]] = {}

    def add(above: Entity, department_id: str | None) -> None:
        for part, name in below.get(department_id, []):
            entity = Entity("department", part, name, above.depth + 1)
            entities.append(entity)
            children.setdefault(above.id, []).append(entity)
            add(entity, part)

    add(entities[0], None)
    return entities, children


def _figures(connection: duckdb.DuckDBPyConnection, scope: str, years: Sequence[Year]) -> dict[Key, Figures]:
    rows = connection.execute(
        """
        select
            kpi_code, entity_level, entity_key, period_grain, period_start,
            complete_actual, outlook, outlook_low_80, outlook_high_80, plan, last_year, year_before_last, forecast,
            forecast_origin_on, is_complete
        from budget_input
        where
            scope = ? and entity_level in ('company', 'department')
            and (period_start between ? and ? or period_start between ? and ?)
        """,
        [scope, *(day for year in (years[0], years[-1]) for day in (year.year.start, year.year.end))],
    ).fetchall()
    return {Key(*row[:5]): Figures(*row[5:]) for row in rows}


def _managers(connection: duckdb.DuckDBPyConnection, entities: Sequence[Entity]) -> dict[tuple[str, str], int]:
    """How many people sell for each entity on the release's last day; a department's include those below it."""
    counted = dict(
        connection.execute(
            """
            select closure.ancestor_department_id, count(*)
            from dim_manager as manager
            cross join (select max(period_start) as day from dim_period where period_grain = 'day') as last
            inner join dim_department_closure as closure
                on
                    manager.department_id = closure.department_id
                    and closure.valid_from <= last.day and closure.valid_to > last.day
            where
                not manager.is_inferred
                and coalesce(manager.hired_on <= last.day, true) and coalesce(manager.left_on > last.day, true)
            group by closure.ancestor_department_id
            """
        ).fetchall()
    )
    top = sum(counted.get(entity.key, 0) for entity in entities if entity.depth == 1)
    return {entity.id: top if entity.id == COMPANY else counted.get(entity.key, 0) for entity in entities}
