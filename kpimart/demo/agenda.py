"""What moves the simulation: a queue of what happens when, and the chance that decides how."""

import heapq
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from kpimart.demo.clock import DAY, is_working_day, midnight, moment, working_day_from
from kpimart.demo.world import Department

T = TypeVar("T")

# What comes sooner than this is done on the next working day.
DAYS_AHEAD_UNPLANNED = 3


class Agenda:
    """Events in the order of their moments, and the time that it is while one of them happens.

    Events of one moment happen in the order in which they were entered, so that going to a day in several steps or in
    one gives the same.
    """

    def __init__(self, opened_on: date) -> None:
        self.today = opened_on
        self.now = midnight(opened_on)
        self._entries: list[tuple[datetime, int, Callable[..., None], tuple[Any, ...]]] = []
        self._entered = 0

    def at(self, when: datetime, action: Callable[..., None], *args: Any) -> None:
        """Enter `action(*args)` for a moment that is not over."""
        self._entered += 1
        heapq.heappush(self._entries, (when, self._entered, action, args))

    def advance(self, to: date) -> None:
        """Let everything happen that lies before the company's midnight at the beginning of `to`."""
        while self.today < to:
            end = midnight(self.today + DAY)
            while self._entries and self._entries[0][0] < end:
                self.now, _, action, args = heapq.heappop(self._entries)
                action(*args)
            self.today += DAY
            self.now = end


class Chance(Random):
    """A seeded source of decisions and delays."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def one_of(self, weights: Mapping[T, float]) -> T:
        point = self.random() * sum(weights.values())
        for choice, weight in weights.items():
            point -= weight
            if point < 0:
                return choice
        return choice

    def around(self, mean: float) -> float:
        """A positive number, most often somewhat below the mean and seldom far above it (gamma of shape 2)."""
        return -math.log((1 - self.random()) * (1 - self.random())) * mean / 2

    def spread(self, sigma: float) -> float:
        """A factor around 1, as likely to be above as below (lognormal)."""
        return math.exp(self.gauss(0, sigma))

    def number(self, mean: float) -> int:
        """How many of something that is `mean` on average (Poisson; Knuth's method, for small means)."""
        limit, product, count = math.exp(-mean), self.random(), 0
        while product > limit:
            product *= self.random()
            count += 1
        return count

    def working_moment(self, department: Department, day: date) -> datetime:
        opens, closes = department.working_hours
        return moment(day, opens + (closes - opens) * self.random())

    def moment_after(self, agenda: Agenda, department: Department, days: float) -> datetime:
        """A moment within the department's working hours so many days from now, at least five minutes away."""
        whole_days, today = int(days), agenda.today
        if whole_days == 0 and is_working_day(today):
            opens, closes = department.working_hours
            if agenda.now < moment(today, opens):
                return self.working_moment(department, today)
            soon = agenda.now + timedelta(minutes=5, seconds=int(days * 8 * 3600))
            if soon < moment(today, closes):
                return soon
        day = today + max(whole_days, 1) * DAY
        if whole_days > DAYS_AHEAD_UNPLANNED and not is_working_day(day):
            # Spread over the following week, or all that falls on a weekend would happen on Mondays.
            day += self.randrange(2, 7) * DAY
        return self.working_moment(department, working_day_from(day))
