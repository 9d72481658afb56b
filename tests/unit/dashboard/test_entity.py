"""The pages of a department and of a manager, and what is taken along from their tables."""

import csv
import io
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from streamlit.testing.v1 import AppTest

from kpimart.dashboard.chart import Bar, waterfall_chart
from kpimart.dashboard.table import Cell, Quantity, _csv, _xlsx

Open = Callable[..., AppTest]

TITLES = ["KPI", "Value"]
ROWS: list[list[Cell]] = [
    ["=1+1", Quantity(Decimal("12.345"), "EUR")],
    ["won", None],
    ["rate", Decimal("0.5")],
    ["day", date(2026, 12, 1)],
]


def tables(page: AppTest, name: str) -> str:
    (found,) = [html.value for html in page.html if f"aria-label='{name}'" in html.value]
    return str(found)


def test_the_scorecard_of_a_department_is_shown(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "department", of="department:files:s", period="2026-12")
    assert page.title[0].value == r"South \[old\], December 2026"
    assert "<th scope='row'>Won amount</th>" in tables(page, "Scorecard")
    assert r"Score: **30\.5 %**" in [each.value for each in page.markdown]
    assert not page.exception


@pytest.mark.parametrize(
    ("page", "of", "title"),
    [
        ("department", "manager:files:3", r"South \[old\], December 2026"),
        ("manager", "department:files:s", "Li, December 2026"),
        ("manager", "company", "Li, December 2026"),
    ],
)
def test_of_somebody_the_page_is_not_about_the_nearest_is_shown(
    open_page: Open, staffed: Path, page: str, of: str, title: str
) -> None:
    opened = open_page(staffed, page, of=of)
    assert opened.title[0].value == title
    assert not opened.warning


@pytest.mark.parametrize("period", ["2026-12-01", "week", "2026-12", "quarter"])
@pytest.mark.parametrize("page", ["department", "manager"])
def test_every_grain_has_its_page(open_page: Open, staffed: Path, page: str, period: str) -> None:
    opened = open_page(staffed, page, period=period, lang="ru", basis="as_closed", kpi="won_amount")
    assert not opened.exception
    assert not opened.error
    assert [each.value for each in opened.subheader][-1] == "Портфель сделок"


@pytest.mark.parametrize(("parameter", "shown"), [("lens", "Credit: owner then"), ("basis", "As known now")])
def test_what_cannot_be_chosen_is_told(open_page: Open, staffed: Path, parameter: str, shown: str) -> None:
    page = open_page(staffed, "manager", **{parameter: "'; drop table kpi_value; --"})
    assert shown.replace(":", r"\:") in page.warning[0].value


def test_a_csv_has_all_digits_and_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(_csv(TITLES, ROWS).decode("utf-8-sig"))))
    assert rows == [TITLES, ["'=1+1", "12.345"], ["won", ""], ["rate", "0.5"], ["day", "2026-12-01"]]


def test_a_workbook_has_numbers_dates_and_no_formula() -> None:
    (sheet,) = openpyxl.load_workbook(io.BytesIO(_xlsx(TITLES, ROWS))).worksheets
    (_, formula), (_, won), *_ = [(row[0], row[1]) for row in sheet.iter_rows(min_row=2)]
    assert (sheet["A2"].value, sheet["A2"].data_type) == ("=1+1", "s")
    assert (formula.value, won.value) == (12.345, None)
    assert sheet["B5"].is_date


def test_each_bar_of_a_waterfall_begins_where_the_last_one_ended() -> None:
    amounts = [("before", 10, True), ("won", 5, False), ("lost", -8, False), ("now", 7, True)]
    bars = [Bar(name, Decimal(amount), str(amount), is_total=is_total) for name, amount, is_total in amounts]
    spec = waterfall_chart(bars, "EUR", lambda text: text)
    ends = [(each["start"], each["end"], each["kind"]) for each in spec["data"]["values"]]
    assert ends == [(0, 10, "total"), (10, 15, "up"), (15, 7, "down"), (0, 7, "total")]
