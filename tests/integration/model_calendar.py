"""The periods of a company's calendar: years of months, or years of four quarters of 13 weeks."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

GRAINS = ("day", "week", "month", "quarter", "year")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
ONE_DAY, ONE_WEEK = timedelta(days=1), timedelta(weeks=1)


class Period(NamedTuple):
    grain: str
    start: date
    end: date


@dataclass(frozen=True)
class Calendar:
    """`weeks`: of the three months of a quarter, where years are made of weeks; a 53rd is the last month's.

    Years begin with `first_month`: years of weeks on the `first_weekday` (0: Monday) that is nearest to its 1st, or
    begins the week in which that lies.
    """

    weeks: tuple[int, int, int] | None = None
    first_month: int = 1
    first_weekday: int = 0
    is_nearest: bool = True

    @cached_property
    def _found(self) -> dict[tuple[str, date], Period]:
        return {}

    def period_of(self, grain: str, day: date) -> Period:
        """The period of a grain that a day lies in."""
        period = self._found.get((grain, day))
        if period is None:
            period = self._found[grain, day] = Period(grain, *self._bounds(grain, day))
        return period

    def _bounds(self, grain: str, day: date) -> tuple[date, date]:
        if grain == "day":
            return day, day
        if grain == "week":
            start = day - timedelta(days=(day.weekday() - self.first_weekday) % 7)
            return start, start + ONE_WEEK - ONE_DAY
        return self._of_weeks(grain, day, self.weeks) if self.weeks else self._of_months(grain, day)

    def _of_months(self, grain: str, day: date) -> tuple[date, date]:
        several = MONTHS[grain]
        months = day.year * 12 + day.month - self.first_month
        first = months - months % several + self.first_month - 1
        return _first_of(first), _first_of(first + several) - ONE_DAY

    def _of_weeks(self, grain: str, day: date, weeks: tuple[int, int, int]) -> tuple[date, date]:
        begun = max(year for year in (day.year - 1, day.year, day.year + 1) if self._year(year) <= day)
        first, after = self._year(begun), self._year(begun + 1)
        starts = {
            "year": [first],
            "quarter": [first + quarter * 13 * ONE_WEEK for quarter in range(4)],
            "month": [
                first + (quarter * 13 + sum(weeks[:month])) * ONE_WEEK for quarter in range(4) for month in range(3)
            ],
        }[grain]
        return max(start for start in starts if start <= day), min(
            start for start in [*starts, after] if start > day
        ) - ONE_DAY

    def _year(self, year: int) -> date:
        """The day on which a year of weeks begins."""
        first = date(year, self.first_month, 1)
        days_back = (first.weekday() - self.first_weekday) % 7
        return first - timedelta(days=days_back) + (ONE_WEEK if self.is_nearest and days_back > 3 else 0 * ONE_DAY)


def _first_of(months: int) -> date:
    """The first day of a month, counted from the beginning of the year 0."""
    return date(months // 12, months % 12 + 1, 1)
