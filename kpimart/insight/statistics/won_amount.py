"""What drove the change of won_amount: its terms as products of factors, their Shapley values, and whole cents of them.

won_amount of an entity in a period is a sum over pipelines and products of what was decided there. Each term is

    working days × heads × deals created per head and day × deals decided per deal created
    × share of the pipeline and product × conversion of each stage × average amount × what exchange rates made of it

and every factor is the quotient of two counts, so that the product is what is there, to the cent. The Shapley values of
a sum of products are the sums of those of the products, with the share of all terms as one factor: the mix.

A factor is undefined where nothing came that far: nothing was won, so nothing has an average. It is then taken as in
the other period, and changes nothing. Where a count that is divided by is 0 although something came after it (deals
decided in a month in which none was created), the factor before and the one after it are told as one. What has an
amount without anything won, such as a win that was taken back, is a term of its own, without factors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpimart.errors import BuildFailed
from kpimart.insight.statistics.decomposition import Cents, NotDecomposed, Numbers, in_cents, shapley

Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

CALENDAR, HEADCOUNT, CREATED, CYCLE, CLOSED = "calendar", "headcount", "created_deals", "cycle_time", "closed_deals"
MIX, WIN_RATE, AVERAGE, CURRENCY = "mix", "win_rate", "avg_won_amount", "currency"
UNATTRIBUTED, TRANSFER = "unattributed", "transfer"
STAGE = "stage_conversion:"

_DRIVERS = (CALENDAR, HEADCOUNT, CREATED, CYCLE, CLOSED, MIX, WIN_RATE, AVERAGE, CURRENCY, UNATTRIBUTED, TRANSFER)
_PLACES = {driver: place for place, driver in enumerate(_DRIVERS)}


@dataclass(frozen=True)
class Pairs:
    """An entity in two periods; all (pairs, 2), before and after.

    value: its won_amount in cents. moved: the part of it that managers brought who moved between departments. Of all
    the others: working_days, head_days (working days on which each was employed), created (deals).
    """

    value: Cents
    moved: Cents
    working_days: Numbers
    head_days: Numbers
    created: Numbers


@dataclass(frozen=True)
class Terms:
    """What was decided in the two periods of a pair, in a pipeline, of a product: (terms, 2), before and after.

    pairs: (terms,), ascending: whose they are. closed, won: deals. amount, constant: in cents, by the rate of the day
    and by one rate for all days. reached: (terms, stages, 2), decided deals that had come so far; nothing where the
    stages of lost deals are not known. stages: (terms, stages), positions in `names`, -1 where the pipeline has no such
    stage.
    """

    pairs: Places
    closed: Numbers
    won: Numbers
    amount: Cents
    constant: Numbers
    reached: Numbers
    stages: Places
    names: tuple[str, ...]


@dataclass(frozen=True)
class Contributions:
    """A driver's part of the change of each pair that it is not nothing for, in cents; NaN where it is no factor."""

    pairs: Places
    drivers: list[str]
    cents: Cents
    before: Numbers
    after: Numbers


def split(pairs: Pairs, terms: Terms) -> Contributions:
    """What each driver contributes to the change of won_amount of each pair; of a pair they sum to it exactly.

    Raises BuildFailed where the terms are not what the figures are of.
    """
    told = _Told.of(pairs, terms)
    drivers = [*_DRIVERS, *(f"{STAGE}{name}" for name in terms.names)]
    contributions = shapley(told.factors[:, :, 0], told.factors[:, :, 1])
    sums = _summed_by(terms.pairs, told.drivers, contributions[:, :, None], len(pairs.value), len(drivers))[:, :, 0]
    # What has no factors is whole cents as it is, and takes no part in the rounding.
    unattributed = told.unattributed[:, 1] - told.unattributed[:, 0]
    transferred = pairs.moved[:, 1] - pairs.moved[:, 0]
    try:
        cents = in_cents(sums, pairs.value[:, 1] - pairs.value[:, 0] - unattributed - transferred)
    except NotDecomposed as error:
        raise BuildFailed(f"the drivers of won_amount do not add up: {error}") from error
    cents[:, _PLACES[UNATTRIBUTED]] = unattributed
    cents[:, _PLACES[TRANSFER]] = transferred
    shown = told.shown(terms, len(cents), len(drivers))
    of_pairs, of_drivers = np.nonzero(cents)
    return Contributions(
        of_pairs,
        [drivers[driver] for driver in of_drivers],
        cents[of_pairs, of_drivers],
        shown[of_pairs, of_drivers, 0],
        shown[of_pairs, of_drivers, 1],
    )


@dataclass(frozen=True)
class _Told:
    """The terms as factors: (terms, factors, 2); which driver each factor is: (terms, factors).

    of_all: (pairs, 4, 2), the factors that all terms of a pair share. unattributed: (pairs, 2), in cents.
    """

    factors: Numbers
    drivers: Places
    of_all: Numbers
    drivers_of_all: Places
    unattributed: Cents
    closed: Numbers
    won: Numbers
    amount: Numbers
    constant: Numbers
    is_staged: Flags
    reached: Numbers
    following: Numbers

    @classmethod
    def of(cls, pairs: Pairs, terms: Terms) -> "_Told":
        count = len(pairs.value)
        is_product = (terms.amount == 0) | ((terms.closed > 0) & (terms.won > 0))
        unattributed = _summed(terms.pairs, np.where(is_product, 0, terms.amount), count)
        _require_the_figures(pairs, terms)

        closed = np.where(is_product, np.maximum(terms.closed, 0), 0.0)
        won = np.where(closed > 0, np.maximum(terms.won, 0), 0.0)
        amount = np.where(is_product, terms.amount, 0).astype(float)
        constant = np.where(won > 0, terms.constant, 0.0)

        all_closed = _summed(terms.pairs, closed, count)
        of_all, drivers_of_all = _of_all(pairs, all_closed)
        share = _quotient(closed, all_closed[terms.pairs])
        is_staged, reached, following = _stages(terms, closed, won)
        conversions = _conversions(terms, closed, won, is_staged, reached, following)
        average, currency = _amounts(won, amount, constant)

        own = np.concatenate(
            [share[:, None], conversions, average[:, None], currency[:, None]],
            axis=1,
        )
        stages = np.where(terms.stages >= 0, terms.stages + len(_DRIVERS), _PLACES[WIN_RATE])
        stages[~is_staged] = _PLACES[WIN_RATE]
        drivers = np.concatenate(
            [
                drivers_of_all[terms.pairs],
                _everywhere(MIX, terms.pairs),
                stages,
                _everywhere(AVERAGE, terms.pairs),
                _everywhere(CURRENCY, terms.pairs),
            ],
            axis=1,
        )
        return cls(
            np.concatenate([of_all[terms.pairs], _carried(own)], axis=1),
            drivers,
            of_all,
            drivers_of_all,
            np.rint(unattributed).astype(np.int64),
            closed,
            won,
            amount,
            constant,
            is_staged,
            reached,
            following,
        )

    def shown(self, terms: Terms, count: int, drivers: int) -> Numbers:
        """What each driver was and is, (pairs, drivers, 2), as a quotient of sums; NaN where it is no factor."""
        stages = self.drivers[:, 5:-2]
        is_stage = (stages >= len(_DRIVERS))[:, :, None]
        is_whole = ~self.is_staged[:, None, None]
        # Win rate, average amount and exchange rates stand behind the stages.
        places = np.concatenate(
            [stages, *(_everywhere(driver, terms.pairs) for driver in (WIN_RATE, AVERAGE, CURRENCY))], axis=1
        )
        won, closed, amount, constant = (each[:, None] for each in (self.won, self.closed, self.amount, self.constant))
        above = [np.where(is_stage, self.following, 0), np.where(is_whole, won, 0), constant / 100, amount]
        below = [np.where(is_stage, self.reached, 0), np.where(is_whole, closed, 0), won, constant]
        shown = _quotient(
            _summed_by(terms.pairs, places, np.concatenate(above, axis=1), count, drivers),
            _summed_by(terms.pairs, places, np.concatenate(below, axis=1), count, drivers),
        )
        rows = np.arange(count)
        for place in range(self.drivers_of_all.shape[1]):
            shown[rows, self.drivers_of_all[:, place]] = self.of_all[:, place]
        return shown


def _require_the_figures(pairs: Pairs, terms: Terms) -> None:
    found = np.zeros_like(pairs.value)
    np.add.at(found, terms.pairs, terms.amount)
    wrong = np.argwhere(found + pairs.moved != pairs.value)
    if len(wrong):
        pair, side = wrong[0]
        raise BuildFailed(
            f"driver_input has a won_amount of {(found + pairs.moved)[pair, side] / 100:,.2f} where kpi_value has "
            f"{pairs.value[pair, side] / 100:,.2f}, for {len(np.unique(wrong[:, 0]))} pairs of periods; both are made "
            "of the same events, so one of their models was changed alone"
        )


def _of_all(pairs: Pairs, closed: Numbers) -> tuple[Numbers, Places]:
    """Calendar, headcount, deals created, deals decided: (pairs, 4, 2); which driver each of them is: (pairs, 4)."""
    counts = np.maximum(np.stack([pairs.working_days, pairs.head_days, pairs.created, closed], axis=1), 0)
    is_missing = ((counts == 0) & (closed[:, None] > 0)).any(axis=2)
    factors = np.ones_like(counts)
    below = np.ones_like(closed)
    for place in range(4):
        is_told = ~is_missing[:, place, None]
        factors[:, place] = np.where(is_told, _quotient(counts[:, place], below), 1.0)
        below = np.where(is_told, counts[:, place], below)
    drivers = np.tile(
        np.array([_PLACES[CALENDAR], _PLACES[HEADCOUNT], _PLACES[CREATED], _PLACES[CYCLE]]), (len(closed), 1)
    )
    drivers[is_missing[:, 2], 3] = _PLACES[CLOSED]
    return _carried(factors), drivers


def _stages(terms: Terms, closed: Numbers, won: Numbers) -> tuple[Flags, Numbers, Numbers]:
    """Whether a term is told by stages, on both sides; and how many reached each stage, and what comes after it."""
    reached = np.maximum(terms.reached, 0)
    following = np.concatenate([reached[:, 1:], np.zeros_like(reached[:, :1])], axis=1)
    has_stage = terms.stages >= 0
    last = has_stage.sum(axis=1) - 1
    rows = np.flatnonzero(last >= 0)
    following[rows, last[rows]] = won[rows]
    lacks = (has_stage[:, :, None] & (reached == 0)).any(axis=1)
    is_known = (closed == 0) | ((reached[:, 0] == closed) & ((won == 0) | ~lacks))
    return (last >= 0) & is_known.all(axis=1), reached, following


def _conversions(
    terms: Terms, closed: Numbers, won: Numbers, is_staged: Flags, reached: Numbers, following: Numbers
) -> Numbers:
    """(terms, stages, 2): of each stage, or the win rate in the place of the first."""
    conversions = np.where((terms.stages >= 0)[:, :, None], _quotient(following, reached), 1.0)
    conversions[~is_staged] = 1.0
    conversions[~is_staged, 0] = _quotient(won, closed)[~is_staged]
    return conversions


def _amounts(won: Numbers, amount: Numbers, constant: Numbers) -> tuple[Numbers, Numbers]:
    """The average amount in cents, and what exchange rates made of it; without constant rates the average is all."""
    is_plain = ((amount != 0) & (constant <= 0)).any(axis=1)[:, None]
    average = _quotient(np.where(is_plain, amount, constant), won)
    return average, np.where(is_plain, 1.0, _quotient(amount, constant))


def _quotient(above: Numbers, below: Numbers) -> Numbers:
    """NaN where it is undefined."""
    quotient = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _carried(factors: Numbers) -> Numbers:
    """What is undefined on one side is as on the other, and changes nothing; on both, it is no factor."""
    filled = np.where(np.isnan(factors), factors[..., ::-1], factors)
    return np.where(np.isnan(filled), 1.0, filled)


def _summed(pairs: Places, values: Numbers | Cents, count: int) -> Numbers:
    """(terms, 2) by pair: (pairs, 2)."""
    return np.stack([np.bincount(pairs, values[:, side], count) for side in (0, 1)], axis=1)


def _summed_by(pairs: Places, drivers: Places, values: Numbers, count: int, of_drivers: int) -> Numbers:
    """(terms, factors, sides) by pair and driver: (pairs, drivers, sides); always added up in the same order."""
    places = (pairs[:, None] * of_drivers + drivers).ravel()
    sums = [np.bincount(places, values[:, :, side].ravel(), count * of_drivers) for side in range(values.shape[2])]
    return np.stack(sums, axis=1).reshape(count, of_drivers, len(sums)).astype(np.float64)


def _everywhere(driver: str, pairs: Places) -> Places:
    return np.full((len(pairs), 1), _PLACES[driver])
