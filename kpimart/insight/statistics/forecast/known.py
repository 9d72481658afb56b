"""The series that forecasts are made of, as they were known at the end of each month, and who adds up to whom then."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

SEASON = 12
"""Months in a year, of every calendar."""


@dataclass(frozen=True)
class Entity:
    """Whose figures: the company, a department or a manager."""

    level: str
    key: str


COMPANY = Entity("company", "company")
LEVELS = ("company", "department", "manager")


@dataclass(frozen=True)
class Organisation:
    """Who adds up to whom at the end of a month.

    managers: rows (in `Known.entities`) of those employed then. departments: the rows of those that they sit in. nodes:
    rows of all who have one of them below, these included. sums: nodes × managers, 1 where the manager's figures are a
    part of the node's.
    """

    managers: Integers
    departments: Integers
    nodes: Integers
    sums: Floats


@dataclass(frozen=True)
class Known:
    """Monthly figures of all entities, as they were known at the end of each month.

    changes: KPI → entities × months × months: what is added to the figure of a month (second axis) at the end of
    another, not before it (third). organisations: of each month's end.
    """

    entities: tuple[Entity, ...]
    changes: Mapping[str, Floats]
    organisations: tuple[Organisation, ...]

    @property
    def months(self) -> int:
        """How many months are over."""
        return len(self.organisations)

    def at(self, kpi_code: str, origin: int) -> Floats:
        """Entities × months through the origin: the figures as they were known at its end."""
        return self._known[kpi_code][:, : origin + 1, origin]

    @cached_property
    def _known(self) -> dict[str, Floats]:
        # In cents again: what comes to nothing must be nothing.
        return {kpi_code: np.round(changes.cumsum(axis=2), 2) for kpi_code, changes in self.changes.items()}

    def begun(self, origin: int) -> Integers:
        """The first month in which anything of an entity counts, as it was known; that after the origin if none."""
        return self._begun[origin]

    @cached_property
    def _begun(self) -> list[Integers]:
        company, begun = self.rows("company"), []
        for origin in range(self.months):
            is_there = np.any([self.at(kpi_code, origin) != 0 for kpi_code in self.changes], axis=0)
            first = np.where(is_there.any(axis=1), is_there.argmax(axis=1), origin + 1)
            # What is there of the company is there of all months.
            first[company] = 0
            begun.append(first)
        return begun

    def rows(self, level: str) -> Integers:
        """The rows of the entities of a level."""
        return np.array([row for row, entity in enumerate(self.entities) if entity.level == level], dtype=np.int64)


_ENTITIES = """
select entity_level, entity_key from finance.forecast_input
union
select entity_level, entity_key from finance.forecast_seat
union
select entity_level, entity_key from finance.forecast_pipeline
order by entity_level, entity_key
"""
_CHANGES = """
select entity_level, entity_key, period_number, known_number, cast(change as double) as change
from finance.forecast_input
where kpi_code = $kpi_code and known_number < $months
"""
_SEATS = """
select period_number, manager_id, department_id, entity_level, entity_key
from finance.forecast_seat
order by period_number, manager_id
"""


def read_known(connection: duckdb.DuckDBPyConnection, kpi_codes: tuple[str, ...]) -> Known:
    """What the models of the layer `finance` tell of the months that are over."""
    entities = tuple(Entity(*row) for row in connection.execute(_ENTITIES).fetchall())
    places = {entity: row for row, entity in enumerate(entities)}
    ((months,),) = connection.execute("select count(*) from finance.forecast_month where is_complete").fetchall()
    changes = {}
    for kpi_code in kpi_codes:
        changes[kpi_code] = np.zeros((len(entities), months, months))
        asked = {"kpi_code": kpi_code, "months": months}
        for level, key, month, known, change in connection.execute(_CHANGES, asked).fetchall():
            changes[kpi_code][places[Entity(level, key)], month, known] = change
    seats: list[list[Seat]] = [[] for _ in range(months)]
    for month, manager, department, level, key in connection.execute(_SEATS).fetchall():
        seats[month].append(Seat(manager, department, Entity(level, key)))
    return Known(entities, changes, tuple(organisation_of(seated, entities) for seated in seats))


@dataclass(frozen=True)
class Seat:
    """A manager, the department where they sit, and an entity that their figures count for."""

    manager: str
    department: str
    entity: Entity


def organisation_of(seats: list[Seat], entities: tuple[Entity, ...]) -> Organisation:
    """Who adds up to whom, of the seats of one moment."""
    places = {entity: row for row, entity in enumerate(entities)}
    department_of = {
        places[Entity("manager", seat.manager)]: places[Entity("department", seat.department)] for seat in seats
    }
    managers, nodes = sorted(department_of), sorted({places[seat.entity] for seat in seats})
    column_of = {row: column for column, row in enumerate(managers)}
    row_of = {row: number for number, row in enumerate(nodes)}
    sums = np.zeros((len(nodes), len(managers)))
    for seat in seats:
        sums[row_of[places[seat.entity]], column_of[places[Entity("manager", seat.manager)]]] = 1
    return Organisation(
        managers=np.array(managers, dtype=np.int64),
        departments=np.array([department_of[row] for row in managers], dtype=np.int64),
        nodes=np.array(nodes, dtype=np.int64),
        sums=sums,
    )
