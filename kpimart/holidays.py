"""The calendars of holidays: which there are in `holiday.csv`, and of which years they tell."""

import csv
from datetime import date
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.seeds import seed_file
from kpimart.settings import Settings


def holiday_years(settings: Settings) -> frozenset[int]:
    """The years of which the company's calendar of holidays tells; none for a company without one.

    Raises SettingsError for a calendar that the seed does not have, and for a row that is no day of a calendar.
    """
    if settings.holidays is None:
        return frozenset()
    path = seed_file("holiday.csv", settings.seeds)
    years = _years(path)
    if settings.holidays not in years:
        known = ", ".join(sorted(years)) or "none"
        raise SettingsError(f"holidays: {settings.holidays!r} is not a calendar of {path}; it has {known}")
    return frozenset(years[settings.holidays])


def _years(path: Path) -> dict[str, set[int]]:
    years: dict[str, set[int]] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            try:
                years.setdefault(row["calendar"], set()).add(date.fromisoformat(row["day"]).year)
            except (KeyError, TypeError, ValueError):
                what = "give calendar, day (as 2026-12-25), is_working_day, name_en and name_ru"
                raise SettingsError(f"{path}, line {rows.line_num}: is no day of a calendar; {what}") from None
    return years
