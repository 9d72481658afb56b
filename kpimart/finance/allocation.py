"""From what was typed to targets: months of departments, and their managers', by the history that a release knows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import duckdb

from kpimart.finance.budget import COMPANY, Budget, Inputs, Key, Kpi, Period
from kpimart.finance.spreading import (
    DoesNotAddUp,
    Month,
    Seller,
    Tree,
    Weight,
    productivity,
    ramped_days,
    seasonal_rates,
    spread,
)
from kpimart.warehouse import open_database

CENT = Decimal("0.01")
"""What the targets of people are multiples of: a deal a year cannot be a whole deal in any month."""
PLACES = Decimal("1e-8")

EntityId = tuple[str, str]


@dataclass(frozen=True)
class Target:
    """What is set for a KPI, an entity and a period; value: for the whole of the period, None takes a target back."""

    kpi_code: str
    entity_level: str
    entity_key: str
    period_grain: str
    period_start: date
    value: Decimal | None

    @property
    def id(self) -> str:
        """The id of its record in raw."""
        parts = (self.kpi_code, self.entity_level, self.entity_key, self.period_grain, self.period_start.isoformat())
        return "|".join(parts)


class CannotBeSpread(Exception):
    """What is typed does not add up. key: the cell, or the month of an entity that its cells come to; rest: in it."""

    def __init__(self, key: Key, rest: Decimal, *, is_over_time: bool) -> None:
        super().__init__(f"{key}: {rest}")
        self.key = key
        self.rest = rest
        self.is_over_time = is_over_time


@dataclass(frozen=True)
class _Manager:
    department_id: str
    hired_on: date | None


@dataclass(frozen=True)
class _Known:
    """What a release knows of whom.

    history: the last three years' months that are over, of each KPI and entity. there: the days on which managers are
    there, and working days of the company, by month. last_months: the starts of the last twelve that are over.
    """

    history: Mapping[tuple[str, EntityId], tuple[Month, ...]]
    there: Mapping[tuple[EntityId, date], int]
    last_months: frozenset[date]
    managers: Mapping[str, _Manager]

    def last(self, kpi: Kpi, entity: EntityId) -> tuple[Month, ...]:
        """The last twelve months of a KPI and an entity; of a manager with the days on which they were there."""
        months = self.history.get((kpi.kpi_code, entity), ())
        return tuple(
            replace(month, days=self.there.get((entity, month.start), month.days))
            for month in months
            if month.start in self.last_months
        )


def allocate(database: Path, budget: Budget, inputs: Inputs) -> list[Target]:
    """The targets that inputs come to, in the order of KPIs, entities and months.

    database: of the release whose history is to say who gets how much. Raises CannotBeSpread.
    """
    with open_database(database) as connection:
        known = _read(connection)
    return [
        target
        for kpi in budget.kpis
        for target in _Allocation(budget, known, kpi).targets(
            {key: value for key, value in inputs.items() if key.kpi_code == kpi.kpi_code}
        )
    ]


def _read(connection: duckdb.DuckDBPyConnection) -> _Known:
    rows = connection.execute(
        """
        with months as (
            select
                month.period_start,
                month.working_days,
                -- months of 4 or 5 weeks too; the first year may have begun before the figures
                cast(round((month.period_start - year.period_start) / 30.44) as integer) + 1 as place
            from dim_period as month
            inner join dim_period as year
                on year.period_grain = 'year' and month.period_start between year.period_start and year.period_end
            where month.period_grain = 'month' and month.is_complete and month.is_covered
        )
        select
            figures.kpi_code, figures.entity_level, figures.entity_key,
            months.period_start, months.place, months.working_days, figures.value
        from kpi_value as figures
        inner join months using (period_start)
        where figures.period_grain = 'month' and figures.entity_level in ('company', 'department', 'manager')
        order by figures.kpi_code, figures.entity_level, figures.entity_key, months.period_start
        """
    ).fetchall()
    history: dict[tuple[str, EntityId], list[Month]] = {}
    starts = sorted({row[3] for row in rows})
    for code, level, key, start, place, days, value in rows:
        if start in starts[-36:]:
            history.setdefault((code, (level, key)), []).append(Month(start, place, days, value))
    there = connection.execute(
        """
        select distinct entity_level, entity_key, period_start, days_there
        from budget_input
        where scope = 'period' and period_grain = 'month' and entity_level in ('company', 'manager')
        """
    ).fetchall()
    managers = connection.execute(
        "select manager_id, department_id, hired_on from dim_manager where not is_inferred"
    ).fetchall()
    return _Known(
        history={key: tuple(months) for key, months in history.items()},
        there={((level, key), start): days for level, key, start, days in there},
        last_months=frozenset(starts[-12:]),
        managers={name: _Manager(department, hired_on) for name, department, hired_on in managers},
    )


class _Allocation:
    """The targets of one KPI."""

    def __init__(self, budget: Budget, known: _Known, kpi: Kpi) -> None:
        self.budget, self.known, self.kpi = budget, known, kpi

    def targets(self, inputs: Inputs) -> list[Target]:
        """Those of every entity that the inputs reach."""
        by_month: dict[Period, dict[str, Decimal]] = {}
        for entity in self.budget.entities:
            for month, value in self._months(entity.id, inputs).items():
                by_month.setdefault(month, {})[_name(entity.id)] = value
        found = [
            target for month, given in sorted(by_month.items(), key=_start) for target in self._people(month, given)
        ]
        return [*found, *self._taken_back(found)]

    # ------------------------------------------------------------------------------------------------------- over time

    def _months(self, entity: EntityId, inputs: Inputs) -> dict[Period, Decimal]:
        """The months of an entity that its own inputs come to."""
        names = {f"{period.grain} {period.start}": period for period in self.budget.year.periods}
        given = {
            name: inputs[key]
            for name, period in names.items()
            if (key := Key(self.kpi.kpi_code, *entity, period.grain, period.start)) in inputs
        }
        children = {
            name: [f"{part.grain} {part.start}" for part in self.budget.year.parts(period)]
            for name, period in names.items()
        }
        year = self.budget.year.year
        rates = self._season(entity)

        def weight(name: str) -> Weight:
            month = names[name]
            place = self.budget.year.of("month").index(month) + 1
            days = self._working_days(month)
            return (rates[place] if rates else Fraction(1)) * days

        try:
            found = spread(Tree(f"year {year.start}", children), given, weight, self.kpi.step)
        except DoesNotAddUp as error:
            period = names[error.whole]
            key = Key(self.kpi.kpi_code, *entity, period.grain, period.start)
            raise CannotBeSpread(key, error.rest, is_over_time=True) from error
        return {names[name]: value for name, value in found.items() if names[name].grain == "month"}

    def _season(self, entity: EntityId) -> dict[int, Weight] | None:
        """What a working day brings in each month of the year: to the entity, else to the company."""
        for whose in (entity, COMPANY):
            rates = seasonal_rates(self.known.history.get((self.kpi.kpi_code, whose), ()))
            if rates:
                return rates
        return None

    def _working_days(self, month: Period) -> int:
        return self.known.there.get((COMPANY, month.start), 0)

    # ----------------------------------------------------------------------------------------------------- over people

    @cached_property
    def _speed(self) -> dict[str, Weight]:
        """Manager → what they bring a day at full productivity."""
        sellers, peers = {}, {}
        for name, manager in self.known.managers.items():
            sellers[name] = Seller(manager.hired_on, self.known.last(self.kpi, ("manager", name)))
            peers[name] = [
                each for each, other in self.known.managers.items() if other.department_id == manager.department_id
            ]
        return productivity(sellers, peers)

    def _people(self, month: Period, given: Mapping[str, Decimal]) -> list[Target]:
        """The targets of a month: of the entities, and of the managers who will be there."""
        there = {
            name: Month(month.start, 0, days)
            for name in self.known.managers
            if (days := self.known.there.get((("manager", name), month.start), 0))
        }
        seats = {_name(("manager", name)): name for name in there}
        children = {
            _name(entity.id): [
                *(_name(child.id) for child in self.budget.children.get(entity.id, ())),
                *(seat for seat, name in seats.items() if self.known.managers[name].department_id == entity.key),
            ]
            for entity in self.budget.entities
        }

        def weight(name: str) -> Weight:
            if name not in seats:
                return self._of_department(name, month)
            manager = seats[name]
            return self._speed[manager] * ramped_days(self.known.managers[manager].hired_on, there[manager])

        tree = Tree(_name(COMPANY), children)
        try:
            found = spread(tree, given, weight, CENT, optional=seats)
        except DoesNotAddUp as error:
            key = Key(self.kpi.kpi_code, *_entity(error.whole), "month", month.start)
            raise CannotBeSpread(key, error.rest, is_over_time=False) from error
        return [
            self._target(_entity(name), month, found[name], there.get(seats.get(name, "")))
            for name in tree.nodes()
            if name in found
        ]

    def _of_department(self, name: str, month: Period) -> Weight:
        """What a department without managers would bring, by its last twelve months."""
        months = self.known.last(self.kpi, _entity(name))
        days = sum(each.days for each in months)
        brought = sum((Fraction(each.value or 0) for each in months), Fraction(0))
        return max(brought, Fraction(0)) / days * self._working_days(month) if days else Fraction(0)

    def _target(self, entity: EntityId, month: Period, value: Decimal, there: Month | None) -> Target:
        """A target is for the whole of the month: of who is there for a part of it, the rest is not asked for."""
        if there is not None and there.days < (days := self._working_days(month)):
            value = (value * days / there.days).quantize(PLACES, ROUND_HALF_UP)
        return Target(self.kpi.kpi_code, *entity, "month", month.start, value)

    def _taken_back(self, set_months: list[Target]) -> list[Target]:
        """Quarters, and the year, of which every month is set: from now on they are what their months sum to."""
        starts: dict[EntityId, set[date]] = {}
        for target in set_months:
            starts.setdefault((target.entity_level, target.entity_key), set()).add(target.period_start)
        return [
            Target(self.kpi.kpi_code, *entity, period.grain, period.start, None)
            for entity, months in starts.items()
            for period in self.budget.year.in_order
            if period.grain != "month"
            and {month.start for month in self.budget.months_of(self.budget.year.periods, period)} <= months
        ]


def _name(entity: EntityId) -> str:
    return "|".join(entity)


def _entity(name: str) -> EntityId:
    level, _, key = name.partition("|")
    return level, key


def _start(of: tuple[Period, object]) -> date:
    return of[0].start
