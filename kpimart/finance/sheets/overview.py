"""The company month by month, KPI by KPI, with a chart each; and its departments."""

from typing import Any

from kpimart.finance.budget import Budget, Entity, Inputs, Kpi, Period
from kpimart.finance.results import results
from kpimart.finance.sheets import budget as sheet_of_inputs
from kpimart.finance.sheets.book import Book, Look

NAME = "Overview"
FIGURES = ("year_before_last", "last_year", "outlook", "low", "high", "plan")
FIRST, BUDGET = 1, 1 + len(FIGURES)
CHART_COLUMN = BUDGET + 2
BLOCKS_A_PAGE = 3
COLOURS = {"last_year": "#B8C4D0", "outlook": "#2F6DB5", "low": "#9DBFE6", "high": "#9DBFE6", "plan": "#7A5C99"}
BUDGET_COLOUR = "#E0A030"


def write(made: Book, inputs: Inputs) -> None:
    """Write the sheet; its budget follows the sheet that is filled in."""
    widths = {0: 26.0} | dict.fromkeys(range(1, BUDGET + 1), 15.0)
    sheet = made.open(NAME, widths=widths, head_row=0, frozen_columns=1)
    heads = sheet_of_inputs.heads_of(made.budget, made.language)
    made.heads(sheet, 0, [heads[2], *heads[3:9], heads[10]])
    sheet.set_row(0, 32)
    block = _Block(made, sheet, inputs)
    company, *departments = made.budget.entities
    starts = [2]
    for kpi in made.budget.kpis:
        starts.append(block.of_months(starts[-1], kpi, company))
    for kpi in made.budget.kpis[:1]:
        block.of_departments(starts[-1], kpi, [each for each in departments if each.depth <= 2])
    sheet.set_h_pagebreaks(starts[BLOCKS_A_PAGE::BLOCKS_A_PAGE])


class _Block:
    def __init__(self, made: Book, sheet: Any, inputs: Inputs) -> None:
        self.made, self.sheet = made, sheet
        self.rows = sheet_of_inputs.rows_of(made.budget)
        self.found = results(made.budget, inputs)

    @property
    def budget(self) -> Budget:
        return self.made.budget

    def of_months(self, row: int, kpi: Kpi, company: Entity) -> int:
        """Write the months and the year of a KPI, and the chart of the months; returns the first row after them."""
        self.sheet.write_string(row, 0, f"{kpi.name}, {kpi.unit}", self.made.title)
        months = self.budget.year.of("month")
        for place, period in enumerate([*months, self.budget.year.year]):
            self._line(row + 1 + place, period.name, kpi, company, period)
        chart = self.made.book.add_chart({"type": "column"})
        for column in ("last_year", None):
            chart.add_series(self._series(row + 1, len(months), column))
        lines = self.made.book.add_chart({"type": "line"})
        for column in ("outlook", "low", "high", "plan"):
            lines.add_series(self._series(row + 1, len(months), column))
        chart.combine(lines)
        self._insert(chart, row, f"{kpi.name}, {kpi.unit}")
        return row + max(len(months) + 3, 18)

    def of_departments(self, row: int, kpi: Kpi, departments: list[Entity]) -> None:
        """Write the year of each department, and a chart of them."""
        self.sheet.write_string(row, 0, f"{kpi.name}, {self.budget.year.name}", self.made.title)
        for place, entity in enumerate(departments):
            self._line(row + 1 + place, entity.name, kpi, entity, self.budget.year.year, indent=entity.depth - 1)
        if departments:
            chart = self.made.book.add_chart({"type": "column"})
            for column in ("last_year", "outlook", None):
                chart.add_series(self._series(row + 1, len(departments), column))
            self._insert(chart, row, f"{kpi.name}, {self.budget.year.name}")

    def _line(self, row: int, name: str, kpi: Kpi, entity: Entity, period: Period, indent: int = 0) -> None:
        look = Look(kpi.number_format, is_total=period.grain == "year" and entity.level == "company")
        self.made.text(self.sheet, row, 0, name, Look(is_total=look.is_total, indent=indent))
        known = self.budget.at(kpi, entity, period)
        for place, column in enumerate(FIGURES):
            self.made.number(self.sheet, row, FIRST + place, getattr(known, column), look)
        key = self.budget.key(kpi, entity, period)
        source = self.made.place(sheet_of_inputs.NAME, self.rows[key], sheet_of_inputs.AT["result"])
        self.made.formula(self.sheet, row, BUDGET, f"={source}", self.found[key], look)

    def _series(self, first: int, count: int, column: str | None) -> dict[str, Any]:
        place = BUDGET if column is None else FIRST + FIGURES.index(column)
        name = self.made.say(NAME)
        colour = COLOURS[column] if column else BUDGET_COLOUR
        look = {"color": colour, "width": 1 if column in ("low", "high") else 2.25}
        if column in ("low", "high"):
            look["dash_type"] = "dash"
        return {
            "name": [name, 0, place],
            "categories": [name, first, 0, first + count - 1, 0],
            "values": [name, first, place, first + count - 1, place],
            "line": look,
            "fill": {"color": colour},
            "gap": 60,
        }

    def _insert(self, chart: Any, row: int, title: str) -> None:
        chart.set_title({"name": title, "name_font": {"size": 11}})
        chart.set_legend({"position": "bottom"})
        chart.set_y_axis({"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#E0E4E8"}}})
        chart.set_size({"width": 760, "height": 330})
        alike = self.made.say("Last year, forecast with its interval, plan and budget: the figures stand on the left.")
        self.sheet.insert_chart(row, CHART_COLUMN, chart, {"description": f"{title}. {alike}"})
