"""Win rate curves and funnels once more: from lists of deals, in exact fractions, sharing no code with the product.

`curve` follows the textbook: day by day, the share that is still open times the share of those at risk that is won.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import median

WITHIN_DAYS = (7, 14, 30, 60, 90, 120, 180, 270, 365)
HUNDREDTH, TINY = Fraction(1, 100), Fraction(1, 10**8)


@dataclass(frozen=True)
class Stay:
    """A stay in the stage of a number, from 1; `left_on` is None while it goes on."""

    stage: int
    entered_on: date
    left_on: date | None = None

    def days(self, last_day: date) -> int:
        return ((self.left_on or last_day) - self.entered_on).days


@dataclass(frozen=True)
class Deal:
    """A deal as it stands on the last day; `outcome` is open, won or lost."""

    manager: str
    created_on: date
    outcome: str = "open"
    closed_on: date | None = None
    stays: tuple[Stay, ...] = ()

    def followed_days(self, last_day: date) -> int:
        return ((self.closed_on or last_day) - self.created_on).days


@dataclass(frozen=True)
class Point:
    """A cohort, some days after the creation of its deals."""

    created: int
    won: int
    lost: int
    open: int
    censored: int
    is_mature: bool
    rate: Fraction | None


@dataclass(frozen=True)
class Stage:
    """A cohort in one stage."""

    reached: int
    entered: int
    converted: int
    won: int
    lost: int
    open: int
    finished_days: tuple[int, ...]
    open_days: tuple[int, ...]
    is_complete: bool

    @property
    def mean_stay_days(self) -> Fraction | None:
        return Fraction(sum(self.finished_days), len(self.finished_days)) if self.finished_days else None


def curve(deals: Sequence[Deal], *, period_end: date, last_day: date) -> dict[int, Point]:
    """The points of a cohort by their number of days, as of the midnight after `last_day`."""
    followed = [(deal.followed_days(last_day), deal.outcome) for deal in deals]
    points = {}
    for within in WITHIN_DAYS:
        ended = [outcome for days, outcome in followed if days <= within and outcome != "open"]
        censored = sum(days < within and outcome == "open" for days, outcome in followed)
        points[within] = Point(
            created=len(deals),
            won=ended.count("won"),
            lost=ended.count("lost"),
            open=len(deals) - len(ended) - censored,
            censored=censored,
            is_mature=period_end + timedelta(days=within) <= last_day,
            rate=cumulative_incidence(followed, within),
        )
    return points


def cumulative_incidence(followed: Sequence[tuple[int, str]], within: int) -> Fraction | None:
    """Aalen and Johansen's estimate of the share won within so many days; None where it is not determined."""
    counts = Counter(followed)
    at_risk, still_open, won = len(followed), Fraction(1), Fraction(0)
    for day in sorted({days for days, _ in followed if days <= within}):
        wins, losses = counts[day, "won"], counts[day, "lost"]
        won += still_open * Fraction(wins, at_risk)
        still_open *= 1 - Fraction(wins + losses, at_risk)
        at_risk -= wins + losses + (counts[day, "open"] if day < within else 0)
    return won if still_open == 0 or at_risk > 0 else None


def funnel(deals: Sequence[Deal], *, stages: int, period_end: date, last_day: date) -> dict[int, Stage]:
    """The open stages of a cohort by their number."""
    return {
        stage: Stage(
            reached=sum(furthest(deal, stages) >= stage for deal in deals),
            entered=sum(any(stay.stage == stage for stay in deal.stays) for deal in deals),
            converted=sum(furthest(deal, stages) > stage for deal in deals),
            won=sum(deal.outcome == "won" for deal in deals),
            lost=sum(furthest(deal, stages) == stage and deal.outcome == "lost" for deal in deals),
            open=sum(furthest(deal, stages) == stage and deal.outcome == "open" for deal in deals),
            finished_days=lengths(deals, stage, last_day, is_over=True),
            open_days=lengths(deals, stage, last_day, is_over=False),
            is_complete=period_end <= last_day and all(deal.outcome != "open" for deal in deals),
        )
        for stage in range(1, stages + 1)
    }


def furthest(deal: Deal, stages: int) -> int:
    return stages + 1 if deal.outcome == "won" else max([1, *(stay.stage for stay in deal.stays)])


def lengths(deals: Sequence[Deal], stage: int, last_day: date, *, is_over: bool) -> tuple[int, ...]:
    stays = [stay for deal in deals for stay in deal.stays if stay.stage == stage]
    return tuple(stay.days(last_day) for stay in stays if (stay.left_on is not None) == is_over)


def is_rounded(found: Decimal | None, exact: Fraction | None, unit: Fraction) -> bool:
    """Whether `found` is `exact` to its last decimal; where that lies on the edge of rounding, either side will do."""
    if found is None or exact is None:
        return found is None and exact is None
    return abs(Fraction(found) - exact) <= unit / 2 + unit / 10**6


def median_of(days: Sequence[int]) -> Fraction | None:
    return Fraction(median(days)) if days else None
