"""What all sheets share: their names, formats, protection, how they print, and how cells are written."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import IO, Any

import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_cell_to_rowcol, xl_col_to_name, xl_rowcol_to_cell  # type: ignore[import-untyped]

from kpimart.finance.budget import Budget
from kpimart.language import Language, said
from kpimart.publish.shelf import Release
from kpimart.publish.workbook import LIKE_A_FORMULA, OPTIONS, cell_text

INPUT_COLOUR, HEAD_COLOUR, TOTAL_COLOUR = "#FFF6CC", "#E8ECF1", "#F5F7F9"
A4 = 9
SHEETS = ("Notes", "Budget", "Overview", "Plan and fact", "Drivers", "Scenarios", "Audit")

Number = Decimal | int | float


@dataclass(frozen=True)
class Look:
    """How a cell is shown: its number format, and what it is."""

    number_format: str = "General"
    is_total: bool = False
    is_input: bool = False
    indent: int = 0


class Book:
    """The workbook while it is written."""

    def __init__(self, file: IO[bytes], budget: Budget, release: Release, language: Language) -> None:
        self.book = xlsxwriter.Workbook(file, OPTIONS)
        self.budget = budget
        self.release = release
        self.language = language
        self.sheets = {name: self.book.add_worksheet(self.say(name)) for name in SHEETS}
        self.look = cache(self._format)
        self.head = self.book.add_format(
            {"bold": True, "bg_color": HEAD_COLOUR, "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self.title = self.book.add_format({"bold": True, "font_size": 14})
        self.note = self.book.add_format({"italic": True, "font_color": "#5A6572"})
        self.wrapped = self.book.add_format({"text_wrap": True, "valign": "top"})
        self.bad = self.book.add_format({"font_color": "#B00020", "bold": True})

    def say(self, english: str, **values: object) -> str:
        """A phrase in the workbook's language."""
        return said(english, self.language, **values)

    def _format(self, look: Look, *, is_text_kept: bool = False) -> Any:
        properties: dict[str, object] = {"num_format": look.number_format, "indent": look.indent}
        if look.is_total:
            properties |= {"bold": True, "bg_color": TOTAL_COLOUR}
        if look.is_input:
            properties |= {"locked": False, "bg_color": INPUT_COLOUR, "border": 1, "border_color": "#D9C66A"}
        if is_text_kept:
            properties["quote_prefix"] = True
        return self.book.add_format(properties)

    def open(self, name: str, *, widths: dict[int, float], head_row: int, frozen_columns: int) -> Any:
        """A sheet that is protected against slips, and prints: landscape, as wide as the page, its head on each."""
        sheet = self.sheets[name]
        for column, width in widths.items():
            sheet.set_column(column, column, width)
        sheet.freeze_panes(head_row + 1, frozen_columns)
        sheet.protect(
            "",
            {"format_columns": True, "format_rows": True, "sort": True, "autofilter": True, "insert_hyperlinks": True},
        )
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(head_row)
        sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
        sheet.set_footer(f"&L{self.release.release_id}&C&A&R&P / &N")
        return sheet

    def text(self, sheet: Any, row: int, column: int, value: str, look: Look = Look()) -> None:
        """A text that stays one, whatever it begins with."""
        shown = cell_text(value)
        sheet.write_string(row, column, shown, self.look(look, is_text_kept=shown.startswith(LIKE_A_FORMULA)))

    def number(self, sheet: Any, row: int, column: int, value: Number | None, look: Look) -> None:
        """A number, or an empty cell of the same look."""
        if value is None:
            sheet.write_blank(row, column, None, self.look(look))
        else:
            sheet.write_number(row, column, float(value), self.look(look))

    def formula(self, sheet: Any, row: int, column: int, formula: str, value: Number | None, look: Look) -> None:
        """A formula, with its result for who opens the file without calculating; None is the empty text."""
        sheet.write_formula(row, column, formula, self.look(look), "" if value is None else float(value))

    def heads(self, sheet: Any, row: int, texts: list[str], first_column: int = 0) -> None:
        """The heads of columns."""
        for place, text in enumerate(texts):
            sheet.write_string(row, first_column + place, cell_text(text[:1].upper() + text[1:]), self.head)

    def place(self, name: str, row: int, column: int) -> str:
        """A cell of another sheet, for a formula."""
        return f"'{self.say(name)}'!{xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True)}"


def cell(row: int, column: int) -> str:
    """A cell of the same sheet, such as K14."""
    return str(xl_rowcol_to_cell(row, column))


def row_and_column(name: str) -> tuple[int, int]:
    """Row and column of a cell, from 0."""
    row, column = xl_cell_to_rowcol(name)
    return int(row), int(column)


def cells(rows: list[int], column: int) -> str:
    """Cells of a column as the arguments of a function, neighbours as one range."""
    letter, runs = xl_col_to_name(column), list[list[int]]()
    for row in sorted(rows):
        if runs and row == runs[-1][-1] + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return ",".join(
        f"{letter}{run[0] + 1}" if len(run) == 1 else f"{letter}{run[0] + 1}:{letter}{run[-1] + 1}" for run in runs
    )
