"""Company time: local days and hours, and the UTC moments they stand for."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from kpimart.demo.world import HOLIDAYS, TIME_ZONE

DAY = timedelta(days=1)


@cache
def midnight(day: date) -> datetime:
    """The UTC moment at which `day` begins for the company."""
    return datetime.combine(day, time.min, tzinfo=TIME_ZONE).astimezone(UTC)


def moment(day: date, hours: float) -> datetime:
    """The UTC moment `hours` after `day` began, to the second."""
    return midnight(day) + timedelta(seconds=round(hours * 3600))


@cache
def is_working_day(day: date) -> bool:
    return day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS


def working_day_from(day: date) -> date:
    """`day`, or the first working day after it."""
    while not is_working_day(day):
        day += DAY
    return day


def working_day_until(day: date) -> date:
    """`day`, or the last working day before it."""
    while not is_working_day(day):
        day -= DAY
    return day


def month_start(day: date, months: int = 0) -> date:
    """The first day of the month of `day`, or of one so many months later."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def month_end(day: date) -> date:
    return month_start(day, 1) - DAY


def quarter_end(day: date) -> date:
    return month_end(month_start(day, (3 - day.month) % 3))


def years_before(day: date, years: int) -> date:
    """The same day so many years earlier; the 29th of February becomes the 28th."""
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - years, day=28 if is_leap_day else day.day)
