"""What a company plans to win: the target of an entity for a period, for the part of it in which the entity is there.

Where a quarter or a year has no target of its own, the sum of those of its parts, if each part in which the entity is
there has one.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from model_calendar import ONE_DAY
from model_records import END, UNASSIGNED, Company, Target

PARTS = {"quarter": "month", "year": "quarter"}

Key = tuple[str, date, str, str]
"""Grain, first day, level and key of the entity."""


class Plan:
    """The targets that are in force at a moment."""

    def __init__(self, company: Company, as_of: datetime, first_day: date) -> None:
        self._company = company
        self._first_day = first_day
        self._set: dict[Key, Target] = {}
        for target in company.targets:
            if target.set_at is None or target.set_at < as_of:
                self._set[target.grain, target.start, target.level, target.key] = target

    def planned(self, grain: str, start: date, level: str, key: str) -> Decimal | None:
        """What is to be won; None where nobody said."""
        end = self._end_of(grain, start)
        target = self._set.get((grain, start, level, key))
        if target:
            return self._for_the_part_there(target.value, start, end, level, key)
        if grain not in PARTS:
            return None
        parts = []
        first = start
        while first <= end:
            last = self._end_of(PARTS[grain], first)
            if self._working_days_there(first, last, level, key):
                parts.append(self.planned(PARTS[grain], first, level, key))
            first = last + ONE_DAY
        known = [part for part in parts if part is not None]
        return sum(known, Decimal(0)) if parts and len(known) == len(parts) else None

    def _end_of(self, grain: str, start: date) -> date:
        return self._company.decisions.calendar.period_of(grain, start).end

    def _for_the_part_there(self, value: Decimal, start: date, end: date, level: str, key: str) -> Decimal | None:
        there, all_days = self._working_days_there(start, end, level, key), len(self._working_days(start, end))
        if not there:
            return None
        return (value * there / all_days).quantize(Decimal("1e-8"), ROUND_HALF_UP) if there < all_days else value

    def _working_days(self, start: date, end: date) -> list[date]:
        """From the first day of all on: what came before is not measured."""
        first = max(start, self._first_day)
        days = (first + number * ONE_DAY for number in range((end - first).days + 1))
        return [day for day in days if self._company.decisions.is_working_day(day)]

    def _working_days_there(self, start: date, end: date, level: str, key: str) -> int:
        days = self._working_days(start, end)
        return sum(1 for day in days if any(first <= day <= last for first, last in self._there(level, key)))

    def _there(self, level: str, key: str) -> Iterable[tuple[date, date]]:
        """First and last days: a department and the company are always there."""
        manager, _, department = key.partition("|")
        employment = self._company.employments.get(manager)
        if level in ("company", "department") or (level == "manager" and employment is None):
            return [(date.min, END)]
        hired_on, left_on = (employment.hired_on, employment.left_on) if employment else (date.min, END)
        if level == "manager":
            return [(hired_on, left_on)]
        seats = self._company.seats.get(manager) or [(date.min, UNASSIGNED)]
        after = [day for day, _ in seats[1:]] + [END]
        return [
            (max(first, hired_on), min(until - ONE_DAY, left_on))
            for (first, seat), until in zip(seats, after, strict=True)
            if seat == department
        ]
