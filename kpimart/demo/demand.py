"""Where deals come from: leads, prospecting, customers who buy again, subscriptions that end."""

from collections.abc import Callable
from datetime import timedelta

from kpimart.demo.accounts import Accounts
from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.clock import is_working_day, moment
from kpimart.demo.crm import Account, Crm, Deal, Lead, Manager
from kpimart.demo.selling import Selling
from kpimart.demo.staff import TEAMS, Staff
from kpimart.demo.world import (
    BUYING_HABITS,
    DEMAND_BY_MONTH,
    DEMAND_BY_WEEKDAY,
    DEMAND_GROWTH,
    EXISTING_CUSTOMER,
    LEAD_CONVERSION,
    LEAD_SOURCES,
    PIPELINES,
    PRODUCTS,
    PROSPECTING,
    Department,
    Product,
)

# What every founder brings into the new CRM.
OPEN_DEALS_TAKEN_OVER = 8
CUSTOMERS_TAKEN_OVER = 12
TAKEN_OVER = "Taken over"

LEAD_AT_ANY_HOUR = 0.25
LEAD_LOGGED_AFTER_CALL = 0.04
LEAD_NEVER_ANSWERED = 0.08
LEAD_OF_KNOWN_ACCOUNT = 0.1
PROSPECT_WITHOUT_ACCOUNT = 0.25

CUSTOMER_LAPSES = 0.2
SUBSCRIPTION_ENDS = 365
RENEWAL_AHEAD = 60
RENEWAL_DUE = 0.75


class Demand:
    """Brings in what managers can sell, day by day."""

    def __init__(
        self, crm: Crm, agenda: Agenda, chance: Chance, *, staff: Staff, accounts: Accounts, selling: Selling
    ) -> None:
        self._crm = crm
        self._agenda = agenda
        self._chance = chance
        self._staff = staff
        self._accounts = accounts
        self._selling = selling
        self._opened_on = agenda.today

    def take_over(self) -> None:
        """Enter the customers and the open deals of the time before the CRM."""
        for manager in self._crm.managers:
            for _ in range(OPEN_DEALS_TAKEN_OVER):
                self._take_over_deal(manager)
            for _ in range(CUSTOMERS_TAKEN_OVER):
                self._take_over_customer(manager)

    def _take_over_deal(self, manager: Manager) -> None:
        """A deal somewhere on its way; when it was created nobody wrote down."""
        account = self._accounts.add(manager)
        pipeline = PIPELINES[manager.department.new_pipeline]
        self._selling.open_deal(
            manager,
            account,
            pipeline,
            source=TAKEN_OVER,
            currency=account.currency,
            stage=self._chance.choice(pipeline.open_stages),
            is_older_than_crm=True,
        )

    def _take_over_customer(self, manager: Manager) -> None:
        """A customer whose next purchase is on its way, or whose subscription ends within the year."""
        account = self._accounts.add(manager)
        self._plan_next_purchase(account)
        product = self._chance.choice(PRODUCTS)
        if product.is_subscription:
            self._later(account, SUBSCRIPTION_ENDS * self._chance.random(), self._renew, product)

    def begin_day(self) -> None:
        """Enter the leads of the day at their hours, and what managers prospect themselves."""
        today = self._agenda.today
        years = (today - self._opened_on).days / 365
        season = DEMAND_BY_MONTH[today.month - 1] * DEMAND_BY_WEEKDAY[today.weekday()] * DEMAND_GROWTH**years
        for team in TEAMS:
            for _ in range(self._chance.number(team.leads_a_day * season)):
                at_any_hour = self._chance.happens(LEAD_AT_ANY_HOUR) or not is_working_day(today)
                hours = 24 * self._chance.random()
                arrives = moment(today, hours) if at_any_hour else self._chance.working_moment(team, today)
                self._agenda.at(arrives, self._receive_lead, team)
            if is_working_day(today):
                for _ in range(self._chance.number(team.prospects_a_day * season)):
                    self._agenda.at(self._chance.working_moment(team, today), self._prospect, team)

    def buy_again(self, deal: Deal) -> None:
        """A won deal makes a customer, who may come back, and whose subscription will end."""
        account = deal.account
        if account is None:
            return
        self._plan_next_purchase(account)
        if deal.product.is_subscription and self._chance.happens(RENEWAL_DUE):
            self._later(account, SUBSCRIPTION_ENDS - RENEWAL_AHEAD, self._renew, deal.product)

    # ------------------------------------------------------------------ leads

    def _receive_lead(self, team: Department) -> None:
        manager = self._chance.choice(self._crm.members(team))
        now = self._agenda.now
        lead = self._crm.add_lead(manager, self._chance.one_of(LEAD_SOURCES), now=now)
        if self._chance.happens(LEAD_LOGGED_AFTER_CALL):
            # The call came first, and was written down together with the lead.
            called = now - timedelta(minutes=self._chance.randrange(5, 90))
            self._crm.log("call", manager, occurred_at=called, now=now, lead=lead)
            self._plan_decision(lead)
        elif not self._chance.happens(LEAD_NEVER_ANSWERED):
            answers = self._chance.moment_after(self._agenda, team, self._chance.around(team.response_days))
            self._agenda.at(answers, self._answer, lead)

    def _answer(self, lead: Lead) -> None:
        kind = "call" if self._chance.happens(0.6) else "email"
        self._crm.log(kind, lead.manager, occurred_at=self._agenda.now, now=self._agenda.now, lead=lead)
        self._plan_decision(lead)

    def _plan_decision(self, lead: Lead) -> None:
        team = lead.manager.department
        self._agenda.at(self._chance.moment_after(self._agenda, team, self._chance.around(6)), self._decide, lead)

    def _decide(self, lead: Lead) -> None:
        """Make a deal of the lead, or let it rest."""
        manager = lead.manager
        lead.is_settled = True
        if not self._chance.happens(LEAD_CONVERSION[lead.source] * self._staff.strength(manager) ** 0.4):
            return
        account = self._known_account(manager) if self._chance.happens(LEAD_OF_KNOWN_ACCOUNT) else None
        account = account or self._accounts.add(manager)
        deal = self._open_new(manager, account, source=lead.source, lead=lead)
        self._crm.convert(lead, deal, now=self._agenda.now)

    def _known_account(self, manager: Manager) -> Account | None:
        """One of the accounts that the manager looks after, if a few random tries meet one."""
        tries = (self._chance.choice(self._crm.accounts) for _ in range(20))
        return next((account for account in tries if account.manager is manager), None)

    def _prospect(self, team: Department) -> None:
        manager = self._chance.choice(self._crm.members(team))
        is_vague = self._chance.happens(PROSPECT_WITHOUT_ACCOUNT)
        self._open_new(manager, None if is_vague else self._accounts.add(manager), source=PROSPECTING)

    def _open_new(self, manager: Manager, account: Account | None, *, source: str, lead: Lead | None = None) -> Deal:
        currency = account.currency if account else self._accounts.currency_of_somebody(manager)
        return self._selling.open_new_deal(manager, account, source=source, currency=currency, lead=lead)

    # ------------------------------------------------------------------ customers

    def _plan_next_purchase(self, account: Account) -> None:
        """At most one next purchase is on its way; every purchase may have been the last."""
        _, mean_days = BUYING_HABITS[account.habit]
        if mean_days is None or account.is_about_to_buy or self._chance.happens(CUSTOMER_LAPSES):
            return
        account.is_about_to_buy = True
        self._later(account, self._chance.around(mean_days), self._come_back)

    def _come_back(self, account: Account) -> None:
        account.is_about_to_buy = False
        self._open_new(account.manager, account, source=EXISTING_CUSTOMER)

    def _renew(self, account: Account, product: Product) -> None:
        self._selling.open_deal(
            account.manager,
            account,
            PIPELINES["renewals"],
            source=EXISTING_CUSTOMER,
            currency=account.currency,
            product=product,
        )

    def _later(self, account: Account, days: float, action: Callable[..., None], *args: Product) -> None:
        when = self._chance.moment_after(self._agenda, account.manager.department, days)
        self._agenda.at(when, action, account, *args)
