"""The calendars of holidays, and what happens to a company that names one that is not there."""

from pathlib import Path

import pytest

from kpimart import pipeline
from kpimart.errors import SettingsError
from kpimart.holidays import holiday_years
from kpimart.settings import Settings

HEADER = "calendar,day,is_working_day,name_en,name_ru"
HOLIDAYS = f"""\
{HEADER}
ours,2026-12-25,false,Christmas,
ours,2026-12-26,false,Christmas,
ours,2027-01-01,false,New Year,
theirs,2030-01-01,false,New Year,
"""


def refusal(seeds: Path, calendar: str = "ours") -> str:
    with pytest.raises(SettingsError) as refused:
        holiday_years(Settings(seeds=seeds, holidays=calendar))
    return str(refused.value).replace(str(seeds), "seeds")


def test_a_calendar_tells_of_the_years_of_its_own_days(tmp_path: Path) -> None:
    (tmp_path / "holiday.csv").write_text(HOLIDAYS, encoding="utf-8-sig")
    assert holiday_years(Settings(seeds=tmp_path, holidays="ours")) == {2026, 2027}


def test_a_company_without_a_calendar_needs_no_seed(tmp_path: Path) -> None:
    (tmp_path / "holiday.csv").write_text("nonsense\n1\n")
    assert holiday_years(Settings(seeds=tmp_path)) == frozenset()


@pytest.mark.parametrize(("rows", "known"), [(HOLIDAYS, "ours, theirs"), (f"{HEADER}\n", "none")])
def test_a_calendar_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, rows: str, known: str) -> None:
    (tmp_path / "holiday.csv").write_text(rows)
    assert refusal(tmp_path, "mine") == f"holidays: 'mine' is not a calendar of seeds/holiday.csv; it has {known}"


@pytest.mark.parametrize(
    "rows",
    ["calendar;day\nours;2026-12-25\n", f"{HEADER}\nours,25.12.2026,false,Christmas,\n", f"{HEADER}\nours\n"],
    ids=["another separator", "another way to write a date", "a cell"],
)
def test_a_row_that_is_no_day_is_told_by_its_line(tmp_path: Path, rows: str) -> None:
    (tmp_path / "holiday.csv").write_text(rows)
    assert refusal(tmp_path).startswith("seeds/holiday.csv, line 2: is no day of a calendar; give calendar, day ")


@pytest.mark.parametrize("step", [pipeline.run, pipeline.build])
def test_a_calendar_that_is_not_there_stops_a_run_before_anything_is_started(tmp_path: Path, step: object) -> None:
    settings = Settings(home=tmp_path / "home", holidays="mine")
    with pytest.raises(SettingsError) as refused:
        step(settings)  # type: ignore[operator]
    assert refused.value.exit_code == 2
    assert not settings.home.exists()
