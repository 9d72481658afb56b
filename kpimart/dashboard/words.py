"""How the pages write names, days and times, in English and in Russian."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import get_args

from babel.dates import format_date, format_datetime, format_interval, format_timedelta

from kpimart.language import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
# How days are written: the day before the month in both.
_LOCALES = {"en": "en_GB", "ru": "ru"}

Say = Callable[..., str]
"""A phrase of `kpimart.language` by its English, with what is to be put into it."""


def language_of(asked: str | None, browser: str | None) -> Language:
    """The language that the address asks for, else the browser's, else English."""
    named = (asked or browser or "").lower()
    return next((each for each in LANGUAGES if named.startswith(each)), "en")


def plain(text: str) -> str:
    """A text of somebody else's in Markdown, as it is: `[North]` is a department and no link."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~:$<>&])", r"\\\1", text)


def day_text(day: date, language: Language) -> str:
    """Such as 18 Oct 2026."""
    return format_date(day, "d MMM y", locale=_LOCALES[language])


def days_text(start: date, end: date, language: Language) -> str:
    """From a day to another, such as 1 – 30 Sep 2026."""
    return (
        day_text(start, language) if start == end else format_interval(start, end, "yMMMd", locale=_LOCALES[language])
    )


def moment_text(moment: datetime, language: Language) -> str:
    """Such as 18 Oct 2026, 00:00 CEST; in the time zone that the moment has."""
    return f"{format_datetime(moment, 'd MMM y, HH:mm', tzinfo=moment.tzinfo, locale=_LOCALES[language])} {moment:%Z}"


def age_text(age: timedelta, language: Language) -> str:
    """Such as 6 hours ago; one that is still to come is told as well."""
    return format_timedelta(-age, threshold=2, add_direction=True, locale=_LOCALES[language])


def period_text(name: str, grain: str, start: date, language: Language, *, is_short: bool = False) -> str:
    """A calendar month by its name, a day by its date, any other period as `kpimart kpi` takes it."""
    if grain == "day":
        return day_text(start, language)
    if grain == "month" and name == f"{start:%Y-%m}":
        told = format_date(start, "LLL y" if is_short else "LLLL y", locale=_LOCALES[language])
        return told[0].upper() + told[1:]
    return name
