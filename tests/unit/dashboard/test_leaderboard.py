"""The leaderboard: the places of `reporting`."""

from collections.abc import Callable
from pathlib import Path

from page_tables import rows_of
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]


def test_the_best_stands_first_with_the_figure_of_reporting(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "leaderboard", period="2026-12", kpi="won_amount")
    assert rows_of(page, "Leaderboard") == [
        ["1", "Li", "South [old]", "500.00", ""],
        ["2", "Mo", "North", "450.25", ""],
    ]


def test_a_period_without_places_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "leaderboard", period="week", kpi="won_amount")
    assert "Nobody has a place here" in page.info[0].value
    assert not page.exception
