"""What a person sees of a trend: as much as is known, and why there is no more."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from kpimart.figures import Kpi, Period
from kpimart.insight.trend import Trend, Trends
from kpimart.language import Language
from kpimart.report.trend import of_trends

JUNE = Period("month", date(2026, 6, 1), date(2026, 6, 30), is_complete=True, start_before=date(2026, 5, 1))
RISING = Trend(
    kpi=Kpi("won_amount", "Won amount", "currency", "higher"),
    entity_key="company",
    entity_name="Company",
    unit="EUR",
    value=Decimal("1100"),
    previous_value=Decimal("1000"),
    last_year_value=None,
    compared_as="whole",
    compared_through=None,
    rolling_3=None,
    rolling_6=None,
    rolling_12=Decimal("12000"),
    year_to_date=None,
    working_day_adjusted_value=None,
    seasonally_adjusted_value=None,
    trend_direction="up",
    slope=Decimal("25.5"),
    p_value=Decimal("0.001"),
    q_value=Decimal("0.01"),
    shifted_on=date(2026, 2, 1),
    expected_low=Decimal("500"),
    expected_high=Decimal("900"),
    is_anomaly=True,
    trend_status="enough",
)


def shown(trend: Trend, period: Period = JUNE, language: Language = "en") -> str:
    console = Console(file=StringIO(), width=300)
    for part in of_trends(Trends(period, (trend,)), "company", language):
        console.print(part)
    written = console.file
    assert isinstance(written, StringIO)
    return written.getvalue()


def test_in_russian_every_heading_is_russian() -> None:
    headings = [cell.strip() for cell in shown(RISING, language="ru").splitlines()[2].split("┃")[1:-1]]
    assert headings[:3] == ["Компания", "показатель", "значение"]
    assert all(re.fullmatch("[а-яА-Я0-9 ]+", heading) for heading in headings)


def test_a_trend_is_told_with_what_stands_out() -> None:
    told = shown(RISING)
    for part in (
        *("2026-06-01 … 2026-06-30", "1,100.00", "▲ +10.0 %", "12,000.00", "▲ +25.50 a month"),
        *("level shifted with 2026-02-01", "expected were 500.00 … 900.00"),
    ):
        assert part in told


@pytest.mark.parametrize(
    ("status", "told"),
    [("too_short", "too short"), ("gaps", "has gaps"), ("constant", "always the same"), ("ended", "has ended")],
)
def test_where_there_is_no_trend_it_says_why(status: str, told: str) -> None:
    assert told in shown(replace(RISING, trend_direction=None, slope=None, trend_status=status))


def test_a_slope_that_noise_could_have_is_not_shown() -> None:
    told = shown(replace(RISING, trend_direction="none"))
    assert "none to be seen" in told
    assert "25.50" not in told


def test_a_rate_goes_by_points_and_a_period_that_goes_on_says_how_far_it_is_compared() -> None:
    rate = replace(RISING, unit="ratio", slope=Decimal("-0.004"), trend_direction="down", compared_through=12)
    told = shown(rate, replace(JUNE, is_complete=False), "ru")
    assert "▼ -0.40 п. п. в месяц" in told
    assert "сравнение по 12-й рабочий день" in told
