"""What a person sees of trends."""

from collections.abc import Iterator
from decimal import Decimal

from rich.console import RenderableType

from kpimart import render
from kpimart.insight.trend import Trend, Trends
from kpimart.language import Language, said

_ARROWS = {"up": "▲", "down": "▼"}
_NO_TREND = {
    "too_short": "too short",
    "gaps": "has gaps",
    "constant": "always the same",
    "ended": "has ended",
}
_SLOPES = {
    "week": "{slope} a week",
    "month": "{slope} a month",
    "quarter": "{slope} a quarter",
    "year": "{slope} a year",
}


def of_trends(found: Trends, level: str, language: Language) -> Iterator[RenderableType]:
    """A row a figure: its changes, what it comes to over a year, where its series goes, and what stands out."""
    period = found.period
    through = next((each.compared_through for each in found.trends if each.compared_through is not None), None)
    title = render.period_title(period, language)
    if through is not None:
        title += f", {said('compared through working day {number}', language, number=through)}"
    yield title
    headings = (
        "KPI",
        "figure",
        "on the period before",
        "on last year",
        "12 periods",
        "year to date",
        "trend",
        "stands out",
    )
    yield render.rows_table(
        [said(level.capitalize(), language), *(said(heading, language) for heading in headings)],
        [_row(each, period.grain, level, language) for each in found.trends],
    )


def _row(each: Trend, grain: str, level: str, language: Language) -> tuple[str, ...]:
    return (
        render.entity_title(level, each.entity_name, language),
        each.kpi.name,
        render.value_text(each.value, each.unit),
        render.change_text(each.value, each.previous_value, each.unit, language),
        render.change_text(each.value, each.last_year_value, each.unit, language),
        render.value_text(each.rolling_12, each.unit),
        render.value_text(each.year_to_date, each.unit),
        _trend(each, grain, language),
        "; ".join(_what_stands_out(each, language)),
    )


def _trend(each: Trend, grain: str, language: Language) -> str:
    if each.trend_direction is None:
        return said(_NO_TREND[each.trend_status], language)
    if each.trend_direction == "none" or each.slope is None:
        return said("none to be seen", language)
    slope = said(_SLOPES[grain], language, slope=_slope_text(each.slope, each.unit, language))
    return f"{_ARROWS[each.trend_direction]} {slope}"


def _slope_text(slope: Decimal, unit: str, language: Language) -> str:
    if unit == "ratio":
        return f"{slope * 100:+z,.2f} {said('pp', language)}"
    return f"{slope:+z,.2f}"


def _what_stands_out(each: Trend, language: Language) -> Iterator[str]:
    if each.shifted_on is not None:
        yield said("level shifted with {start}", language, start=each.shifted_on)
    if each.is_anomaly:
        low, high = (render.value_text(bound, each.unit) for bound in (each.expected_low, each.expected_high))
        yield said("expected were {low} … {high}", language, low=low, high=high)
