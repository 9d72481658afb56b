"""The words of the pages."""

import ast
import string
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpimart.dashboard import words
from kpimart.dashboard.words import age_text, days_text, language_of, period_text, plain
from kpimart.language import RUSSIAN

PAGES = Path(words.__file__).parent


def phrases(module: Path) -> Iterator[str]:
    """What a module has said."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("say") and node.args:
            yield from (each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant))


@pytest.mark.parametrize("module", sorted(PAGES.glob("*.py")), ids=lambda module: module.stem)
def test_whatever_is_said_is_said_in_russian_too(module: Path) -> None:
    assert [phrase for phrase in phrases(module) if phrase not in RUSSIAN] == []


@pytest.mark.parametrize(
    ("asked", "browser", "language"),
    [("ru", "en-US", "ru"), ("en", "ru-RU", "en"), (None, "ru-RU", "ru"), (None, "de-DE", "en"), ("xx", None, "en")],
)
def test_the_address_comes_before_the_browser(asked: str | None, browser: str | None, language: str) -> None:
    assert language_of(asked, browser) == language


@pytest.mark.parametrize(
    ("name", "grain", "start", "english", "russian"),
    [
        ("2026-09", "month", date(2026, 9, 1), "September 2026", "Сентябрь 2026"),
        ("FY2026-P08", "month", date(2026, 9, 3), "FY2026-P08", "FY2026-P08"),
        ("2026-Q3", "quarter", date(2026, 7, 1), "2026-Q3", "2026-Q3"),
        ("2026-09-01", "day", date(2026, 9, 1), "1 Sept 2026", "1 сент. 2026"),
    ],
)
def test_a_period_is_called_as_people_call_it(name: str, grain: str, start: date, english: str, russian: str) -> None:
    assert period_text(name, grain, start, "en") == english
    assert period_text(name, grain, start, "ru") == russian


def test_days_stand_before_their_month() -> None:
    assert days_text(date(2026, 10, 1), date(2026, 12, 31), "en").replace("\u2009", "") == "1 Oct–31 Dec 2026"


@pytest.mark.parametrize(
    ("age", "english", "russian"),
    [
        (timedelta(minutes=90), "90 minutes ago", "90 минут назад"),
        (timedelta(hours=26), "26 hours ago", "26 часов назад"),
        (timedelta(days=5), "5 days ago", "5 дней назад"),
        (timedelta(days=-5), "in 5 days", "через 5 дней"),
    ],
)
def test_an_age_has_the_unit_that_it_is_told_in(age: timedelta, english: str, russian: str) -> None:
    assert (age_text(age, "en"), age_text(age, "ru")) == (english, russian)


@given(st.text(string.printable))
def test_a_name_has_no_markup(name: str) -> None:
    shown = plain(name)
    for mark in r"`*_[]<>$":
        assert shown.count(mark) == shown.count(f"\\{mark}")
