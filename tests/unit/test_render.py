"""Figures as people write them."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType

from kpimart import render
from kpimart.figures import Figure, Figures, Kpi, Period
from kpimart.render import change_text, figures_table, rows_table, value_text

Screen = pytest.CaptureFixture[str]

UNITS = ["EUR", "EUR_per_day", "count", "days", "ratio"]
VALUES = st.decimals(-(10**15), 10**15, places=8)

WON = Kpi("won_amount", "Won amount", "currency", "higher")
LOST = Kpi("lost_deals", "Lost deals", "count", "lower")
DECEMBER = Period("month", date(2026, 12, 1), date(2026, 12, 31), True, date(2026, 11, 1))
JANUARY = Period("month", date(2027, 1, 1), date(2027, 1, 31), False, date(2026, 12, 1))


def figure(kpi: Kpi, now: str | None, before: str | None, unit: str, name: str = "North") -> Figure:
    return Figure(f"files:{name}", name, kpi.kpi_code, now and Decimal(now), before and Decimal(before), unit, 3)


def shown(capsys: Screen, *told: RenderableType) -> str:
    """What a pipe gets."""
    console = render.console()
    for part in told:
        console.print(part)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("3086111", "EUR", "3,086,111.00"),
        ("10005534.129", "EUR", "10,005,534.13"),
        ("-1234.5", "EUR", "-1,234.50"),
        ("1254", "count", "1,254"),
        ("0", "count", "0"),
        ("0.6171", "ratio", "61.7 %"),
        ("12.345", "ratio", "1,234.5 %"),
        ("51.78", "days", "51.8"),
        ("1000.04", "days", "1,000.0"),
        ("1234.567", "EUR_per_day", "1,234.57"),
    ],
)
def test_a_value_has_separators_and_the_places_of_its_unit(value: str, unit: str, text: str) -> None:
    assert value_text(Decimal(value), unit) == text


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_undefined_is_a_dash(unit: str) -> None:
    assert value_text(None, unit) == "–"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("value", ["-0", "-0.0001", "-0.00049"])
def test_there_is_no_negative_zero(value: str, unit: str) -> None:
    assert "-" not in value_text(Decimal(value), unit)


@pytest.mark.parametrize(
    ("now", "before", "unit", "text"),
    [
        ("125", "100", "EUR", "▲ +25.0 %"),
        ("75", "100", "count", "▼ -25.0 %"),
        ("100", "100", "days", "→ +0.0 %"),
        ("-50", "-100", "EUR", "▲ +50.0 %"),
        ("2000", "1", "EUR", "▲ +199,900.0 %"),
        ("0.615", "0.6", "ratio", "▲ +1.5 pp"),
        ("0.6", "0.615", "ratio", "▼ -1.5 pp"),
        ("0.5", "0", "ratio", "▲ +50.0 pp"),
        ("5", "0", "count", "▲ from 0"),
        ("-5", "0", "EUR", "▼ from 0"),
        ("0", "0", "count", "→"),
    ],
)
def test_a_change_has_its_sign_and_an_arrow(now: str, before: str, unit: str, text: str) -> None:
    assert change_text(Decimal(now), Decimal(before), unit) == text


def test_a_change_is_told_in_russian_too() -> None:
    assert change_text(Decimal("0.615"), Decimal("0.6"), "ratio", "ru") == "▲ +1.5 п. п."
    assert change_text(Decimal(5), Decimal(0), "count", "ru") == "▲ с 0"


@pytest.mark.parametrize(("now", "before"), [(None, Decimal(1)), (Decimal(1), None), (None, None)])
def test_there_is_no_change_on_or_to_what_is_undefined(now: Decimal | None, before: Decimal | None) -> None:
    assert change_text(now, before, "EUR") == ""


@pytest.mark.parametrize(
    ("now", "before", "unit", "text"),
    [
        ("0.60001", "0.6", "ratio", "→ +0.0 pp"),
        ("0.6", "0.60001", "ratio", "→ +0.0 pp"),
        ("999999", "1000000", "EUR", "→ +0.0 %"),
    ],
)
def test_a_change_too_small_to_be_shown_points_nowhere(now: str, before: str, unit: str, text: str) -> None:
    assert change_text(Decimal(now), Decimal(before), unit) == text


@given(now=VALUES, before=VALUES, unit=st.sampled_from(UNITS))
def test_an_arrow_never_disagrees_with_the_sign_beside_it(now: Decimal, before: Decimal, unit: str) -> None:
    arrow, *told = change_text(now, before, unit).split()
    if told and told[0] != "from":
        number = Decimal(told[0].replace(",", ""))
        assert arrow == ("▲" if number > 0 else "▼" if number < 0 else "→")
        assert told[0].startswith("-" if number < 0 else "+")


def test_a_complete_period_is_compared_with_the_one_before(capsys: Screen) -> None:
    figures = Figures(DECEMBER, (WON, LOST), (figure(WON, "125", "100", "EUR"), figure(LOST, "4", "5", "count")))
    lines = shown(capsys, figures_table(figures, "department")).splitlines()
    assert lines[0].strip() == "2026-12-01 … 2026-12-31"
    assert lines[2] == "┃ Department ┃ Won amount, EUR ┃ Lost deals ┃"
    assert lines[4] == "│ North      │          125.00 │          4 │"
    assert lines[5] == "│            │       ▲ +25.0 % │  ▼ -20.0 % │"


def test_a_period_that_goes_on_shows_the_one_before_instead_of_a_change(capsys: Screen) -> None:
    figures = Figures(JANUARY, (WON,), (figure(WON, "90000", "1250000.5", "EUR"),))
    text = shown(capsys, figures_table(figures, "department"))
    assert "2027-01-01 … 2027-01-31, going on" in text
    assert "before 1,250,000.50" in text
    assert "▼" not in text


def test_a_table_speaks_russian(capsys: Screen) -> None:
    figures = Figures(JANUARY, (WON,), (figure(WON, "9", None, "EUR"),))
    text = shown(capsys, figures_table(figures, "manager", "ru"))
    assert all(word in text for word in ("Менеджер", "идёт", "до этого –"))


def test_what_is_not_there_and_what_is_undefined_are_dashes(capsys: Screen) -> None:
    figures = Figures(DECEMBER, (WON, LOST), (figure(WON, None, "100", "EUR"),))
    text = shown(capsys, figures_table(figures, "department"))
    (row,) = [line for line in text.splitlines() if "North" in line]
    assert [cell.strip() for cell in row.split("│")[1:4]] == ["North", "–", "–"]


@pytest.mark.parametrize(
    ("kpi", "now", "style"),
    [(WON, "125", "green"), (WON, "75", "red"), (LOST, "125", "red"), (LOST, "75", "green"), (LOST, "100", "dim")],
)
def test_colour_follows_what_is_better(kpi: Kpi, now: str, style: str) -> None:
    table = figures_table(Figures(DECEMBER, (kpi,), (figure(kpi, now, "100", "count"),)), "department")
    (cell,) = table.columns[1].cells
    assert [str(part.style) for part in cell.renderables] == ["", style]  # type: ignore[union-attr]


def test_two_people_of_one_name_have_a_row_each(capsys: Screen) -> None:
    twins = (Figure("files:1", "Mo", "won_amount", Decimal(1), None, "EUR", 1),
             Figure("files:2", "Mo", "won_amount", Decimal(2), None, "EUR", 1))  # fmt: skip
    assert shown(capsys, figures_table(Figures(DECEMBER, (WON,), twins), "manager")).count(" Mo ") == 2


@pytest.mark.parametrize("name", ["[North]", "[red]North[/red]", "North [/x]", ":key: account", "O'Brien & Søn"])
def test_a_name_is_shown_as_it_is(capsys: Screen, name: str) -> None:
    figures = Figures(DECEMBER, (WON,), (figure(WON, "1", "1", "EUR", name),))
    assert name in shown(capsys, figures_table(figures, "department"))
    assert name in shown(capsys, rows_table(("who",), [(name,)]), render.facts([("who", name)]))


def test_a_pipe_gets_every_column_whole(capsys: Screen) -> None:
    kpis = tuple(Kpi(f"kpi_{number}", f"A rather long name {number}", "currency", "higher") for number in range(40))
    figures = Figures(DECEMBER, kpis, tuple(figure(kpi, "123456789", "1", "EUR") for kpi in kpis))
    text = shown(capsys, figures_table(figures, "department"))
    assert text.count("123,456,789.00") == 40
    assert all(f"A rather long name {number}, EUR" in text for number in range(40))


def test_numbers_stand_to_the_right_with_separators() -> None:
    table = rows_table(("what", "rows", "is it"), [("deals", 8800, True), ("accounts", 85, False)])
    assert [column.justify for column in table.columns] == ["left", "right", "left"]
    assert list(table.columns[1].cells) == ["8,800", "85"]
    assert list(table.columns[2].cells) == ["True", "False"]


def test_a_table_without_rows_has_its_columns() -> None:
    assert [column.header for column in rows_table(("a", "b"), []).columns] == ["a", "b"]
