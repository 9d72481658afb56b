"""The page of the catalogue."""

from collections.abc import Callable
from pathlib import Path

from page_tables import rows_of
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]


def test_every_kpi_is_told_with_what_dates_it_and_who_is_measured_by_it(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "catalogue")
    assert not page.exception
    found = {row[-1]: row for row in rows_of(page, "Catalogue")}
    assert len(found) == 6
    assert found["won_amount"][:2] == ["Won amount", "Сумма побед"]
    assert found["won_amount"][3:8] == ["won_deals", "when it happened", "currency", "", "growth: departments 2"]
    assert found["win_rate"][7] == ""


def test_a_text_is_searched_for_in_both_languages_and_kept_in_the_address(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "catalogue", q="клиенты")
    assert [row[-1] for row in rows_of(page, "Catalogue")] == ["new_customers"]
    page.text_input(key="q").set_value("LOST").run()
    assert page.query_params == {"q": "LOST"}
    assert [row[-1] for row in rows_of(page, "Catalogue")] == ["lost_deals"]


def test_a_text_that_no_kpi_has_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "catalogue", q="'; drop table kpi_catalogue; --%")
    assert "No KPI has" in page.info[0].value


def test_it_is_told_in_russian(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "catalogue", lang="ru")
    assert {row[4] for row in rows_of(page, "Каталог")} == {"когда произошло"}
    assert not page.exception
