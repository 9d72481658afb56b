"""Targets: set for a year in December, for a quarter by manager, corrected in July."""

from datetime import date

from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.clock import month_start
from kpimart.demo.crm import Crm, Manager, TargetKey
from kpimart.demo.staff import TEAMS
from kpimart.demo.world import DEPARTMENTS, PLAN_GROWTH, SALES_BY_MONTH, Department

COMPANY = "company"
EUROS_A_NEW_CUSTOMER = 45_000
STEP = 500


class Planning:
    """Writes targets of won_amount (in euros) and new_customers into the CRM, by month."""

    def __init__(self, crm: Crm, agenda: Agenda, chance: Chance) -> None:
        self._crm = crm
        self._agenda = agenda
        self._chance = chance
        self._opened_on = agenda.today

    def found(self) -> None:
        """Plan what is left of the first year, and the next one if it is due."""
        today = self._agenda.today
        self._plan_departments(today.year, from_month=today.month)
        self._plan_managers()
        if today.month == 12:
            self._plan_departments(today.year + 1)

    def begin_month(self) -> None:
        today = self._agenda.today
        if today.month == 12:
            self._plan_departments(today.year + 1)
        if today.month == 7:
            self._plan_departments(today.year, from_month=7, correction=self._chance.choice((0.9, 0.95, 1.05)))
        if today.month % 3 == 1:
            self._plan_managers()

    def _plan_departments(self, year: int, *, from_month: int = 1, correction: float = 1.0) -> None:
        """Teams by their own plan, what lies above them as their sum, the company as the sum of all."""
        for month in range(from_month, 13):
            first = date(year, month, 1)
            own = {team.id: self._plan(team, first, correction) for team in TEAMS}
            for department in DEPARTMENTS:
                self._set("department", department.id, first, sum(own.get(part.id, 0) for part in _subtree(department)))
            self._set(COMPANY, COMPANY, first, sum(own.values()))

    def _plan_managers(self) -> None:
        """The rest of the quarter for everyone who is there."""
        first = month_start(self._agenda.today)
        months_left = 3 - (first.month - 1) % 3
        for team in TEAMS:
            members = self._crm.members(team)
            for months in range(months_left):
                month = month_start(first, months)
                for manager in members:
                    self._set_own(manager, month, self._plan(team, month, 1.0) / len(members))

    def _set_own(self, manager: Manager, first: date, euros: float) -> None:
        key = TargetKey("won_amount", "manager", manager.id, first)
        self._crm.set_target(key, _in_steps(euros), now=self._agenda.now)

    def _plan(self, team: Department, first: date, correction: float) -> int:
        """Euros of a month."""
        growth: float = PLAN_GROWTH ** ((first - self._opened_on).days / 365)
        return _in_steps(team.plan * SALES_BY_MONTH[first.month - 1] * growth * correction)

    def _set(self, level: str, entity: str, first: date, euros: int) -> None:
        customers = round(euros / EUROS_A_NEW_CUSTOMER)
        self._crm.set_target(TargetKey("won_amount", level, entity, first), euros, now=self._agenda.now)
        self._crm.set_target(TargetKey("new_customers", level, entity, first), customers, now=self._agenda.now)


def _in_steps(euros: float) -> int:
    return round(euros / STEP) * STEP


def _subtree(department: Department) -> list[Department]:
    below = [part for child in DEPARTMENTS if child.parent == department.id for part in _subtree(child)]
    return [department, *below]
