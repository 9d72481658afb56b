"""The budget workbook as somebody finds it who opens it."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kpimart.errors import SettingsError
from kpimart.finance.budget import Key, read_budget
from kpimart.finance.results import results
from kpimart.finance.sheets.audit import name_before
from kpimart.finance.sheets.budget import AT, COLUMNS, FIRST_ROW, FORMULAS, KEYS
from kpimart.language import RUSSIAN

SHEETS = ["Notes", "Budget", "Overview", "Plan and fact", "Drivers", "Scenarios", "Audit", "kpimart"]


def year_of(entity: str, level: str = "department", code: str = "won_amount", year: int = 2027) -> Key:
    return Key(code, level, entity, "year", date(year, 1, 1))


def month_of(entity: str, month: int, level: str = "department", code: str = "won_amount") -> Key:
    return Key(code, level, entity, "month", date(2027, month, 1))


def rows_by_key(sheet: Any) -> dict[str, Any]:
    """Key → the row's cells by column code."""
    return {
        "|".join(str(cell.value) for cell in row[: len(KEYS)]): {name: row[place] for name, place in AT.items()}
        for row in sheet.iter_rows(min_row=FIRST_ROW + 1)
    }


def test_the_workbook_has_a_sheet_a_question(planning: Any) -> None:
    planning.export()
    book = planning.book()
    assert book.sheetnames == SHEETS
    assert book["kpimart"].sheet_state == "veryHidden"
    assert book.active.title == "Budget"
    assert book.properties.title == "Budget 2027"
    properties = {each.name: each.value for each in book.custom_doc_props.props}
    assert properties["kpimart release_id"] == planning.release.release_id
    assert properties["kpimart year"] == "2027"


def test_a_row_has_last_years_the_forecast_the_plan_and_its_keys_hidden(planning: Any) -> None:
    """West of 2027: last year's twelve months; of North 300 a day and Eve's 100, South 100 and Dan's half, Gus 100."""
    planning.export()
    sheet = planning.book(values=True)["Budget"]
    assert [cell.value for cell in sheet[1]] == list(COLUMNS)
    assert sheet.row_dimensions[1].hidden
    assert sheet.column_dimensions["A"].hidden
    row = rows_by_key(sheet)["won_amount|department|files:n|month|2027-01-01"]
    assert [row[name].value for name in ("kpi", "entity", "period")] == ["Won amount", "North", "2027-01"]
    assert [row[name].value for name in ("year_before_last", "last_year", "outlook")] == [6600, 6600, 8800]
    assert row["low"].value < 8800 < row["high"].value
    assert row["entity"].alignment.indent == 2


def test_only_the_cells_to_type_in_are_open(planning: Any) -> None:
    planning.export()
    for sheet in planning.book():
        assert sheet.protection.sheet, sheet.title
        assert not sheet.protection.password
    rows = rows_by_key(planning.book()["Budget"])
    assert all(not row["input"].protection.locked for row in rows.values())
    assert all(row[name].protection.locked for row in rows.values() for name in COLUMNS if name != "input")


def test_what_is_over_is_planned_no_more(planning: Any) -> None:
    planning.export(2026)
    rows = rows_by_key(planning.book()["Budget"])
    is_open = {
        key.rpartition("|")[0].rpartition("|")[2] + key[-10:]: not row["input"].protection.locked
        for key, row in rows.items()
        if key.startswith("won_amount|company")
    }
    assert [key for key, each in is_open.items() if each] == [
        "month2026-10-01",
        "month2026-11-01",
        "month2026-12-01",
        "quarter2026-10-01",
    ]


def test_it_prints_on_landscape_pages_with_its_head_on_each(planning: Any) -> None:
    planning.export()
    for sheet in planning.book():
        if sheet.title != "kpimart":
            assert sheet.page_setup.orientation == "landscape"
            assert sheet.sheet_properties.pageSetUpPr.fitToPage
            assert sheet.page_setup.fitToHeight == 0
            assert sheet.print_title_rows


def test_the_overview_has_a_chart_for_each_kpi_and_one_for_the_departments(planning: Any) -> None:
    planning.export()
    assert len(planning.book()["Overview"]._charts) == 5


def test_texts_never_become_formulas(planning: Any) -> None:
    planning.export()
    for sheet in planning.book():
        for row in sheet.iter_rows():
            assert all("=East" not in str(cell.value) or cell.data_type == "s" for cell in row)
    named = [row["entity"] for row in rows_by_key(planning.book()["Budget"]).values() if row["entity"].value == "=East"]
    assert named
    assert all(cell.quotePrefix for cell in named)


def test_every_phrase_of_the_workbook_is_known_in_russian(planning: Any) -> None:
    planning.export(language="ru")
    book = planning.book()
    assert book.sheetnames[:3] == ["О файле", "Бюджет", "Обзор"]
    shown = [str(cell.value) for sheet in book.worksheets[:-1] for row in sheet.iter_rows() for cell in row]
    english = {phrase for phrase, russian in RUSSIAN.items() if len(phrase) > 12 and phrase != russian}
    assert [text for text in shown if text in english] == []
    assert "Сумма побед" in shown


def test_the_audit_names_the_command_that_shows_the_deals_of_a_cell(planning: Any) -> None:
    planning.export()
    rows = [[cell.value for cell in row] for row in planning.book(values=True)["Audit"].iter_rows()]
    served = planning.release.release_id
    assert f"kpimart verify {served}" in rows[0][0]
    assert "2026-10-16 00:00 CEST" in rows[0][0]
    told = {row[0]: row[3:] for row in rows[2:] if row[1:3] == ["Won amount", "North"]}
    place = next(cell for cell, row in told.items() if row[0] == "2025-01")
    assert re.fullmatch(r"I\d+", place)
    assert told[place][-1] == f"kpimart kpi explain won_amount --department files:n --period 2025-01 --release {served}"
    going_on = next(row for cell, row in told.items() if cell.startswith("J") and row[0] == "2026-11")
    assert going_on[2] == "fact of the months that are over, forecast of 2026-09-30 for the others"
    assert going_on[-1] == f"kpimart kpi forecast --release {served}"


@pytest.mark.parametrize(
    ("name", "before"), [("2027-03", "2026-03"), ("FY2027-Q1", "FY2026-Q1"), ("FY2027-P10", "FY2026-P10")]
)
def test_a_period_a_year_before_is_called_alike(name: str, before: str) -> None:
    assert name_before(name, 1) == before


def test_the_plan_and_fact_sheet_ends_where_the_year_does(planning: Any) -> None:
    """The company brought 71,850 in nine months of 2026: checked against budget_input, and its outlook is their sum."""
    planning.export()
    rows = [[cell.value for cell in row] for row in planning.book(values=True)["Plan and fact"].iter_rows(min_row=2)]
    of_company = {row[2]: row for row in rows if row[:2] == ["Won amount", "Company"]}
    assert list(of_company) == ["2026-09", "2026-10", "2026-Q4", "2026 through 2026-09", "2026"]
    whole = of_company["2026"]
    assert whole[3] == 480_000
    assert whole[6] == whole[4] + whole[5]
    assert whole[9] == whole[6] - 480_000
    assert whole[10] == pytest.approx(whole[6] / 480_000)


def test_drivers_come_to_what_leads_bring(planning: Any) -> None:
    """Of each four leads of Fay one deal is won: 4 × 25 % × her mean amount, twelve times."""
    planning.export()
    rows = [[cell.value for cell in row] for row in planning.book(values=True)["Drivers"].iter_rows(min_row=2)]
    january = next(row for row in rows if row[:2] == ["=East", "2027-01"])
    assert january[2:4] == [4, 0.25]
    assert january[6] == pytest.approx(january[4])
    names = {row[0] for row in rows}
    assert names == {"Company", "West, directly", "North", "South", "=East"}
    company = rows[-1]
    assert company[6] == pytest.approx(sum(row[6] for row in rows[:-1] if row[1] == "2027"))


def test_scenarios_begin_at_the_forecast_and_its_interval(planning: Any) -> None:
    planning.export()
    rows = [[cell.value for cell in row] for row in planning.book(values=True)["Scenarios"].iter_rows(min_row=2)]
    north = next(row for row in rows if row[:2] == ["Won amount", "North"])
    assert north[5:8] == [3, 3, 0]
    assert north[8:11] == north[2:5]
    company = next(row for row in rows if row[:2] == ["Won amount", "Company"])
    assert company[5] == 6
    assert company[8] == pytest.approx(company[2])


@pytest.mark.parametrize("year", [2025, 2028])
def test_a_year_that_cannot_be_planned_is_refused(planning: Any, year: int) -> None:
    with pytest.raises(
        SettingsError, match=f"year {year} is not one that this release can plan, which are: 2026 and 2027"
    ):
        planning.export(year)
    assert not planning.file.exists()


# ------------------------------------------------------------------------------------------------- what it comes to


def test_results_are_what_is_typed_the_parts_that_were_typed_or_the_plan(planning: Any) -> None:
    """North's months are typed, South's year: West is theirs, the company waits for East, which has no plan."""
    budget = read_budget(planning.release.database, 2027, "en")
    inputs = {month_of("files:n", month): Decimal(1000) for month in range(1, 13)} | {year_of("files:s"): Decimal(500)}
    found = results(budget, inputs)
    assert found[year_of("files:n")] == 12_000
    assert found[Key("won_amount", "department", "files:n", "quarter", date(2027, 4, 1))] == 3000
    assert found[year_of("files:w")] == 12_500
    assert found[year_of("company", "company")] is None
    assert found[month_of("files:w", 1)] is None
    of_this_year = results(read_budget(planning.release.database, 2026, "en"), {})
    assert of_this_year[year_of("company", "company", year=2026)] == 480_000


def test_every_formula_is_there_whatever_is_typed(planning: Any) -> None:
    planning.export(inputs={year_of("files:s"): Decimal(500)})
    for row in rows_by_key(planning.book()["Budget"]).values():
        assert all(row[name].data_type == "f" for name in FORMULAS)


def test_what_does_not_add_up_is_shown_beside_it(planning: Any) -> None:
    typed = {month_of("files:n", month): Decimal(1000) for month in range(1, 13)}
    quarters = {
        Key("won_amount", "department", "files:n", "quarter", date(2027, month, 1)): Decimal(3000)
        for month in (1, 4, 7)
    }
    wrong = {Key("won_amount", "department", "files:n", "quarter", date(2027, 10, 1)): Decimal(3100)}
    planning.export(inputs=typed | quarters | wrong)
    rows = rows_by_key(planning.book(values=True)["Budget"])
    checks = {key: row["check"].value for key, row in rows.items() if row["check"].value}
    assert checks == {"won_amount|department|files:n|quarter|2027-10-01": 100}


def test_a_file_that_is_no_workbook_is_not_written(planning: Any, tmp_path: Path) -> None:
    planning.file = tmp_path / "budget.csv"
    with pytest.raises(SettingsError, match=r"ends in \.xlsx"):
        planning.export()
