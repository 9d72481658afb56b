"""The companies that may buy: invented names, where they are, and how they will buy."""

from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.crm import Account, Crm, Manager
from kpimart.demo.world import AWKWARD_ACCOUNT, BASE_CURRENCY, BRANCHES, BUYING_HABITS, COUNTRIES, SEGMENTS

SUBSIDIARY = 0.05
HABIT_WEIGHTS = {habit: share for habit, (share, _) in BUYING_HABITS.items()}


class Accounts:
    """Writes new accounts into the CRM, each under a name of its own."""

    def __init__(self, crm: Crm, agenda: Agenda, chance: Chance) -> None:
        self._crm = crm
        self._agenda = agenda
        self._chance = chance
        self._names: set[str] = set()

    def currency_of_somebody(self, manager: Manager) -> str:
        return "USD" if self._chance.happens(manager.department.dollar_share) else BASE_CURRENCY

    def add(self, manager: Manager, *, currency: str | None = None) -> Account:
        """A new account in a country where the manager's department sells."""
        country = self._chance.choice(manager.department.countries)
        return self._crm.add_account(
            self._name(country),
            segment=self._chance.one_of(SEGMENTS),
            country=country,
            currency=currency or self.currency_of_somebody(manager),
            parent=self._parent(country),
            manager=manager,
            habit=self._chance.one_of(HABIT_WEIGHTS),
            now=self._agenda.now,
        )

    def _parent(self, country: str) -> Account | None:
        """Now and then, a company of the same country that belongs to nobody itself."""
        if not self._crm.accounts or not self._chance.happens(SUBSIDIARY):
            return None
        candidate = self._chance.choice(self._crm.accounts)
        return candidate if candidate.country == country and candidate.parent is None else None

    def _name(self, country: str) -> str:
        """Family and branch, with the city where the first is taken, numbered where that is taken too."""
        if not self._names:
            self._names.add(AWKWARD_ACCOUNT)
            return AWKWARD_ACCOUNT
        of = COUNTRIES[country]
        family, branch, city = (self._chance.choice(parts) for parts in (of.families, BRANCHES, of.cities))
        name = f"{family} {branch} {of.legal_form}"
        if name in self._names:
            name = f"{family} {branch} {city} {of.legal_form}"
        number = 2
        while name in self._names:
            name = f"{family} {branch} {city} {number} {of.legal_form}"
            number += 1
        self._names.add(name)
        return name
