"""Every KPI of a company once more, from the definitions, in plain Python and sharing no code with the product.

`figures` goes from records (model_records) to what happened to each deal (model_deals), from there to what each manager
is credited with in each cut, and from sums over these to KPIs, at every grain, for every entity. Money is counted in
cents and parts of deals in millionths, so that all sums are whole numbers.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cache, cached_property
from statistics import median
from typing import NamedTuple

from model_calendar import GRAINS, ONE_DAY, Period
from model_deals import Fact, Life, Standing
from model_records import UNASSIGNED, Company, Split, Trees
from model_targets import Plan

MILLION = 1_000_000
COHORT_DAYS = 90
WORKING_HOURS = (9, 18)
COMPLETABLE = 3
"""Account, amount, and expected close date of an open deal."""


@dataclass(frozen=True)
class Kpi:
    """Sums of products of measures, one over another where `under` is given; `sample`: the measures it rests on."""

    over: str
    sample: str
    under: str | None = None
    finest_grain: str = "week"
    is_money: bool = False
    maturity: timedelta = timedelta(0)

    @cached_property
    def grains(self) -> tuple[str, ...]:
        """Those that it is published at."""
        return GRAINS[GRAINS.index(self.finest_grain) :]


def _money(over: str, sample: str, under: str | None = None, finest_grain: str = "week") -> Kpi:
    return Kpi(over, sample, under, finest_grain, is_money=True)


CLOSED = "won_deals + lost_deals"
KPIS = {
    "won_amount": _money("won_amount", "won_deals", finest_grain="day"),
    "won_deals": Kpi("won_deals", "won_deals", finest_grain="day"),
    "lost_deals": Kpi("lost_deals", "lost_deals", finest_grain="day"),
    "closed_deals": Kpi(CLOSED, CLOSED, finest_grain="day"),
    "avg_won_amount": _money("won_amount", "won_deals", "won_deals", "day"),
    "created_deals": Kpi("created_deals", "created_deals", finest_grain="day"),
    "created_amount": _money("created_amount", "created_deals", finest_grain="day"),
    "win_rate": Kpi("won_deals", CLOSED, CLOSED, "day"),
    "win_rate_value": Kpi("won_amount", CLOSED, "won_amount + lost_amount"),
    "win_rate_cohort_90d": Kpi(
        "won_within_90d", "created_deals", "created_deals", maturity=timedelta(days=COHORT_DAYS)
    ),
    "leads_created": Kpi("leads", "leads", finest_grain="day"),
    "lead_conversion": Kpi("leads_converted", "leads", "leads"),
    "sales_cycle_days": Kpi("cycle_days", "deals_with_cycle", "deals_with_cycle"),
    "sales_cycle_days_median": Kpi("cycle_days_median", "deals_with_cycle"),
    "sales_velocity": _money(
        "open_deals * won_amount * deals_with_cycle", CLOSED, "won_deals * cycle_days + lost_deals * cycle_days"
    ),
    "open_deals": Kpi("open_deals", "open_deals"),
    "open_amount": _money("open_amount", "open_deals"),
    "weighted_open_amount": _money("weighted_open_amount", "open_deals"),
    "stale_open_share": Kpi("stale_open_deals", "open_deals", "open_deals"),
    "slipped_amount": _money("slipped_amount", "slipped_deals", finest_grain="day"),
    "data_completeness": Kpi("filled_fields", "open_deals", f"{COMPLETABLE} * open_deals"),
    "new_customers": Kpi("first_purchases", "first_purchases", finest_grain="day"),
    "repeat_deals": Kpi("repeat_purchases", "repeat_purchases", finest_grain="day"),
    "active_customers": Kpi("active_customers", "active_customers"),
    "repeat_customers": Kpi("repeat_customers", "repeat_customers"),
    "regular_customers": Kpi("regular_customers", "regular_customers"),
    "potential_customers": Kpi("potential_customers", "potential_customers"),
    "lost_customers": Kpi("lost_customers", "lost_customers"),
    "repeat_rate": Kpi("repeat_customers", "active_customers", "active_customers"),
    "returning_amount_share": Kpi("repeat_purchase_amount", "won_deals", "won_amount"),
    "reopened_deals": Kpi("reopened_deals", "reopened_deals"),
    "lost_amount": _money("lost_amount", "lost_deals"),
    "avg_created_amount": _money("created_amount", "created_deals", "created_deals"),
    "avg_open_amount": _money("open_amount", "open_deals_of_known_value", "open_deals_of_known_value"),
    "new_customer_amount": _money("first_purchase_amount", "first_purchases", finest_grain="day"),
    "leads_converted": Kpi("leads_converted", "leads_converted"),
    "first_response_hours": Kpi("response_hours", "leads_answered", "leads_answered"),
    "lead_response_share": Kpi("leads_answered", "leads", "leads"),
    "plan_attainment": Kpi("won_amount", "won_deals", "planned_amount", "month"),
    "pipeline_coverage": Kpi("open_amount", "open_deals", "planned_amount", "month"),
    "next_step_share": Kpi("deals_with_next_step", "deals_that_may_have_one", "deals_that_may_have_one"),
    "activities": Kpi("activities", "activities", finest_grain="day"),
    "calls": Kpi("calls", "calls", finest_grain="day"),
    "meetings": Kpi("meetings", "meetings", finest_grain="day"),
    "emails": Kpi("emails", "emails", finest_grain="day"),
    "activities_per_won_deal": Kpi("activities", "won_deals", "won_deals"),
}
AMOUNTS = {
    "won_amount": "won_deals",
    "created_amount": "created_deals",
    "slipped_amount": "slipped_deals",
    "repeat_purchase_amount": "repeat_purchases",
    "first_purchase_amount": "first_purchases",
    "open_amount": "open_deals",
    "weighted_open_amount": "open_deals",
}
"""Sum of money → the count of what it is over: 0 over nothing, not known where something is and none of it known."""
ACTIVITIES = {"call": "calls", "meeting": "meetings", "email": "emails"}

COARSE = GRAINS[2:]


class Cut(NamedTuple):
    """Who is credited, how amounts are converted, and what deals are told apart by."""

    lens: str
    basis: str
    by: str
    value: str


class Cell(NamedTuple):
    """Where a figure stands."""

    kpi: str
    cut: Cut
    grain: str
    start: date
    level: str
    key: str


class Figure(NamedTuple):
    """What stands there. `numerator` and `denominator` are of quotients only."""

    end: date
    is_complete: bool
    numerator: Decimal | None
    denominator: Decimal | None
    value: Decimal | None
    sample_size: Decimal


class Seat(NamedTuple):
    """Who is credited, where they sit, and the tree that this department is seen in."""

    manager: str
    department: str
    tree: int


class Entity(NamedTuple):
    level: str
    key: str


class Credit(NamedTuple):
    """A manager's part of something, in millionths, and of its amount on each basis, in cents."""

    lens: str
    seat: Seat
    share: int
    amounts: Mapping[str, int | None]


MAIN = Cut("at_event", "booking", "all", "all")
WHOLE_COMPANY = Entity("company", "company")
UNCHANGED_LENSES = ("at_event", "current_owner", "split")
NO_AMOUNT: Mapping[str, int | None] = {"booking": None, "constant": None, "native": None}
Properties = Mapping[str, str]


def figures(company: Company, as_of: datetime, first_day: date) -> dict[Cell, Figure]:
    """Every figure in every cut, as of a moment; `first_day` is the first on which anything happened."""
    model = _Model(company, as_of, first_day)
    model.credit_everything()
    return dict(model.figures())


# ---------------------------------------------------------------------------------------------------------- money


def convert(cents: int | None, rate: Decimal) -> int | None:
    """Once, rounded to cents, half of one away from zero."""
    return None if cents is None else int((cents * rate).quantize(Decimal(1), ROUND_HALF_UP))


def apportion(whole: int, weights: list[tuple[str, int]], total: int) -> dict[str, int]:
    """Parts that sum to the whole: cut off, and what is left to the largest remainders, of equal ones by name."""
    parts = {name: abs(whole) * weight // total for name, weight in weights}
    left = abs(whole) - sum(parts.values())
    by_remainder = sorted(weights, key=lambda each: (-(abs(whole) * each[1] % total), each[0]))
    for name, _ in by_remainder[:left]:
        parts[name] += 1
    return {name: part if whole >= 0 else -part for name, part in parts.items()}


class Shares:
    """How a deal is shared, day by day, in millionths."""

    def __init__(self, splits: Iterable[Split]) -> None:
        sets: dict[bool, dict[date, dict[str, int]]] = {False: {}, True: {}}
        for split in splits:
            parts = sets[split.is_overlay].setdefault(split.valid_from, defaultdict(int))
            parts[split.manager] += int(split.share * 100 * MILLION)
        self._shared = sorted((day, self._of_one(parts)) for day, parts in sets[False].items())
        self._on_top = sorted(
            (day, {who: part // 100 for who, part in parts.items() if part // 100}) for day, parts in sets[True].items()
        )

    @staticmethod
    def _of_one(parts: Mapping[str, int]) -> dict[str, int]:
        known = [(who, part) for who, part in parts.items() if part > 0]
        shares = apportion(MILLION, known, sum(part for _, part in known)) if known else {}
        return {who: share for who, share in shares.items() if share}

    def shared(self, day: date) -> dict[str, int]:
        """Manager → share, summing to a million; empty where nobody shares it."""
        return self._on(self._shared, day)

    def on_top(self, day: date) -> dict[str, int]:
        """Manager → share that comes on top."""
        return self._on(self._on_top, day)

    @staticmethod
    def _on(sets: list[tuple[date, dict[str, int]]], day: date) -> dict[str, int]:
        return next((shares for first, shares in reversed(sets) if first <= day), {})


# ---------------------------------------------------------------------------------------------------------- model


class _Model:
    def __init__(self, company: Company, as_of: datetime, first_day: date) -> None:
        self._company = company
        self._decisions = company.decisions
        self._as_of = as_of
        self._last_day = company.decisions.day(as_of - timedelta(microseconds=1))
        self._trees = Trees(company, as_of, self._last_day)
        self._lives = [life for life in (Life(deal, company.decisions) for deal in company.deals) if life.is_there]
        self._next_steps = defaultdict(list)
        for step in company.next_steps:
            self._next_steps[step.deal].append(step)
        self._shares = {deal.deal_id: Shares(deal.splits) for deal in company.deals if deal.splits}
        days = [first_day + number * ONE_DAY for number in range((self._last_day - first_day).days + 1)]
        self._period_of = company.decisions.calendar.period_of
        self._plan = Plan(company, as_of, first_day)
        self._over: dict[date, bool] = {}
        self._periods = {grain: sorted({self._period_of(grain, day) for day in days}) for grain in GRAINS}
        self._sums: dict[tuple[Cut, Period, Seat], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._accounts: dict[tuple[Cut, Period, Seat], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._wins: dict[tuple[Cut, Period, Seat], list[tuple[str, int, int]]] = defaultdict(list)

    def credit_everything(self) -> None:
        self._number_purchases()
        for life in self._lives:
            self._credit_facts(life)
            self._credit_evenings(life)
        self._credit_purchases()
        self._credit_leads()
        self._credit_activities()

    # ------------------------------------------------------------------------------------------------------- credit

    def _seat(self, manager: str, day: date) -> Seat:
        return Seat(manager, self._company.department(manager, day), self._trees.number(day))

    @cached_property
    def _seats_now(self) -> dict[str, Seat]:
        """Deal → who has it now, and where they sit now."""
        return {life.deal_id: self._seat(life.owner_before(self._as_of), self._last_day) for life in self._lives}

    def _credits(self, deal_id: str, manager: str, day: date, amounts: Mapping[str, int | None]) -> Iterator[Credit]:
        """Who is credited with something of a day, in every lens."""
        owner = self._seat(manager, day)
        yield Credit("at_event", owner, MILLION, amounts)
        yield Credit("current_owner", self._seats_now[deal_id], MILLION, amounts)
        shares = self._shares.get(deal_id)
        shared = shares.shared(day) if shares else {}
        if not shared:
            yield Credit("split", owner, MILLION, amounts)
        parts = {
            basis: None if amount is None else apportion(amount, list(shared.items()), MILLION)
            for basis, amount in amounts.items()
        }
        for who, share in shared.items():
            mine = {basis: part and part[who] for basis, part in parts.items()}
            yield Credit("split", self._seat(who, day), share, mine)
        for who, share in (shares.on_top(day) if shares else {}).items():
            extra = {basis: convert(amount, Decimal(share) / MILLION) for basis, amount in amounts.items()}
            yield Credit("overlay", self._seat(who, day), share, extra)

    def _in_cuts(self, credit: Credit, properties: Properties) -> Iterator[tuple[Cut, int | None]]:
        """Each cut that something of a credit is in, and its amount there."""
        yield Cut(credit.lens, "booking", "all", "all"), credit.amounts["booking"]
        if credit.lens == "at_event":
            yield Cut("at_event", "constant", "all", "all"), credit.amounts["constant"]
            for by in ("pipeline", "product", "lead_source"):
                yield Cut("at_event", "booking", by, properties.get(by) or "(none)"), credit.amounts["booking"]
            yield (
                Cut("at_event", "native", "currency", properties.get("currency") or "(none)"),
                credit.amounts["native"],
            )

    @staticmethod
    def _grains(cut: Cut) -> tuple[str, ...]:
        return GRAINS if cut == MAIN else COARSE

    def _cells(self, cut: Cut, day: date, seat: Seat) -> Iterator[tuple[Cut, Period, Seat]]:
        for grain in self._grains(cut):
            yield cut, self._period_of(grain, day), seat

    @staticmethod
    def _properties(life: Life, currency: str) -> Properties:
        last = life.last_version
        known = {"pipeline": last.pipeline, "product": last.product, "lead_source": last.source, "currency": currency}
        return {by: value for by, value in known.items() if value}

    # -------------------------------------------------------------------------------------------------------- events

    def _credit_facts(self, life: Life) -> None:
        won_on = self._won_on(life)
        created_on = self._decisions.day(life.created_at) if life.created_at and life.created_at < self._as_of else None
        for fact in life.facts:
            if fact.occurred_at >= self._as_of:
                continue
            day, credited_on = self._decisions.day(fact.occurred_at), self._decisions.day(fact.credited_at)
            counted = set(self._counts_of(life, fact))
            if fact.kind == "created" and won_on and created_on and (won_on - created_on).days <= COHORT_DAYS:
                counted.add("won_within_90d")
            cycle = (credited_on - created_on).days if fact.kind == "won" and created_on else None
            properties = self._properties(life, fact.currency)
            for credit in self._credits(life.deal_id, fact.manager, credited_on, self._booked(fact, credited_on)):
                for cut, amount in self._in_cuts(credit, properties):
                    for key in self._cells(cut, day, credit.seat):
                        self._count(self._sums[key], counted, fact.sign, credit.share, amount)
                        if cycle is not None:
                            self._sums[key]["deals_with_cycle"] += fact.sign * credit.share
                            self._sums[key]["cycle_days"] += fact.sign * credit.share * cycle
                            self._wins[key].append((life.deal_id, fact.sign, cycle))

    def _counts_of(self, life: Life, fact: Fact) -> Iterator[str]:
        yield f"{fact.kind}_deals"
        number = self._purchase_numbers.get(life.deal_id)
        if fact.kind == "won" and number:
            yield "first_purchases" if number == 1 else "repeat_purchases"

    @staticmethod
    def _count(sums: dict[str, int], counted: Iterable[str], sign: int, share: int, amount: int | None) -> None:
        """Count it under each name, and its amount beside it."""
        for name in counted:
            sums[name] += sign * share
            sums[f"{name}, amount"] += sign * (amount or 0)
            sums[f"{name}, known"] += sign * share * (amount is not None)
            sums[f"{name}, worthless"] += sign * share * (not amount)

    def _booked(self, fact: Fact, day: date) -> Mapping[str, int | None]:
        return self._amounts(fact.amount, fact.currency, day)

    def _amounts(self, amount: int | None, currency: str, day: date) -> Mapping[str, int | None]:
        if amount is None:
            return NO_AMOUNT
        return {
            "booking": convert(amount, self._decisions.rate(currency, day)),
            "constant": convert(amount, self._decisions.latest_rate(currency, self._last_day)),
            "native": amount,
        }

    def _won_on(self, life: Life) -> date | None:
        """The day of the last win that nothing took back by now."""
        net: dict[date, int] = defaultdict(int)
        for fact in life.facts:
            if fact.kind == "won" and fact.occurred_at < self._as_of:
                net[self._decisions.day(fact.credited_at)] += fact.sign
        return max((day for day, wins in net.items() if wins > 0), default=None)

    # ------------------------------------------------------------------------------------------------------ evenings

    @cached_property
    def _evenings(self) -> list[tuple[date, datetime, list[Period]]]:
        """Last days of periods, the moment at which each ends for the figures, and the periods."""
        ending: dict[date, list[Period]] = defaultdict(list)
        for grain in GRAINS[1:]:
            for period in self._periods[grain]:
                ending[min(period.end, self._last_day)].append(period)
        return [
            (day, min(self._decisions.moment(day + ONE_DAY), self._as_of), periods)
            for day, periods in sorted(ending.items())
        ]

    @cached_property
    def _evening_days(self) -> list[date]:
        return [day for day, _, _ in self._evenings]

    def _credit_evenings(self, life: Life) -> None:
        last = life.last_evening(self._last_day)
        for day, moment, periods in self._evenings[bisect_left(self._evening_days, life.first_evening) :]:
            if day > last:
                break
            standing = life.standing(moment)
            if standing:
                steps = self._next_steps.get(life.deal_id, ())
                has_next_step = any(step.planned_from < moment <= step.planned_until for step in steps)
                self._credit_standing(life, standing, day, periods, has_next_step)

    def _credit_standing(
        self, life: Life, standing: Standing, day: date, periods: list[Period], has_next_step: bool
    ) -> None:
        version = standing.version
        amounts = self._amounts(version.amount, version.currency, life.booked_on)
        stage = self._decisions.stages.get((life.last_version.pipeline, standing.stage or ""))
        chance = stage.probability if stage else None
        weighted = {basis: None if chance is None else convert(cents, chance) for basis, cents in amounts.items()}
        entered_on = standing.stage_entered_on
        is_stale = entered_on is not None and day - entered_on > self._decisions.stale_after
        filled = [version.account, version.amount, version.expected_close_on]
        is_prospect = version.account and not self._first_bought_on.get(version.account, date.max) <= day
        properties = self._properties(life, version.currency)
        whole_credits = self._credits(life.deal_id, standing.manager, day, amounts)
        weighted_credits = self._credits(life.deal_id, standing.manager, day, weighted)
        for credit, weighted_credit in zip(whole_credits, weighted_credits, strict=True):
            cuts = zip(self._in_cuts(credit, properties), self._in_cuts(weighted_credit, properties), strict=True)
            for (cut, amount), (_, weighted_amount) in cuts:
                for period in periods:
                    if period.grain not in self._grains(cut):
                        continue
                    sums = self._sums[cut, period, credit.seat]
                    self._count(sums, ["open_deals"], 1, credit.share, amount)
                    if amount is not None:
                        sums["open_deals_of_known_value"] += credit.share
                    sums["weighted, amount"] += weighted_amount or 0
                    sums["weighted, known"] += weighted_amount is not None
                    sums["filled_fields"] += credit.share * sum(each is not None for each in filled)
                    sums["stale_open_deals"] += credit.share * is_stale
                    sums["deals_with_next_step"] += credit.share * has_next_step
                    # Where no step was ever planned, nobody tells of any.
                    sums["deals_that_may_have_one"] += credit.share * bool(self._next_steps)
                    if is_prospect:
                        self._accounts[cut, period, credit.seat]["potential_customers"].add(version.account)  # type: ignore[arg-type]

    # ----------------------------------------------------------------------------------------------------- customers

    def _number_purchases(self) -> None:
        """Deals won from an account, the first time each, over the whole company; a later reopening leaves them."""
        by_account: dict[str, list[tuple[datetime, str, Life, Fact]]] = defaultdict(list)
        for life in self._lives:
            account = life.last_version.account
            if account and life.standing_wins:
                win = life.standing_wins[0]
                by_account[account].append((win.occurred_at, life.deal_id, life, win))
        for purchases in by_account.values():
            purchases.sort(key=lambda each: each[:2])
        self._purchases = by_account
        self._purchase_numbers = {
            deal_id: number
            for purchases in by_account.values()
            for number, (_, deal_id, _, _) in enumerate(purchases, start=1)
        }
        self._first_bought_on = {
            account: self._decisions.day(purchases[0][0])
            for account, purchases in by_account.items()
            if purchases[0][0] < self._as_of
        }

    def _credit_purchases(self) -> None:
        decisions = self._decisions
        for account, purchases in self._purchases.items():
            days = [decisions.day(won_at) for won_at, _, _, _ in purchases]
            for place, (won_at, _, life, win) in enumerate(purchases):
                if won_at >= self._as_of:
                    break
                counted = ["active_customers"] + ["repeat_customers"] * (place > 0)
                earliest = place - decisions.regular_purchases + 1
                if earliest >= 0 and days[earliest] > days[place] - decisions.regular_window:
                    counted.append("regular_customers")
                self._credit_customer(account, life, win, days[place], days[place], counted)
                lapses_on = days[place] + decisions.lost_after
                is_last = place + 1 == len(purchases) or days[place + 1] > lapses_on
                if is_last and lapses_on <= self._last_day:
                    self._credit_customer(account, life, win, days[place], lapses_on, ["lost_customers"])

    def _credit_customer(
        self, account: str, life: Life, win: Fact, won_on: date, day: date, counted: list[str]
    ) -> None:
        """Count the account on a day for those who won the deal from it."""
        properties = self._properties(life, "")
        for credit in self._credits(life.deal_id, win.manager, won_on, NO_AMOUNT):
            for cut, _ in self._in_cuts(credit, properties):
                for key in self._cells(cut, day, credit.seat):
                    for name in counted:
                        self._accounts[key][name].add(account)

    # -------------------------------------------------------------------------------------------- leads and activities

    def _credit_work(self, manager: str, day: date, properties: Properties, counted: Mapping[str, int]) -> None:
        """What is done is credited to who did it, whoever a deal is credited to."""
        for lens in UNCHANGED_LENSES:
            credit = Credit(lens, self._seat(manager, day), MILLION, NO_AMOUNT)
            for cut, _ in self._in_cuts(credit, properties):
                for key in self._cells(cut, day, credit.seat):
                    for name, value in counted.items():
                        self._sums[key][name] += value

    def _credit_leads(self) -> None:
        answers = self._answers()
        for lead in self._company.leads:
            if lead.created_at and lead.created_at < self._as_of:
                counted = {"leads": MILLION}
                if lead.converted_at and lead.converted_at < self._as_of:
                    counted["leads_converted"] = MILLION
                answered_at = [*answers[lead.lead_id], *(answers[lead.deal] if lead.deal else [])]
                first = min((moment for moment in answered_at if moment >= lead.created_at), default=None)
                if first:
                    counted["leads_answered"] = MILLION
                    counted["response_hours"] = self._working_hours(lead.created_at, first)
                day = self._decisions.day(lead.created_at)
                self._credit_work(lead.manager, day, {"lead_source": lead.source} if lead.source else {}, counted)

    def _answers(self) -> dict[str, list[datetime]]:
        """Lead or deal → when somebody did something for it; to note what is to be done is no answer."""
        answers: dict[str, list[datetime]] = defaultdict(list)
        for activity in self._company.activities:
            if activity.kind != "task" and activity.occurred_at < self._as_of:
                for served in (activity.lead, activity.deal):
                    if served:
                        answers[served].append(activity.occurred_at)
        return answers

    def _working_hours(self, since: datetime, until: datetime) -> int:
        """Hours between nine and six on working days, in millionths, rounded to hundredths once."""
        decisions = self._decisions
        seconds = Decimal(0)
        day = decisions.day(since)
        while day <= decisions.day(until):
            if decisions.is_working_day(day):
                opens, closes = (decisions.moment(day, hour) for hour in WORKING_HOURS)
                worked = min(until, closes) - max(since, opens)
                seconds += Decimal(max(worked, timedelta(0)) // timedelta(seconds=1))
            day += ONE_DAY
        return int((seconds / 3600).quantize(Decimal("0.01"), ROUND_HALF_UP) * MILLION)

    def _credit_activities(self) -> None:
        standing = {life.deal_id: life for life in self._lives if self._stands(life)}
        for activity in self._company.activities:
            if activity.occurred_at < self._as_of:
                life = standing.get(activity.deal or "")
                properties = self._properties(life, "") if life else {}
                counted = {"activities": MILLION}
                if activity.kind in ACTIVITIES:
                    counted[ACTIVITIES[activity.kind]] = MILLION
                self._credit_work(activity.manager, self._decisions.day(activity.occurred_at), properties, counted)

    def _stands(self, life: Life) -> bool:
        """Whether there is such a deal by now: it was created, or is closed."""
        is_created = life.created_at is None or life.created_at < self._as_of
        closings = sum(
            fact.sign for fact in life.facts if fact.kind in ("won", "lost") and fact.occurred_at < self._as_of
        )
        return is_created or closings > 0

    # ------------------------------------------------------------------------------------------------------- figures

    def _entities(self, seat: Seat) -> Iterator[Entity]:
        """The company, the departments, the manager, and the manager in the department that a seat counts for."""
        yield WHOLE_COMPANY
        for department in self._trees.departments_above(seat.department, seat.tree):
            yield Entity("department", department)
        yield Entity("manager", seat.manager)
        yield Entity("manager_in_department", f"{seat.manager}|{seat.department}")

    def _employed(self) -> set[tuple[Period, Entity]]:
        """Who was employed in which period of a month or more; the company is always there."""
        found = {(period, WHOLE_COMPANY) for grain in COARSE for period in self._periods[grain]}
        for manager, employment in self._company.employments.items():
            for first, after, seat in self._stretches(manager):
                if seat is None:
                    continue
                first_there = max(first, employment.hired_on)
                last_there = min(after - ONE_DAY, employment.left_on)
                for grain in COARSE:
                    for period in self._periods[grain]:
                        if max(first_there, period.start) <= min(last_there, period.end):
                            found.update((period, entity) for entity in self._entities(seat))
        return found

    def _stretches(self, manager: str) -> Iterator[tuple[date, date, Seat | None]]:
        """First day, day after the last, and seat of a manager in one tree; None while nothing is known of them."""
        seats = self._company.seats.get(manager, [])
        turns = sorted({day for day, _ in seats} | set(self._trees.reorganisations))
        is_ever_seated = any(department != UNASSIGNED for _, department in seats)
        for first, after in zip(turns, [*turns[1:], date(9999, 12, 31)], strict=True):
            seat = self._seat(manager, first)
            is_known = seat.department != UNASSIGNED or not is_ever_seated
            yield first, after, seat if is_known else None

    def figures(self) -> Iterator[tuple[Cell, Figure]]:
        totals = self._totals()
        employed = self._employed()
        for cut, period, entity in totals.sums.keys() | totals.accounts.keys() | {(MAIN, *each) for each in employed}:
            measures = totals.measures(cut, period, entity)
            measures["planned_amount"] = (
                self._plan.planned(period.grain, period.start, *entity)
                if cut == MAIN and period.grain in COARSE
                else None
            )
            is_there = cut == MAIN and (period, entity) in employed
            for code, kpi in KPIS.items():
                is_published = period.grain in kpi.grains and (cut.basis == "booking" or kpi.is_money)
                # Most are nothing over nothing.
                if is_published and (is_there or any(_evaluated(each, measures) for each in (kpi.sample, kpi.over))):
                    figure = self._figure(kpi, period, measures)
                    if is_there or figure.sample_size or figure.value:
                        yield Cell(code, cut, period.grain, period.start, *entity), figure

    def _totals(self) -> "_Totals":
        """What is credited to seats, for every entity that the seats count for."""
        totals = _Totals()
        for (cut, period, seat), of_seat in self._sums.items():
            for entity in self._entities(seat):
                of_entity = totals.sums[cut, period, entity]
                for name, value in of_seat.items():
                    of_entity[name] += value
        for (cut, period, seat), known in self._accounts.items():
            for entity in self._entities(seat):
                for name, several in known.items():
                    totals.accounts[cut, period, entity][name] |= several
        for (cut, period, seat), won in self._wins.items():
            for entity in self._entities(seat):
                totals.wins[cut, period, entity] += won
        return totals

    def _figure(self, kpi: Kpi, period: Period, measures: "Measures") -> Figure:
        over = _evaluated(kpi.over, measures)
        under = _evaluated(kpi.under, measures) if kpi.under else None
        value = over
        if kpi.under:
            value = None
            if over is not None and under is not None and under > 0:
                with localcontext(prec=60):
                    value = (over / under).quantize(Decimal("1e-8"), ROUND_HALF_UP)
        return Figure(
            end=period.end,
            is_complete=self._is_over(period.end + kpi.maturity),
            numerator=_stored(over) if kpi.under else None,
            denominator=_stored(under),
            value=value,
            sample_size=_evaluated(kpi.sample, measures) or Decimal(0),
        )

    def _is_over(self, day: date) -> bool:
        if day not in self._over:
            self._over[day] = self._decisions.moment(day + ONE_DAY) <= self._as_of
        return self._over[day]


Measures = dict[str, Decimal | None]
Key = tuple[Cut, Period, Entity]


def _stored(value: Decimal | None) -> Decimal | None:
    """Numerators and denominators are published with six decimals."""
    return None if value is None else value.quantize(Decimal("1e-6"), ROUND_HALF_UP)


def _evaluated(formula: str, measures: Measures) -> Decimal | None:
    """A sum of products of measures and whole numbers; not known as soon as one of them is not."""
    total = Decimal(0)
    for factors in _terms(formula):
        product = Decimal(1)
        for factor in factors:
            value = Decimal(factor) if factor.isdigit() else measures[factor]
            if value is None:
                return None
            product *= value
        total += product
    return total


@cache
def _terms(formula: str) -> list[list[str]]:
    return [term.split(" * ") for term in formula.split(" + ")]


COUNTS = (
    *("won_deals", "lost_deals", "created_deals", "slipped_deals", "reopened_deals"),
    *("first_purchases", "repeat_purchases", "won_within_90d", "deals_with_cycle", "cycle_days"),
    *("open_deals", "open_deals_of_known_value", "filled_fields", "stale_open_deals"),
    *("deals_with_next_step", "deals_that_may_have_one"),
    *("leads", "leads_converted", "leads_answered", "response_hours", "activities", *ACTIVITIES.values()),
)
CUSTOMERS = ("active_customers", "repeat_customers", "regular_customers", "potential_customers", "lost_customers")


class _Totals:
    """What is counted for each entity."""

    def __init__(self) -> None:
        self.sums: dict[Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.accounts: dict[Key, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.wins: dict[Key, list[tuple[str, int, int]]] = defaultdict(list)

    def measures(self, *key: *Key) -> Measures:
        """Every measure of a cell."""
        sums, accounts = self.sums.get(key, {}), self.accounts.get(key, {})
        measures: Measures = {name: _millionths(sums[name]) if name in sums else Decimal(0) for name in COUNTS}
        for name in CUSTOMERS:
            measures[name] = Decimal(len(accounts.get(name, ())))
        for name, counted in AMOUNTS.items():
            what = "weighted" if name == "weighted_open_amount" else counted
            cents = sums.get(f"{what}, amount", 0)
            is_known = cents or not sums.get(counted, 0) or sums.get(f"{what}, known", 0)
            measures[name] = Decimal(cents) / 100 if is_known else None
        # A CRM that stores lost deals with an amount of 0 does not know it.
        is_any_unknown = sums.get("lost_deals, worthless", 0) != 0
        measures["lost_amount"] = None if is_any_unknown else Decimal(sums.get("lost_deals, amount", 0)) / 100
        has_median = key[0].lens in ("at_event", "current_owner")
        measures["cycle_days_median"] = _median(self.wins.get(key, [])) if has_median else None
        return measures


@cache
def _millionths(count: int) -> Decimal:
    return Decimal(count) / MILLION


def _median(wins: list[tuple[str, int, int]]) -> Decimal | None:
    """Of the cycles of deals, each once: the last that was won within the period and not taken back in it."""
    net: dict[str, int] = defaultdict(int)
    by_cycle: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for deal_id, sign, cycle in wins:
        net[deal_id] += sign
        by_cycle[deal_id][cycle] += sign
    cycles = [
        max(cycle for cycle, count in by_cycle[deal_id].items() if count > 0)
        for deal_id, count in net.items()
        if count > 0
    ]
    return Decimal(median(Decimal(cycle) for cycle in cycles)) if cycles else None
