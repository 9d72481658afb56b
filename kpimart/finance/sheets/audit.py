"""Where each figure comes from: the release and its two moments, the formula, and the command that shows the deals."""

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from kpimart.finance.budget import COMPANY, Entity, Figures, Kpi, Period
from kpimart.finance.sheets import budget as sheet_of_inputs
from kpimart.finance.sheets.book import Book, Look, cell

NAME = "Audit"
YEARS_BACK = {"year_before_last": 2, "last_year": 1, "outlook": 0}
WIDTHS = {0: 12.0, 1: 28.0, 2: 26.0, 3: 12.0, 4: 18.0, 5: 62.0, 6: 34.0, 7: 100.0}


def write(made: Book, zone: ZoneInfo) -> None:
    """Write the sheet: a row per figure of the sheet that is filled in."""
    sheet = made.open(NAME, widths=WIDTHS, head_row=1, frozen_columns=1)
    release = made.release
    made.text(
        sheet,
        0,
        0,
        made.say(
            "Release {release}: figures as of {as_of}, as known at {known_at}. Check it: kpimart verify {release}",
            release=release.release_id,
            as_of=local(release.as_of, zone),
            known_at=local(release.known_at, zone),
        ),
    )
    heads = ("Cell", "KPI", "Who", "Period", "Figure", "What it is", "Formula", "Shown by")
    made.heads(sheet, 1, [made.say(each) for each in heads])
    row = 2
    for key, place in sheet_of_inputs.rows_of(made.budget).items():
        kpi = next(each for each in made.budget.kpis if each.kpi_code == key.kpi_code)
        entity = next(each for each in made.budget.entities if each.id == (key.entity_level, key.entity_key))
        period = next(
            each
            for each in made.budget.year.periods
            if (each.grain, each.start) == (key.period_grain, key.period_start)
        )
        for column in (*YEARS_BACK, "plan"):
            if getattr(made.budget.at(kpi, entity, period), column) is not None:
                _write_row(made, sheet, row, place, kpi, entity, period, column)
                row += 1
    sheet.autofilter(1, 0, max(row - 1, 2), len(WIDTHS) - 1)


def local(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as people of the company tell it."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def name_before(name: str, years: int) -> str:
    """What a period is called so many years before: 2027-03 is 2026-03, FY2027-Q1 is FY2026-Q1."""
    return re.sub(r"\d{4}", lambda found: f"{int(found[0]) - years:04}", name, count=1)


def _write_row(
    made: Book, sheet: Any, row: int, place: int, kpi: Kpi, entity: Entity, period: Period, column: str
) -> None:
    known = made.budget.at(kpi, entity, period)
    name = name_before(period.name, YEARS_BACK.get(column, 0))
    at = cell(place, sheet_of_inputs.AT[column])
    sheet.write_url(row, 0, f"internal:'{made.say(sheet_of_inputs.NAME)}'!{at}", string=at)
    made.text(sheet, row, 1, kpi.name)
    made.text(sheet, row, 2, entity.name)
    made.text(sheet, row, 3, name)
    made.number(sheet, row, 4, getattr(known, column), Look(kpi.number_format))
    what, command = _told(made, kpi, entity, period, known, column, name)
    made.text(sheet, row, 5, what)
    made.text(sheet, row, 6, kpi.formula)
    made.text(sheet, row, 7, command)


def _told(
    made: Book, kpi: Kpi, entity: Entity, period: Period, known: Figures, column: str, name: str
) -> tuple[str, str]:
    whose = "" if entity.id == COMPANY else f" --department {entity.key}"
    of = f" --release {made.release.release_id}"
    if column == "plan":
        return made.say(
            "the target in force"
        ), f"kpimart kpi drivers {kpi.kpi_code} --from plan --period {name}{whose}{of}"
    if column == "outlook" or not _is_over(made, period, column):
        vintage = made.say(
            "fact of the months that are over, forecast of {origin} for the others",
            origin=known.origin_on or made.say("none"),
        )
        return vintage, f"kpimart kpi forecast{of}"
    return made.say("fact"), f"kpimart kpi explain {kpi.kpi_code}{whose} --period {name}{of}"


def _is_over(made: Book, period: Period, column: str) -> bool:
    """Whether the period of that column was over in the release: that of the year before may go on."""
    running = made.budget.running
    if made.budget.year.name == running.name or column == "year_before_last":
        return True
    name = name_before(period.name, 1)
    return next((each.is_complete for each in running.periods if each.name == name), True)
