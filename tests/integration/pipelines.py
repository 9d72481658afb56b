"""Waterfalls of a pipeline once more, from what became of each deal, deal by deal; shares no code with the product."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

Seat = tuple[str, str]
"""A manager, and the department that they sit in."""

CAME = ("created", "transferred_in", "pulled_in", "increased", "reopened")
LEFT = ("won", "lost", "pushed_out", "decreased", "transferred_out", "deleted")
STEPS = ("opening", *CAME, *LEFT, "closing", "won_within", "lost_within")
Counts = tuple[tuple[int, int | None], ...]
"""Deals and cents of each of STEPS; None: of none of the deals is the amount known."""


@dataclass(frozen=True)
class Open:
    """How an open deal stands in an evening."""

    seat: Seat
    cents: int | None
    due: date | None


@dataclass(frozen=True)
class Closing:
    """How a deal was closed, as it stood on the evening of that day; `until`: the day on which it was taken back."""

    day: date
    outcome: str
    seat: Seat
    cents: int | None
    until: date = date.max


@dataclass(frozen=True)
class Deal:
    """From each of `days` on, in their order, the deal stood as in `states`; None: it was not open."""

    name: str
    days: tuple[date, ...]
    states: tuple[Open | None, ...]
    closings: tuple[Closing, ...]

    @cached_property
    def seats(self) -> frozenset[Seat]:
        """All who had it."""
        return frozenset(state.seat for state in (*self.states, *self.closings) if state)

    def on(self, evening: date) -> Open | None:
        place = bisect_right(self.days, evening)
        return self.states[place - 1] if place else None


def waterfall_of(deals: Iterable[Deal], seats: frozenset[Seat], start: date, end: date, due_by: date | None) -> Counts:
    """The steps of those who have `seats`, from the evening before `start` to that of `end`."""
    amounts: dict[str, list[int | None]] = {step: [] for step in STEPS}
    for deal in deals:
        if deal.days[0] > end or (deal.days[-1] < start and not deal.states[-1]) or deal.seats.isdisjoint(seats):
            continue
        for step, cents in steps_of(deal, seats, start, end, due_by):
            amounts[step].append(cents)
    return tuple((len(found), total(found)) for found in amounts.values())


def steps_of(
    deal: Deal, seats: frozenset[Seat], start: date, end: date, due_by: date | None
) -> Iterable[tuple[str, int | None]]:
    before, after = deal.on(start - timedelta(days=1)), deal.on(end)
    was, stays = (state if state and is_due(state, due_by) else None for state in (before, after))
    closed = [closing for closing in deal.closings if start <= closing.day <= end < closing.until]
    had, has = (state is not None and state.seat in seats for state in (was, stays))
    if was and had:
        yield "opening", was.cents
    if stays and has:
        yield "closing", stays.cents
    if was and stays:
        change = (stays.cents or 0) - (was.cents or 0)
        if had != has:
            yield ("transferred_in" if has else "transferred_out"), was.cents
        if has and change:
            yield ("increased" if change > 0 else "decreased"), abs(change)
    elif was and had:
        yield "pushed_out" if after else closed[-1].outcome if closed else "deleted", was.cents
    elif stays and has:
        is_back = any(closing.day < start for closing in deal.closings)
        yield "pulled_in" if before else "reopened" if is_back else "created", stays.cents
    elif not (was or stays or after) and closed and closed[-1].seat in seats:
        yield f"{closed[-1].outcome}_within", closed[-1].cents


def is_due(state: Open, due_by: date | None) -> bool:
    return due_by is None or (state.due is not None and state.due <= due_by)


def undated_of(deals: Sequence[Deal], seats: frozenset[Seat], end: date) -> int:
    """Deals that are open on an evening without an expected close date."""
    evening = [deal.on(end) for deal in deals]
    return sum(1 for state in evening if state and state.due is None and state.seat in seats)


def total(cents: Sequence[int | None]) -> int | None:
    known = [each for each in cents if each is not None]
    return sum(known) if known or not cents else None
