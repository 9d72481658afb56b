"""Plan, fact and outlook of the year that goes on: for the month, the quarter, the year so far and the whole year."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from kpimart.finance.budget import NOTHING, Budget, Entity, Figures, Key, Kpi
from kpimart.finance.sheets.book import Book, Look, cell

NAME = "Plan and fact"
AT = {
    name: place
    for place, name in enumerate(
        (
            *("kpi", "entity", "period", "plan", "complete_actual", "forecast", "outlook", "low", "high"),
            *("to_plan", "of_plan", "last_year", "to_last_year"),
        )
    )
}
SHARE, CHANGE = "0.0%", "+0.0%;-0.0%;0.0%"


@dataclass(frozen=True)
class Stretch:
    """What a row is about: its name, and what is known of it for a KPI and an entity."""

    name: str
    period_start: date
    grain: str
    is_to_date: bool = False

    def figures(self, budget: Budget, kpi: Kpi, entity: Entity) -> Figures:
        of = budget.to_date if self.is_to_date else budget.figures
        return of.get(Key(kpi.kpi_code, entity.level, entity.key, self.grain, self.period_start), NOTHING)


def stretches(made: Book) -> list[Stretch]:
    """The last month that is over, the month and the quarter that go on, the year so far and the whole year."""
    running = made.budget.running
    months, quarters = running.of("month"), running.of("quarter")
    over = [month for month in months if month.is_complete]
    going_on = [month for month in months if not month.is_complete]
    quarter = next(each for each in quarters if not each.is_complete)
    found = [Stretch(each.name, each.start, "month") for each in (*over[-1:], *going_on[:1])]
    found.append(Stretch(quarter.name, quarter.start, "quarter"))
    if over:
        so_far = made.say("{year} through {month}", year=running.name, month=over[-1].name)
        found.append(Stretch(so_far, over[-1].start, "month", is_to_date=True))
    return [*found, Stretch(running.name, running.year.start, "year")]


def write(made: Book) -> None:
    """Write the sheet."""
    widths = dict.fromkeys(range(len(AT)), 15.0) | {0: 28.0, 1: 26.0, 2: 24.0}
    sheet = made.open(NAME, widths=widths, head_row=0, frozen_columns=3)
    sheet.set_row(0, 48)
    heads = ("KPI", "Who", "Period", "Plan", "Fact of the months that are over", "Forecast of the rest", "Outlook")
    more = ("low, 80 %", "high, 80 %", "± plan", "of the plan", "Last year", "± last year")
    made.heads(sheet, 0, [made.say(each) for each in (*heads, *more)])
    listed = stretches(made)
    row = 1
    for kpi in made.budget.kpis:
        for entity in made.budget.entities:
            for stretch in listed:
                _write_row(made, sheet, row, kpi, entity, stretch)
                row += 1
    sheet.autofilter(0, 0, max(row - 1, 1), len(AT) - 1)


def _write_row(made: Book, sheet: Any, row: int, kpi: Kpi, entity: Entity, stretch: Stretch) -> None:
    known = stretch.figures(made.budget, kpi, entity)
    is_total = stretch.grain == "year"
    look = Look(kpi.number_format, is_total)
    made.text(sheet, row, AT["kpi"], kpi.name, Look(is_total=is_total))
    made.text(sheet, row, AT["entity"], entity.name, Look(is_total=is_total, indent=entity.depth))
    made.text(sheet, row, AT["period"], stretch.name, Look(is_total=is_total))
    for name in ("plan", "complete_actual", "forecast", "low", "high", "last_year"):
        made.number(sheet, row, AT[name], getattr(known, name), look)
    at = {name: cell(row, place) for name, place in AT.items()}
    both = f"AND(ISNUMBER({at['complete_actual']}),ISNUMBER({at['forecast']}))"
    made.formula(
        sheet,
        row,
        AT["outlook"],
        f'=IF({both},{at["complete_actual"]}+{at["forecast"]},"")',
        known.outlook,
        look,
    )
    for name, against, is_share, shown in (
        ("to_plan", "plan", False, kpi.number_format),
        ("of_plan", "plan", True, SHARE),
        ("to_last_year", "last_year", True, CHANGE),
    ):
        value = _compared(known.outlook, getattr(known, against), is_share=is_share)
        less = "-1" if name == "to_last_year" else ""
        if value is not None and less:
            value -= 1
        if is_share:
            formula = f'=IF(AND(ISNUMBER({at["outlook"]}),N({at[against]})>0),{at["outlook"]}/{at[against]}{less},"")'
        else:
            formula = f'=IF(AND(ISNUMBER({at["outlook"]}),ISNUMBER({at[against]})),{at["outlook"]}-{at[against]},"")'
        made.formula(sheet, row, AT[name], formula, value, Look(shown, is_total))


def _compared(outlook: Decimal | None, other: Decimal | None, *, is_share: bool) -> Decimal | None:
    if outlook is None or other is None or (is_share and other <= 0):
        return None
    return outlook / other if is_share else outlook - other
