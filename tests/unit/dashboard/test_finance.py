"""Finance: what `budget_input` has of the period around a day, and who may take the workbook along."""

from collections.abc import Callable
from pathlib import Path

from page_tables import rows_of
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]


def test_plan_fact_and_outlook_of_a_month_its_year_and_the_year_up_to_it(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "finance", period="2026-12", of="department:files:n")
    assert page.title[0].value == "Won amount, North"
    assert rows_of(page, "Plan, fact, outlook") == [
        ["2026-12", "450.25", "450.25", "–", "500.00", "-49.75", "–"],
        ["year to date, 2026-12", "900.50", "900.50", "–", "1,000.00", "-99.50", "–"],
        ["2026", "900.50", "900.50", "–", "1,000.00", "-99.50", "–"],
    ]
    assert [row[0] for row in rows_of(page, "By department")] == ["North"]


def test_of_the_company_all_departments_are_shown(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "finance", period="2026-12")
    assert [row[0] for row in rows_of(page, "By department")] == ["North", "South [old]"]


def test_scenarios_are_the_ends_of_the_interval_of_the_year_that_goes_on(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "finance", period="2026-12")
    assert rows_of(page, "What the year may come to") == [["2027", "1,100.50", "1,200.00", "1,300.25", "1,250.00"]]


def test_what_a_section_has_nothing_to_say_of_is_told_and_the_others_are_shown(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "finance", period="2026-12")
    assert "is not closed in this release; closed are\\: none" in " ".join(each.value for each in page.caption)
    assert not page.exception


def test_without_anything_to_plan_the_page_says_so(open_page: Open, published: Path) -> None:
    assert open_page(published, "finance").info[0].value == "The release has nothing that could be planned yet."
