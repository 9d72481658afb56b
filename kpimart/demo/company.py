"""The company lives: every day brings demand, every month changes among the staff and in the plans."""

from datetime import date

from kpimart.demo.accounts import Accounts
from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.clock import DAY, midnight
from kpimart.demo.crm import Crm, Deal
from kpimart.demo.demand import Demand
from kpimart.demo.planning import Planning
from kpimart.demo.selling import Selling
from kpimart.demo.staff import Staff


class Company:
    """A sales department from the day on which it began to use its CRM.

    Deterministic: the same seed and opening day give the same records, however many steps `advance` takes.
    """

    def __init__(self, *, seed: int, opened_on: date) -> None:
        self.crm = Crm()
        self._agenda = Agenda(opened_on)
        chance = Chance(seed)
        parts = self.crm, self._agenda, chance
        self._staff = Staff(*parts)
        self._planning = Planning(*parts)
        accounts = Accounts(*parts)
        selling = Selling(*parts, staff=self._staff, accounts=accounts, on_won=self._won)
        self._demand = Demand(*parts, staff=self._staff, accounts=accounts, selling=selling)
        self._agenda.at(midnight(opened_on), self._open)

    def advance(self, to: date) -> None:
        """Live on until the beginning of `to`; does nothing if that is over."""
        self._agenda.advance(to)

    def _open(self) -> None:
        self._staff.found()
        self._planning.found()
        self._demand.take_over()
        self._live_day()

    def _begin_day(self) -> None:
        if self._agenda.today.day == 1:
            self._staff.begin_month()
            self._planning.begin_month()
        self._live_day()

    def _live_day(self) -> None:
        self._demand.begin_day()
        self._agenda.at(midnight(self._agenda.today + DAY), self._begin_day)

    def _won(self, deal: Deal) -> None:
        self._demand.buy_again(deal)
