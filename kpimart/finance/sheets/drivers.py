"""Leads × conversion × average amount, by month: what is typed here is won amount at once."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kpimart.finance.budget import Budget, Kpi, Period
from kpimart.finance.sheets.book import Book, Look, cell, cells
from kpimart.finance.sheets.parts import Part, parts_of

NAME = "Drivers"
AT = {
    name: place
    for place, name in enumerate(
        ("who", "period", "leads", "conversion", "average", "deals", "amount", "forecast", "to_forecast")
    )
}
LEADS, DEALS, AMOUNT = "leads_created", "won_deals", "won_amount"
SHARE, FRACTIONS = "0.0%", "#,##0.0"


@dataclass(frozen=True)
class Drivers:
    """What is assumed of a part of the company: deals won per lead, and won amount per deal, of the last 12 months."""

    conversion: Decimal | None
    average: Decimal | None


def drivers_of(budget: Budget, part: Part, kpis: dict[str, Kpi]) -> Drivers:
    """The drivers of a part; None where the last twelve months have nothing to divide by."""
    leads, deals, amount = (_last_months(budget, part, kpis[code]) for code in (LEADS, DEALS, AMOUNT))
    return Drivers(
        conversion=round(deals / leads, 4) if leads > 0 and deals >= 0 else None,
        average=round(amount / deals, 2) if deals > 0 and amount >= 0 else None,
    )


def _last_months(budget: Budget, part: Part, kpi: Kpi) -> Decimal:
    """The sum of the last twelve months that are over: this year's, and of last year's those that are not yet."""
    values = [
        part.figure(budget, kpi, month, _outlook if month.is_complete else _last_year)
        for month in budget.running.of("month")
    ]
    return sum((value for value in values if value is not None), Decimal(0))


def _outlook(known: Any) -> Decimal | None:
    return known.outlook  # type: ignore[no-any-return]


def _last_year(known: Any) -> Decimal | None:
    return known.last_year  # type: ignore[no-any-return]


def write(made: Book) -> None:
    """Write the sheet: each part of the company with its months and its year, and all together."""
    kpis = {kpi.kpi_code: kpi for kpi in made.budget.kpis}
    widths = dict.fromkeys(range(len(AT)), 15.0) | {0: 26.0}
    sheet = made.open(NAME, widths=widths, head_row=0, frozen_columns=2)
    sheet.set_row(0, 32)
    heads = ("Who", "Month", "Leads", "Deals won per lead", "Amount per won deal", "Won deals", "Won amount")
    more = ("Forecast of won amount", "± forecast")
    made.heads(sheet, 0, [made.say(each) for each in (*heads, *more)])
    writer = _Writer(made, sheet, kpis)
    totals = [writer.part(part) for part in parts_of(made.budget)]
    writer.company(totals)


class _Writer:
    def __init__(self, made: Book, sheet: Any, kpis: dict[str, Kpi]) -> None:
        self.made, self.sheet, self.kpis = made, sheet, kpis
        self.row = 1
        self.amounts: dict[int, dict[str, Decimal | None]] = {}

    def part(self, part: Part) -> int:
        """Write a part's months, and its year below them; returns the row of the year."""
        budget = self.made.budget
        name = part.entity.name if not part.less else self.made.say("{whole}, directly", whole=part.entity.name)
        assumed = drivers_of(budget, part, self.kpis)
        first = self.row
        for month in budget.year.of("month"):
            self._month(name, part, month, assumed)
        return self._total(name, list(range(first, self.row)))

    def company(self, totals: list[int]) -> None:
        self._total(self.made.budget.entities[0].name, totals)

    def _month(self, name: str, part: Part, month: Period, assumed: Drivers) -> None:
        budget, made, row = self.made.budget, self.made, self.row
        leads = part.figure(budget, self.kpis[LEADS], month, _outlook)
        if leads is None:
            leads = part.figure(budget, self.kpis[LEADS], month, _last_year)
        forecast = part.figure(budget, self.kpis[AMOUNT], month, _outlook)
        made.text(self.sheet, row, AT["who"], name)
        made.text(self.sheet, row, AT["period"], month.name)
        for place, value, shown in (
            ("leads", leads, FRACTIONS),
            ("conversion", assumed.conversion, SHARE),
            ("average", assumed.average, self.kpis[AMOUNT].number_format),
        ):
            made.number(self.sheet, row, AT[place], value, Look(shown, is_input=True))
        deals = leads * assumed.conversion if leads is not None and assumed.conversion is not None else None
        amount = deals * assumed.average if deals is not None and assumed.average is not None else None
        at = {place: cell(row, column) for place, column in AT.items()}
        self._product("deals", at["leads"], at["conversion"], deals, FRACTIONS)
        self._product("amount", at["deals"], at["average"], amount, self.kpis[AMOUNT].number_format)
        made.number(self.sheet, row, AT["forecast"], forecast, Look(self.kpis[AMOUNT].number_format))
        self._finish({"leads": leads, "deals": deals, "amount": amount, "forecast": forecast}, is_total=False)

    def _product(self, name: str, left: str, right: str, value: Decimal | None, shown: str) -> None:
        formula = f'=IF(AND(ISNUMBER({left}),ISNUMBER({right})),{left}*{right},"")'
        self.made.formula(self.sheet, self.row, AT[name], formula, value, Look(shown))

    def _total(self, name: str, rows: list[int]) -> int:
        """Sums of the rows above; conversion and average amount are those of the sums."""
        made, row = self.made, self.row
        made.text(self.sheet, row, AT["who"], name, Look(is_total=True))
        made.text(self.sheet, row, AT["period"], made.budget.year.name, Look(is_total=True))
        sums: dict[str, Decimal | None] = {}
        for column in ("leads", "deals", "amount", "forecast"):
            values = [self.amounts[each][column] for each in rows]
            known = [value for value in values if value is not None]
            sums[column] = sum(known, Decimal(0))
            shown = self.kpis[AMOUNT].number_format if column in ("amount", "forecast") else FRACTIONS
            formula = f"=SUM({cells(rows, AT[column])})"
            made.formula(self.sheet, row, AT[column], formula, sums[column], Look(shown, is_total=True))
        at = {place: cell(row, column) for place, column in AT.items()}
        for column, above, below, shown in (
            ("conversion", "deals", "leads", SHARE),
            ("average", "amount", "deals", self.kpis[AMOUNT].number_format),
        ):
            top, bottom = sums[above], sums[below]
            value = top / bottom if top is not None and bottom else None
            formula = f'=IF({at[below]}>0,{at[above]}/{at[below]},"")'
            made.formula(self.sheet, row, AT[column], formula, value, Look(shown, is_total=True))
        self._finish(sums, is_total=True)
        return row

    def _finish(self, values: dict[str, Decimal | None], *, is_total: bool) -> None:
        amount, forecast = values["amount"], values["forecast"]
        at = {place: cell(self.row, column) for place, column in AT.items()}
        both = f"AND(ISNUMBER({at['amount']}),ISNUMBER({at['forecast']}))"
        self.made.formula(
            self.sheet,
            self.row,
            AT["to_forecast"],
            f'=IF({both},{at["amount"]}-{at["forecast"]},"")',
            amount - forecast if amount is not None and forecast is not None else None,
            Look(self.kpis[AMOUNT].number_format, is_total),
        )
        self.amounts[self.row] = values
        self.row += 1
