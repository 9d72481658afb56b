"""Spreading: what is set for a whole goes to its parts, and sums hold exactly.

A year is made of quarters and months, a company of departments and managers. Whatever is set on the way down stands;
the rest of what is set above it goes to the parts that nothing is set for, by their weights.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

Weight = Fraction

RAMP = (Fraction(1, 10), Fraction(3, 10), Fraction(1, 2), Fraction(7, 10), Fraction(9, 10))
"""Share of full productivity in the first, second, … month of employment; 1 after them.

An assumption: the mean of each month of a straight line that takes five months, the ramp-up time of account executives
that The Bridge Group's "SaaS AE Metrics & Compensation" (2024) reports.
"""
LEAST_DAYS = 60
"""Working days of full productivity, about a quarter, of which somebody's own can be told."""


class DoesNotAddUp(Exception):
    """What is set for a whole cannot be what is set for its parts. rest: whole less parts."""

    def __init__(self, whole: str, rest: Decimal) -> None:
        super().__init__(f"{whole}: {rest}")
        self.whole = whole
        self.rest = rest


@dataclass(frozen=True)
class Tree:
    """What is made of what. `children`: name → names of its parts; what has none is a leaf."""

    root: str
    children: Mapping[str, Sequence[str]]

    def leaves(self, name: str, but: Iterable[str] = ()) -> list[str]:
        """The leaves below a node, or itself; without those below the nodes in `but`."""
        if name in but:
            return []
        parts = self.children.get(name, ())
        return [leaf for part in parts for leaf in self.leaves(part, but)] if parts else [name]

    def nodes(self, name: str | None = None) -> list[str]:
        """The node and all below it, each before its parts."""
        top = self.root if name is None else name
        return [top, *(node for part in self.children.get(top, ()) for node in self.nodes(part))]

    def nearest(self, name: str, among: Mapping[str, object]) -> list[str]:
        """Of the nodes below this one those that are among others, without what lies below them."""
        parts = self.children.get(name, ())
        return [found for part in parts for found in ([part] if part in among else self.nearest(part, among))]


def apportion(total: Decimal, weights: Sequence[Weight], step: Decimal) -> list[Decimal]:
    """Divide a total, a multiple of `step`, in multiples of it, by weights of 0 or more; equally where all are 0.

    The parts sum to the total. Each is its exact share rounded down, and the steps that are left go one each to the
    largest remainders, of equal ones to the first. Source: the method of largest remainder (Hamilton 1792).
    """
    shares = list(weights) if any(weights) else [Fraction(1)] * len(weights)
    whole = sum(shares)
    steps = Fraction(total) / Fraction(step)
    exact = [steps * share / whole for share in shares]
    given = [share.numerator // share.denominator for share in exact]
    left = int(steps) - sum(given)
    order = sorted(range(len(exact)), key=lambda place: (given[place] - exact[place], place))
    for place in order[:left]:
        given[place] += 1
    return [step * count for count in given]


def spread(
    tree: Tree,
    given: Mapping[str, Decimal],
    weight: Callable[[str], Weight],
    step: Decimal,
    optional: Collection[str] = (),
) -> dict[str, Decimal]:
    """Every node that has a value: those given, those spread, and sums of parts that all have one.

    given: multiples of `step`, none below 0. weight: of a leaf. optional: leaves that a sum does not wait for, and that
    get nothing, rather than 0, where there is no rest. Raises DoesNotAddUp where parts exceed their whole, or fall
    short of it and there is no other part to take the rest.
    """
    values = dict(given)
    for whole in (name for name in tree.nodes() if name in given):
        parts = tree.nearest(whole, given)
        rest = given[whole] - sum((given[part] for part in parts), Decimal(0))
        takers = tree.leaves(whole, but=parts)
        if rest < 0 or (rest and not takers):
            raise DoesNotAddUp(whole, rest)
        if not rest:
            takers = [leaf for leaf in takers if leaf not in optional]
        values.update(zip(takers, apportion(rest, [weight(leaf) for leaf in takers], step), strict=True))
    for name in reversed(tree.nodes()):
        parts_of = tree.children.get(name, ())
        known = [values[part] for part in parts_of if part in values]
        if name not in values and known and all(part in values or part in optional for part in parts_of):
            values[name] = sum(known, Decimal(0))
    return values


# ------------------------------------------------------------------------------------------------------------- weights


@dataclass(frozen=True)
class Month:
    """A month of an entity: its place in the year from 1, the working days on which the entity is there, its value.

    value: what was reached, in units of the KPI; None while it is not over, or unknown.
    """

    start: date
    place: int
    days: int
    value: Decimal | None = None


def seasonal_rates(months: Iterable[Month]) -> dict[int, Weight] | None:
    """Place in the year → what was reached a working day in the last years' months there.

    None where that tells no season: of fewer than 24 months, or where some place never brought anything.
    """
    over = [month for month in months if month.value is not None]
    rates = {}
    for place in {month.place for month in over}:
        there = [month for month in over if month.place == place]
        days = sum(month.days for month in there)
        brought = sum((Fraction(month.value or 0) for month in there), Fraction(0))
        if days and brought > 0:
            rates[place] = brought / days
    return rates if len(over) >= 24 and len(rates) == len({month.place for month in over}) >= 12 else None


def months_since(hired_on: date | None, start: date) -> int | None:
    """Whole months of employment at the beginning of a month, 0 also before; None of who has always been there."""
    if hired_on is None:
        return None
    months = (start.year - hired_on.year) * 12 + start.month - hired_on.month - (start.day < hired_on.day)
    return max(months, 0)


def ramped_days(hired_on: date | None, month: Month) -> Weight:
    """The working days of a manager in a month, in days of full productivity."""
    since = months_since(hired_on, month.start)
    share = Fraction(1) if since is None or since >= len(RAMP) else RAMP[since]
    return share * month.days


@dataclass(frozen=True)
class Seller:
    """A manager: when they were hired, and their last twelve months that are over."""

    hired_on: date | None
    last_months: tuple[Month, ...]

    @property
    def days(self) -> Weight:
        """Days of full productivity in those months."""
        return sum((ramped_days(self.hired_on, month) for month in self.last_months), Fraction(0))

    @property
    def value(self) -> Weight:
        """What they brought in those months, not less than nothing."""
        return max(sum((Fraction(month.value or 0) for month in self.last_months), Fraction(0)), Fraction(0))


def productivity(sellers: Mapping[str, Seller], peers: Mapping[str, Sequence[str]]) -> dict[str, Weight]:
    """Each seller's value a day of full productivity; of who has too few such days, the mean of their peers.

    peers: seller → those of the same department, themselves included. Where none of these has enough days, the mean is
    that of all.
    """

    def mean(names: Iterable[str]) -> Weight | None:
        seasoned = [sellers[name] for name in names if sellers[name].days >= LEAST_DAYS]
        days = sum((seller.days for seller in seasoned), Fraction(0))
        return sum((seller.value for seller in seasoned), Fraction(0)) / days if days else None

    of_all = mean(sellers) or Fraction(1)
    found = {}
    for name in sellers:
        own = mean([name])
        of_peers = mean(peers[name])
        found[name] = own if own is not None else of_peers if of_peers is not None else of_all
    return found
