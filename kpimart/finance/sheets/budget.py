"""The sheet that finance fills in: a row per KPI, entity and period, told by the keys in its hidden columns."""

from decimal import Decimal
from typing import Any

from kpimart.finance.budget import Budget, Entity, Inputs, Key, Kpi, Period
from kpimart.finance.results import periods_within, results
from kpimart.finance.sheets.book import Book, Look, cell, cells
from kpimart.language import Language, said

NAME = "Budget"
KEYS = ("kpi_code", "entity_level", "entity_key", "period_grain", "period_start")
SHOWN = (
    *("kpi", "entity", "period", "year_before_last", "last_year", "outlook", "low", "high", "plan"),
    *("input", "result", "to_plan", "to_last_year", "to_outlook", "check"),
)
COLUMNS = KEYS + SHOWN
FORMULAS = ("result", "to_plan", "to_last_year", "to_outlook", "check")
CODES_ROW, HEAD_ROW, FIRST_ROW = 0, 1, 2
AT = {name: place for place, name in enumerate(COLUMNS)}


def rows_of(budget: Budget) -> dict[Key, int]:
    """Key → its row, from 0: KPI by KPI, entity by entity, each quarter after its months and the year last."""
    keys = [
        budget.key(kpi, entity, period)
        for kpi in budget.kpis
        for entity in budget.entities
        for period in budget.year.in_order
    ]
    return {key: FIRST_ROW + place for place, key in enumerate(keys)}


def heads_of(budget: Budget, language: Language) -> list[str]:
    """The heads of the shown columns."""
    year = int(budget.year.name.removeprefix("FY"))
    last = "{year}" if budget.year.name == budget.running.name else "{year}, fact and forecast"
    return [
        said("KPI", language),
        said("Who", language),
        said("Period", language),
        said("{year}", language, year=year - 2),
        said(last, language, year=year - 1),
        said("Forecast {year}", language, year=year),
        said("low, 80 %", language),
        said("high, 80 %", language),
        said("Plan in force", language),
        said("Budget: type here", language),
        said("Budget", language),
        said("± plan", language),
        said("± last year", language),
        said("± forecast", language),
        said("Does not add up by", language),
    ]


def write(made: Book, inputs: Inputs) -> None:
    """Write the sheet, with these inputs in it."""
    widths = dict.fromkeys(range(len(KEYS), len(COLUMNS)), 15.0) | {AT["kpi"]: 28, AT["entity"]: 26, AT["period"]: 11}
    sheet = made.open(NAME, widths=widths, head_row=HEAD_ROW, frozen_columns=AT["year_before_last"])
    sheet.set_column(0, len(KEYS) - 1, None, None, {"hidden": True})
    sheet.set_row(CODES_ROW, None, None, {"hidden": True})
    sheet.set_row(HEAD_ROW, 32)
    for place, code in enumerate(COLUMNS):
        sheet.write_string(CODES_ROW, place, code)
    made.heads(sheet, HEAD_ROW, list(KEYS))
    made.heads(sheet, HEAD_ROW, heads_of(made.budget, made.language), first_column=len(KEYS))
    rows, found = rows_of(made.budget), results(made.budget, inputs)
    sheet.autofilter(HEAD_ROW, 0, max(rows.values(), default=HEAD_ROW + 1), len(COLUMNS) - 1)
    for kpi in made.budget.kpis:
        for entity in made.budget.entities:
            for period in made.budget.year.in_order:
                _Row(made, sheet, rows, kpi, entity, period).write(inputs, found)
    last = max(rows.values(), default=FIRST_ROW)
    sheet.conditional_format(
        FIRST_ROW, AT["check"], last, AT["check"], {"type": "cell", "criteria": "!=", "value": '""', "format": made.bad}
    )
    sheet.print_area(CODES_ROW, AT["kpi"], last, AT["check"])


class _Row:
    """A row of the sheet while it is written."""

    def __init__(self, made: Book, sheet: Any, rows: dict[Key, int], kpi: Kpi, entity: Entity, period: Period) -> None:
        self.made, self.sheet, self.rows = made, sheet, rows
        self.kpi, self.entity, self.period = kpi, entity, period
        self.budget = made.budget
        self.key = self.budget.key(kpi, entity, period)
        self.row = rows[self.key]

    def write(self, inputs: Inputs, found: dict[Key, Decimal | None]) -> None:
        made, sheet, row = self.made, self.sheet, self.row
        is_total = self.period.grain != "month"
        look = Look(self.kpi.number_format, is_total)
        for place, part in enumerate(self.key):
            sheet.write_string(row, place, str(part))
        made.text(sheet, row, AT["kpi"], self.kpi.name, Look(is_total=is_total))
        made.text(sheet, row, AT["entity"], self.entity.name, Look(is_total=is_total, indent=self.entity.depth))
        made.text(sheet, row, AT["period"], self.period.name, Look(is_total=is_total))
        known = self.budget.at(self.kpi, self.entity, self.period)
        for name in ("year_before_last", "last_year", "outlook", "low", "high", "plan"):
            made.number(sheet, row, AT[name], getattr(known, name), look)
        is_open = self.budget.is_open(self.period)
        made.number(
            sheet, row, AT["input"], inputs.get(self.key), Look(self.kpi.number_format, is_total, is_input=is_open)
        )
        if is_open:
            self._validate()
        result = found[self.key]
        made.formula(sheet, row, AT["result"], f"={self._result()}", result, look)
        for name, against, shown in (
            ("to_plan", "plan", None),
            ("to_outlook", "outlook", None),
            ("to_last_year", "last_year", "+0.0%;-0.0%;0.0%"),
        ):
            value = _difference(result, getattr(known, against), is_share=shown is not None)
            formula = self._difference(against, is_share=shown is not None)
            made.formula(sheet, row, AT[name], formula, value, Look(shown or look.number_format, is_total))
        made.formula(sheet, row, AT["check"], f"={self._check()}", self._checked(inputs), look)

    def _validate(self) -> None:
        kind = "decimal" if self.kpi.is_amount else "integer"
        self.sheet.data_validation(
            self.row,
            AT["input"],
            self.row,
            AT["input"],
            {
                "validate": kind,
                "criteria": ">=",
                "value": 0,
                "error_title": self.made.say("Budget"),
                "error_message": self.made.say(
                    "A number of 0 or more, please." if self.kpi.is_amount else "A whole number of 0 or more, please."
                ),
            },
        )

    # --------------------------------------------------------------------------------------------------- its formulas

    def _row(self, entity: Entity, period: Period) -> int:
        return self.rows[self.budget.key(self.kpi, entity, period)]

    def _here(self, name: str) -> str:
        return cell(self.row, AT[name])

    @property
    def _parts(self) -> list[int]:
        return [self._row(self.entity, part) for part in self.budget.year.parts(self.period)]

    @property
    def _children(self) -> list[int]:
        return [self._row(child, self.period) for child in self.budget.children.get(self.entity.id, ())]

    def _result(self) -> str:
        """As `results` has it."""
        planned = f"IF(ISNUMBER({self._here('plan')}),{self._here('plan')},{_sum_of(self._parts, 'result')})"
        formula = planned
        within = periods_within(self.budget, self.period)
        if self._children:
            below = [
                self._row(each, part) for each in self.budget.below(self.entity) for part in (*within, self.period)
            ]
            formula = f"IF(COUNT({cells(below, AT['input'])})>0,{_sum_of(self._children, 'result')},{formula})"
        if within:
            typed = [self._row(self.entity, part) for part in within]
            formula = f"IF(COUNT({cells(typed, AT['input'])})>0,{_sum_of(self._parts, 'result')},{formula})"
        return f"IF(ISNUMBER({self._here('input')}),{self._here('input')},{formula})"

    def _difference(self, against: str, *, is_share: bool) -> str:
        result, other = self._here("result"), self._here(against)
        if is_share:
            return f'=IF(AND(ISNUMBER({result}),N({other})>0),{result}/{other}-1,"")'
        return f'=IF(AND(ISNUMBER({result}),ISNUMBER({other})),{result}-{other},"")'

    def _check(self) -> str:
        """What is typed for the whole, less what is typed for all its parts, or for all its departments."""
        formula = '""'
        for parts in (self._children, self._parts):
            if parts:
                typed = cells(parts, AT["input"])
                rest = f"ROUND({self._here('input')}-SUM({typed}),2)"
                formula = (
                    f"IF(AND(ISNUMBER({self._here('input')}),COUNT({typed})={len(parts)}),"
                    f"IF({rest}<>0,{rest},{formula}),{formula})"
                )
        return formula

    def _checked(self, inputs: Inputs) -> Decimal | None:
        if self.key not in inputs:
            return None
        parts = [self.budget.key(self.kpi, self.entity, part) for part in self.budget.year.parts(self.period)]
        children = [
            self.budget.key(self.kpi, child, self.period) for child in self.budget.children.get(self.entity.id, ())
        ]
        for keys in (parts, children):
            if keys and all(key in inputs for key in keys):
                rest = inputs[self.key] - sum((inputs[key] for key in keys), Decimal(0))
                if rest:
                    return rest
        return None


def _sum_of(rows: list[int], name: str) -> str:
    if not rows:
        return '""'
    places = cells(rows, AT[name])
    return f'IF(COUNT({places})={len(rows)},SUM({places}),"")'


def _difference(result: Decimal | None, other: Decimal | None, *, is_share: bool) -> Decimal | None:
    if result is None or other is None:
        return None
    if is_share:
        return result / other - 1 if other > 0 else None
    return result - other
