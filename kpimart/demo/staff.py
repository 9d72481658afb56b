"""People come, move and go, and what they leave behind is handed over."""

from datetime import date, timedelta

from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.clock import DAY, midnight, moment, month_start, working_day_from
from kpimart.demo.crm import Crm, Deal, Manager
from kpimart.demo.world import DEPARTMENTS, PEOPLE, Department

TEAMS = tuple(department for department in DEPARTMENTS if department.founders)
SMALLEST_TEAM = 3
LEAVES_IN_A_MONTH = 0.0085
MOVE_IN_A_MONTH = 0.16
GROWTH_HIRE_IN_A_MONTH = 0.1
HANDED_OVER_IN_A_MONTH = 0.015
KEPT_ON_A_MOVE = 0.5
PROBATION = timedelta(days=90)


class Staff:
    """Hirings, leavings, moves between departments, and deals that change hands."""

    def __init__(self, crm: Crm, agenda: Agenda, chance: Chance) -> None:
        self._crm = crm
        self._agenda = agenda
        self._chance = chance
        self._leaving: list[Manager] = []

    def found(self) -> None:
        """Take over those who were there before the CRM."""
        for team in TEAMS:
            for _ in range(team.founders):
                self._take_on(team, self._agenda.today - self._chance.randrange(200, 3000) * DAY)

    def begin_month(self) -> None:
        """Decide who goes, moves or comes this month; moves and handovers take effect at once, on its first day."""
        for manager in self._crm.managers:
            if manager.left_on is None and self._chance.happens(LEAVES_IN_A_MONTH):
                self._announce_leaving(manager)
        if self._chance.happens(MOVE_IN_A_MONTH):
            self._move_somebody()
        if self._chance.happens(GROWTH_HIRE_IN_A_MONTH):
            self._plan_hiring(min(TEAMS, key=self._manning), days=10)
        for deal in self._crm.deals:
            if deal.is_open and self._chance.happens(HANDED_OVER_IN_A_MONTH):
                self.hand_over(deal)

    def strength(self, manager: Manager) -> float:
        """How well a manager sells today; newcomers still learn."""
        is_new = self._agenda.today - manager.hired_on < PROBATION
        return manager.department.strength * manager.skill * (0.7 if is_new else 1.0)

    def hand_over(self, deal: Deal) -> None:
        """Give a deal to another manager of its owner's department, if there is one."""
        self._hand_over_within(deal, deal.manager.department)

    def _take_on(self, team: Department, hired_on: date) -> Manager:
        name = PEOPLE[len(self._crm.managers) % len(PEOPLE)]
        return self._crm.hire(name, team, skill=self._chance.spread(0.15), hired_on=hired_on, now=self._agenda.now)

    def _plan_hiring(self, team: Department, *, days: int) -> None:
        day = working_day_from(self._agenda.today + days * DAY)
        self._agenda.at(midnight(day), self._hire, team)

    def _hire(self, team: Department) -> None:
        self._take_on(team, self._agenda.today)

    def _announce_leaving(self, manager: Manager) -> None:
        """The last day lies in this month; by then a colleague must be left to take over."""
        if manager in self._leaving or self._remaining(manager.department) < SMALLEST_TEAM:
            return
        self._leaving.append(manager)
        last_day = working_day_from(month_start(self._agenda.today) + self._chance.randrange(25) * DAY)
        self._agenda.at(moment(last_day, manager.department.working_hours[0] + 2), self._leave, manager)

    def _remaining(self, team: Department) -> int:
        return sum(manager not in self._leaving for manager in self._crm.members(team))

    def _manning(self, team: Department) -> float:
        """How the team's size compares with what it was in the beginning."""
        return self._remaining(team) / team.founders

    def _leave(self, manager: Manager) -> None:
        today = self._agenda.today
        self._crm.leave(manager, left_on=today, day_after=today + DAY, now=self._agenda.now)
        self._pass_on(manager, manager.department, share=1.0)
        self._plan_hiring(manager.department, days=self._chance.randrange(15, 80))

    def _move_somebody(self) -> None:
        """Somebody changes department on the first of the month, and takes half of the open deals along."""
        large = [team for team in TEAMS if self._remaining(team) > SMALLEST_TEAM]
        settled = [m for team in large for m in self._crm.members(team) if m not in self._leaving]
        if not settled:
            return
        manager = self._chance.choice(settled)
        old = manager.department
        new = min((team for team in TEAMS if team is not old), key=self._manning)
        self._crm.move(manager, new, moved_on=self._agenda.today, now=self._agenda.now)
        self._pass_on(manager, old, share=1 - KEPT_ON_A_MOVE)

    def _pass_on(self, manager: Manager, team: Department, *, share: float) -> None:
        """Hand a share of the open deals, and all accounts and unsettled leads, to colleagues in a department."""
        for deal in self._crm.deals:
            if deal.manager is manager and deal.is_open and (share == 1 or self._chance.happens(share)):
                self._hand_over_within(deal, team)
        colleagues = [colleague for colleague in self._crm.members(team) if colleague is not manager]
        for account in self._crm.accounts:
            if account.manager is manager:
                self._crm.entrust(account, self._chance.choice(colleagues), now=self._agenda.now)
        for lead in self._crm.leads:
            if lead.manager is manager and not lead.is_settled:
                lead.manager, lead.updated_at = self._chance.choice(colleagues), self._agenda.now

    def _hand_over_within(self, deal: Deal, team: Department) -> None:
        colleagues = [manager for manager in self._crm.members(team) if manager is not deal.manager]
        if colleagues:
            self._crm.hand_over(deal, self._chance.choice(colleagues), now=self._agenda.now)
