"""Tables of the pages: read in place, and taken along as CSV or Excel."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from html import escape
from zoneinfo import ZoneInfo

import streamlit as st

from kpimart.dashboard.view import View
from kpimart.dashboard.words import day_text
from kpimart.language import Language
from kpimart.publish.workbook import LIKE_A_FORMULA, Cells
from kpimart.render import UNDEFINED, value_text

LONG_TEXT = 32
"""A longer one is broken into lines, of about so many letters at the least."""


@dataclass(frozen=True)
class Quantity:
    """A number with a unit of its own, where those of a column differ; None is undefined."""

    value: Decimal | int | None
    unit: str


Cell = str | int | Decimal | date | Quantity | None


@dataclass(frozen=True)
class Column:
    """A heading, and the unit of the numbers below it; texts and dates have none."""

    title: str
    unit: str = ""


def show_table(view: View, name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """A table called `name`, which must be the only one of its page, with its downloads.

    Cells that are no numbers begin on the left; what is undefined is a dash. Downloads have all digits.
    """
    heads = zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True)
    show_lines(
        name,
        (f"<th scope='col'{_class(*cells)}>{escape(column.title)}</th>" for column, cells in heads),
        (_row(columns, row, view.language) for row in rows),
    )
    titles = [column.title for column in columns]
    with st.container(key=f"downloads-{name}", horizontal=True):
        for kind, made in (("csv", _csv), ("xlsx", _xlsx)):
            st.download_button(
                kind.upper(),
                partial(made, titles, rows),
                f"{name}.{kind}",
                key=f"{kind}-{name}",
                type="tertiary",
                on_click="ignore",
                help=view.say("Download the table: {name}", name=name),
            )


def show_lines(name: str, heads: Iterable[str], lines: Iterable[str]) -> None:
    """A table of HTML: the cells of its head, and of each line."""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table class='figures'><thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table>"
    # Where it is wider than the screen, it is scrolled, by keys too.
    st.html(f"<div class='scrolls' role='region' aria-label='{escape(name)}' tabindex='0'>{table}</div>")


def _row(columns: Sequence[Column], row: Sequence[Cell], language: Language) -> str:
    first, *others = (_text(cell, column.unit, language) for column, cell in zip(columns, row, strict=True))
    cells = [f"<td{_class(cell)}>{escape(text)}</td>" for cell, text in zip(row[1:], others, strict=True)]
    return f"<th scope='row'>{escape(first)}</th>{''.join(cells)}"


def _class(*cells: Cell) -> str:
    """Of a cell, or of the heading of several."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    if not texts:
        return ""
    return " class='text long'" if max(map(len, texts)) > LONG_TEXT else " class=text"


def _text(cell: Cell, unit: str, language: Language) -> str:
    match cell:
        case None:
            return UNDEFINED
        case Quantity(value, own):
            return _text(value, own, language)
        case str():
            return cell
        case date():
            return day_text(cell, language)
        case _:
            return value_text(Decimal(cell), unit)


def _bare(cell: Cell) -> str | int | Decimal | date | None:
    return cell.value if isinstance(cell, Quantity) else cell


def _csv(titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """With the mark by which Excel knows UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([titles, *(map(_inert, row) for row in rows)])
    return text.getvalue().encode("utf-8-sig")


def _inert(cell: Cell) -> str | int | Decimal | date | None:
    """A name out of the CRM is no formula, whatever it begins with."""
    is_formula = isinstance(cell, str) and cell.startswith(LIKE_A_FORMULA)
    return f"'{cell}" if is_formula else _bare(cell)


def _xlsx(titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    file = io.BytesIO()
    # Tables have days and no moments, so the zone says nothing.
    made = Cells(file, ZoneInfo("UTC"), in_memory=True)
    sheet = made.book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, titles, made.head)
    for number, row in enumerate(rows, 1):
        for position, cell in enumerate(row):
            made.cell(sheet, number, position, _bare(cell))
    sheet.autofit()
    made.book.close()
    return file.getvalue()
