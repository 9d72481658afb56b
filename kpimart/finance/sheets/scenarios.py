"""Base, low and high: the forecast of the year and the ends of its interval, with headcount and prices as levers."""

from decimal import Decimal
from typing import Any

from kpimart.finance.budget import Figures, Inputs, Kpi
from kpimart.finance.results import results
from kpimart.finance.sheets import budget as sheet_of_inputs
from kpimart.finance.sheets.book import Book, Look, cell, cells
from kpimart.finance.sheets.parts import Part, parts_of
from kpimart.insight.forecast import FORECAST_KPIS

NAME = "Scenarios"
AT = {
    name: place
    for place, name in enumerate(
        (
            *("kpi", "who", "outlook", "low", "high", "managers", "planned_managers", "price"),
            *("base", "at_low", "at_high", "budget", "to_base"),
        )
    )
}
SCENARIOS = {"base": "outlook", "at_low": "low", "at_high": "high"}
CHANGE = "+0.0%;-0.0%;0.0%"


def write(made: Book, inputs: Inputs) -> None:
    """Write the sheet: for each KPI with a forecast the parts of the company, and all together."""
    widths = dict.fromkeys(range(len(AT)), 14.0) | {0: 28.0, 1: 26.0}
    sheet = made.open(NAME, widths=widths, head_row=0, frozen_columns=2)
    sheet.set_row(0, 48)
    heads = (
        "KPI",
        "Who",
        "Forecast",
        "low, 80 %",
        "high, 80 %",
        "Managers now",
        "Managers planned",
        "Change of prices",
    )
    more = ("Base scenario", "Low scenario", "High scenario", "Budget", "Budget ± base scenario")
    made.heads(sheet, 0, [made.say(each) for each in (*heads, *more)])
    writer = _Writer(made, sheet, inputs)
    for kpi in made.budget.kpis:
        if kpi.kpi_code in FORECAST_KPIS:
            writer.block(kpi)
    note = made.say(
        "The interval of the company is narrower than those of its departments together: not all are low at once. Its "
        "low and high scenarios move as its base scenario does."
    )
    sheet.write_string(writer.row + 1, 0, note, made.note)


class _Writer:
    def __init__(self, made: Book, sheet: Any, inputs: Inputs) -> None:
        self.made, self.sheet = made, sheet
        self.parts = parts_of(made.budget)
        self.rows = sheet_of_inputs.rows_of(made.budget)
        self.found = results(made.budget, inputs)
        self.row = 1

    def block(self, kpi: Kpi) -> None:
        """Write a KPI: its parts, then the company."""
        first = self.row
        bases = [self._part(kpi, part) for part in self.parts]
        self._company(kpi, list(range(first, self.row)), bases)
        self.row += 1

    def _part(self, kpi: Kpi, part: Part) -> Decimal | None:
        made, row, look = self.made, self.row, Look(kpi.number_format)
        budget, year = made.budget, made.budget.year.year
        name = part.entity.name if not part.less else made.say("{whole}, directly", whole=part.entity.name)
        made.text(self.sheet, row, AT["kpi"], kpi.name)
        made.text(self.sheet, row, AT["who"], name, Look(indent=part.entity.depth))
        # The interval of who sits beside departments is not the difference of theirs.
        known = (
            budget.at(kpi, part.entity, year)
            if not part.less
            else Figures(outlook=part.figure(budget, kpi, year, lambda figures: figures.outlook))
        )
        for column in ("outlook", "low", "high"):
            made.number(self.sheet, row, AT[column], getattr(known, column), look)
        managers = part.managers(budget)
        made.number(self.sheet, row, AT["managers"], managers, Look("#,##0"))
        made.number(self.sheet, row, AT["planned_managers"], managers, Look("#,##0.0", is_input=True))
        made.number(self.sheet, row, AT["price"], 0 if kpi.is_amount else None, Look(CHANGE, is_input=kpi.is_amount))
        for scenario, column in SCENARIOS.items():
            value = getattr(known, column)
            made.formula(self.sheet, row, AT[scenario], self._levers(column), value, look)
        self._budget(kpi, part if not part.less else None, known.outlook, is_total=False)
        self.row += 1
        return known.outlook

    def _levers(self, column: str) -> str:
        """What each manager brings stays; prices move amounts."""
        at = {place: cell(self.row, number) for place, number in AT.items()}
        heads = f"IF({at['managers']}>0,{at['planned_managers']}/{at['managers']},1)"
        return f'=IF(ISNUMBER({at[column]}),{at[column]}*{heads}*(1+N({at["price"]})),"")'

    def _company(self, kpi: Kpi, rows: list[int], bases: list[Decimal | None]) -> None:
        made, row, look = self.made, self.row, Look(kpi.number_format, is_total=True)
        company = made.budget.entities[0]
        known = made.budget.at(kpi, company, made.budget.year.year)
        made.text(self.sheet, row, AT["kpi"], kpi.name, Look(is_total=True))
        made.text(self.sheet, row, AT["who"], company.name, Look(is_total=True))
        for column in ("outlook", "low", "high"):
            made.number(self.sheet, row, AT[column], getattr(known, column), look)
        for column in ("managers", "planned_managers"):
            total = sum(part.managers(made.budget) for part in self.parts)
            formula = f"=SUM({cells(rows, AT[column])})"
            made.formula(self.sheet, row, AT[column], formula, total, Look("#,##0.0", is_total=True))
        made.number(self.sheet, row, AT["price"], None, look)
        base = (
            sum((each for each in bases if each is not None), Decimal(0))
            if any(each is not None for each in bases)
            else None
        )
        at = {place: cell(row, number) for place, number in AT.items()}
        columns = cells(rows, AT["base"])
        made.formula(self.sheet, row, AT["base"], f'=IF(COUNT({columns})>0,SUM({columns}),"")', base, look)
        for scenario in ("at_low", "at_high"):
            end = getattr(known, SCENARIOS[scenario])
            value = end * base / known.outlook if end is not None and base is not None and known.outlook else None
            formula = (
                f"=IF(AND(ISNUMBER({at[SCENARIOS[scenario]]}),ISNUMBER({at['base']}),N({at['outlook']})<>0),"
                f'{at[SCENARIOS[scenario]]}*{at["base"]}/{at["outlook"]},"")'
            )
            made.formula(self.sheet, row, AT[scenario], formula, value, look)
        self._budget(kpi, Part(company), base, is_total=True)
        self.row += 1

    def _budget(self, kpi: Kpi, part: Part | None, base: Decimal | None, *, is_total: bool) -> None:
        """The budget as it is filled in, of who has one."""
        made, look = self.made, Look(kpi.number_format, is_total)
        if part is None:
            return
        key = made.budget.key(kpi, part.entity, made.budget.year.year)
        source = made.place(sheet_of_inputs.NAME, self.rows[key], sheet_of_inputs.AT["result"])
        made.formula(self.sheet, self.row, AT["budget"], f"={source}", self.found[key], look)
        budgeted, planned = cell(self.row, AT["budget"]), cell(self.row, AT["base"])
        value = self.found[key]
        made.formula(
            self.sheet,
            self.row,
            AT["to_base"],
            f'=IF(AND(ISNUMBER({budgeted}),ISNUMBER({planned})),{budgeted}-{planned},"")',
            value - base if value is not None and base is not None else None,
            look,
        )
