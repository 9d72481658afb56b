"""The life of a deal: it advances, skips, falls back, slips, is won or lost, and is sometimes opened again."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from zlib import crc32

from kpimart.demo.accounts import Accounts
from kpimart.demo.agenda import Agenda, Chance
from kpimart.demo.clock import DAY, month_end, quarter_end, working_day_from, working_day_until
from kpimart.demo.crm import Account, Crm, Deal, Lead, Manager, Plan
from kpimart.demo.staff import Staff
from kpimart.demo.world import (
    ACTIVITIES,
    BASE_CURRENCY,
    EXISTING_CUSTOMER,
    LOSS_REASONS,
    PIPELINES,
    PRODUCTS,
    Pipeline,
    Product,
    Stage,
)

PRODUCT_WEIGHTS = {product: product.weight for product in PRODUCTS}
CENTS = 100

AMOUNT_KNOWN_EARLY = 0.85
CLOSE_DATE_KNOWN = 0.9
OFFER_PROBABILITY = 0.5
DISCOUNTED = 0.3
DISCOUNTS = (0.03, 0.05, 0.075, 0.1, 0.125)
DUPLICATED = 0.006

PLANNED = 0.6

FALLS_BACK = 0.05
SKIPS = 0.07
FORGOTTEN = 0.04
RECONSIDERED = {"won": 0.015, "lost": 0.04}
BUNCHED = 0.45
PULLED_FORWARD = 0.35
CLOSE_DATE_KEPT_CURRENT = 0.8

# A customer knows the product: better odds, a shorter way.
CUSTOMER_STRENGTH = 1.6
CUSTOMER_PACE = 0.6


class Selling:
    """Opens deals and leads each of them through its pipeline. `on_won` is told of every win."""

    def __init__(
        self,
        crm: Crm,
        agenda: Agenda,
        chance: Chance,
        *,
        staff: Staff,
        accounts: Accounts,
        on_won: Callable[[Deal], None],
    ) -> None:
        self._crm = crm
        self._agenda = agenda
        self._plan_numbers = count(1)
        self._chance = chance
        self._staff = staff
        self._accounts = accounts
        self._on_won = on_won

    def open_deal(
        self,
        manager: Manager,
        account: Account | None,
        pipeline: Pipeline,
        *,
        source: str,
        currency: str,
        product: Product | None = None,
        lead: Lead | None = None,
        stage: Stage | None = None,
        is_older_than_crm: bool = False,
    ) -> Deal:
        """Open a deal now; from here on it runs by itself."""
        product = product or self._chance.one_of(PRODUCT_WEIGHTS)
        deal = self._crm.open_deal(
            manager,
            account,
            pipeline,
            product,
            source=source,
            currency=currency,
            amount=self._amount(manager, product, currency) if self._chance.happens(AMOUNT_KNOWN_EARLY) else None,
            expected_close_on=self._expected_close(pipeline) if self._chance.happens(CLOSE_DATE_KNOWN) else None,
            now=self._agenda.now,
            lead=lead,
            stage=stage,
            is_older_than_crm=is_older_than_crm,
        )
        self._plan_next_step(deal)
        self._watch_close_date(deal)
        return deal

    def open_new_deal(
        self, manager: Manager, account: Account | None, *, source: str, currency: str, lead: Lead | None = None
    ) -> Deal:
        """Open a deal in the pipeline of the manager's department; now and then it is entered twice."""
        pipeline = PIPELINES[manager.department.new_pipeline]
        deal = self.open_deal(manager, account, pipeline, source=source, currency=currency, lead=lead)
        if self._chance.happens(DUPLICATED):
            self._agenda.at(self._agenda.now + timedelta(minutes=3), self._enter_again, deal)
        return deal

    def _enter_again(self, deal: Deal) -> None:
        """A duplicate, there until it is noticed."""
        twin = self._crm.open_deal(
            deal.manager,
            deal.account,
            deal.pipeline,
            deal.product,
            source=deal.source,
            currency=deal.currency,
            amount=deal.amount,
            expected_close_on=deal.expected_close_on,
            now=self._agenda.now,
            duplicate_of=deal,
        )
        noticed = self._chance.moment_after(self._agenda, deal.manager.department, 1 + self._chance.around(3))
        self._agenda.at(noticed, self._tidy_up, twin)

    def _tidy_up(self, twin: Deal) -> None:
        """Merged if the deal came from a lead, so that nothing of the lead's trail is lost; else deleted."""
        came_from_lead = twin.duplicate_of is not None and twin.duplicate_of.lead is not None
        tidy_up = self._crm.merge_away if came_from_lead else self._crm.delete
        tidy_up(twin, now=self._agenda.now)

    # ------------------------------------------------------------------ amounts and dates

    def _amount(self, manager: Manager, product: Product, currency: str) -> int:
        """An order of about the product's price, in cents; first amounts are round ones."""
        units = product.price * manager.department.deal_size * self._chance.spread(0.5)
        if currency != BASE_CURRENCY:
            units *= 1.1
        return max(round(units / 10), 10) * 10 * CENTS

    def _expected_close(self, pipeline: Pipeline) -> date:
        """The usual length of the pipeline from today, and often simply the end of that month."""
        usual = sum(stage.days for stage in pipeline.open_stages)
        day = self._agenda.today + timedelta(days=round(usual * (0.6 + 0.8 * self._chance.random())))
        return month_end(day) if self._chance.happens(0.4) else working_day_from(day)

    def _watch_close_date(self, deal: Deal) -> None:
        if deal.expected_close_on:
            day_after = working_day_from(max(deal.expected_close_on, self._agenda.today) + DAY)
            review = self._chance.working_moment(deal.manager.department, day_after)
            self._agenda.at(review, self._review_close_date, deal)

    def _review_close_date(self, deal: Deal) -> None:
        """A close date that has passed is moved; some managers never look."""
        if not deal.is_open or deal.expected_close_on is None or deal.expected_close_on >= self._agenda.today:
            return
        if self._chance.happens(CLOSE_DATE_KEPT_CURRENT):
            later = self._agenda.today + timedelta(days=self._chance.randrange(10, 50))
            self._crm.move_close_date(deal, working_day_from(later), now=self._agenda.now)
            self._watch_close_date(deal)

    # ------------------------------------------------------------------ steps

    def _plan_next_step(self, deal: Deal) -> None:
        """Enter the end of the stay that begins now, and the activities within it."""
        days = self._chance.around(deal.stage.days)
        if deal.source == EXISTING_CUSTOMER:
            days *= CUSTOMER_PACE
        if self._chance.happens(FORGOTTEN):
            days += self._chance.randrange(60, 200)
        is_last = deal.stage is deal.pipeline.open_stages[-1]
        ends = self._bunched(days) if is_last else days
        team = deal.manager.department
        for _ in range(self._chance.number(deal.stage.touches)):
            touches = self._chance.moment_after(self._agenda, team, days * self._chance.random())
            self._agenda.at(touches, self._touch, deal, self._planned(deal, touches))
        self._agenda.at(self._chance.moment_after(self._agenda, team, ends), self._step, deal)

    def _bunched(self, days: float) -> float:
        """Deals that could close around the end of a quarter tend to close in its last days."""
        today = self._agenda.today
        day = today + timedelta(days=days)
        this_end, last_end = quarter_end(day), quarter_end(day - timedelta(days=16))
        if this_end - day < timedelta(days=25) and self._chance.happens(BUNCHED):
            day = working_day_until(this_end - self._chance.randrange(6) * DAY)
        elif last_end != this_end and last_end > today and self._chance.happens(PULLED_FORWARD):
            day = working_day_until(last_end - self._chance.randrange(4) * DAY)
        return max((day - today).days, 0) + days % 1

    def _planned(self, deal: Deal, due_at: datetime) -> Plan | None:
        """What is written down of a step that is to come, if it is; decided by its number, which takes no chance."""
        number = f"N-{next(self._plan_numbers):06}"
        if crc32(number.encode()) % 1000 >= PLANNED * 1000:
            return None
        return self._crm.plan(number, deal, due_at=due_at, now=self._agenda.now)

    def _touch(self, deal: Deal, plan: Plan | None) -> None:
        if deal.is_open:
            kind, now = self._chance.one_of(ACTIVITIES), self._agenda.now
            self._crm.log(kind, deal.manager, occurred_at=now, now=now, deal=deal, plan=plan)

    def _step(self, deal: Deal) -> None:
        """The stay in a stage is over: back, on, past one, or out."""
        if not deal.is_open:
            return
        stages = (*deal.pipeline.open_stages, deal.pipeline.won)
        position = stages.index(deal.stage)
        if position > 0 and self._chance.happens(FALLS_BACK):
            self._enter(deal, stages[position - 1])
        elif not self._chance.happens(self._odds_of_advance(deal)):
            self._lose(deal)
        else:
            steps = 2 if self._chance.happens(SKIPS) else 1
            self._enter(deal, stages[min(position + steps, len(stages) - 1)])

    def _odds_of_advance(self, deal: Deal) -> float:
        strength = self._staff.strength(deal.manager)
        if deal.source == EXISTING_CUSTOMER:
            strength *= CUSTOMER_STRENGTH
        odds = deal.stage.advance / (1 - deal.stage.advance) * strength
        return odds / (1 + odds)

    def _enter(self, deal: Deal, stage: Stage) -> None:
        self._fill_in(deal, stage)
        self._crm.enter_stage(deal, stage, now=self._agenda.now)
        if stage.outcome == "open":
            self._plan_next_step(deal)
        else:
            self._plan_reconsidering(deal)
            self._on_won(deal)

    def _fill_in(self, deal: Deal, stage: Stage) -> None:
        """What must be known by now: the amount from the first offer on, the account too unless the deal is lost."""
        is_offered = stage.probability >= OFFER_PROBABILITY
        amount = deal.amount
        if amount is None and (is_offered or stage.outcome == "lost"):
            amount = self._amount(deal.manager, deal.product, deal.currency)
        if deal.account is None and is_offered:
            deal.account = self._accounts.add(deal.manager, currency=deal.currency)
        if amount and stage is deal.pipeline.open_stages[-1] and self._chance.happens(DISCOUNTED):
            amount = round(amount * (1 - self._chance.choice(DISCOUNTS)))
        if amount is not None and amount != deal.amount:
            self._crm.set_amount(deal, amount, now=self._agenda.now)

    def _lose(self, deal: Deal) -> None:
        self._fill_in(deal, deal.pipeline.lost)
        reason = self._chance.one_of(LOSS_REASONS)
        self._crm.enter_stage(deal, deal.pipeline.lost, now=self._agenda.now, loss_reason=reason)
        self._plan_reconsidering(deal)

    def _plan_reconsidering(self, deal: Deal) -> None:
        """Some orders are cancelled and some losses come back."""
        if self._chance.happens(RECONSIDERED[deal.stage.outcome]):
            back = self._chance.moment_after(self._agenda, deal.manager.department, 3 + self._chance.around(25))
            self._agenda.at(back, self._reopen, deal)

    def _reopen(self, deal: Deal) -> None:
        if deal.manager.left_on:
            self._staff.hand_over(deal)
        self._crm.enter_stage(deal, deal.pipeline.open_stages[-1], now=self._agenda.now)
        self._plan_next_step(deal)
        self._watch_close_date(deal)
