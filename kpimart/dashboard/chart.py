"""Charts as specifications for Vega-Lite: the trend of a KPI, small or at length, and what a change is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kpimart.dashboard.words import Say, period_text
from kpimart.figures import Point
from kpimart.insight.trend import SeriesPoint
from kpimart.language import Language
from kpimart.render import interval_text, value_text

HEIGHT, LARGE_HEIGHT = 110, 260
COLOUR, TARGET_COLOUR = "#3d84e6", "#8a8580"
UP_COLOUR, DOWN_COLOUR, OUTSIDE_COLOUR = "#2a9d8f", "#d1603d", "#d1603d"
"""All can be told from a light ground and from a dark one."""


@dataclass(frozen=True)
class Bar:
    """A bar of a waterfall: a total that stands on the ground, or an amount by which it goes on from the bar before."""

    name: str
    amount: Decimal
    told: str
    is_total: bool = False


def trend_chart(points: Sequence[Point], grain: str, unit: str, language: Language, say: Say) -> dict[str, Any] | None:
    """A specification for Vega-Lite, or None if there is nothing to draw.

    Numbers are drawn as doubles; what is written beside them is exact. A period in which the figure is undefined, or
    not there, is a gap; one that goes on is a ring, and no part of the line.
    """
    drawn = [float(each) for point in points for each in (point.value, point.target) if each is not None]
    if not drawn:
        return None
    names = [period_text(each.period_name, grain, each.start, language, is_short=True) for each in points]
    values = [
        {
            "period": name,
            "value": _drawn(point.value),
            "line": _drawn(point.value) if point.is_complete else None,
            "target": _drawn(point.target),
            "told": value_text(point.value, unit),
            "told_target": value_text(point.target, unit),
            "is_complete": point.is_complete,
        }
        for name, point in zip(names, points, strict=True)
    ]
    y = {
        "type": "quantitative",
        "scale": {"domain": [min(drawn), max(drawn)], "nice": 3, "zero": False},
        "axis": {"title": None, "tickCount": 3, "format": ".0%" if unit == "ratio" else "~s", "domain": False},
    }
    tooltip = [
        {"field": "period", "title": say("Period")},
        {"field": "told", "title": say("Value")},
        {"field": "told_target", "title": say("Target")},
    ]
    dashed = {"type": "line", "strokeDash": [4, 3], "strokeWidth": 1.5, "color": TARGET_COLOUR}
    point = {"type": "point", "size": 28, "strokeWidth": 2, "color": COLOUR}
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "padding": {"left": 0, "right": 8, "top": 4, "bottom": 0},
        "encoding": {"x": _periods(names)},
        "layer": [
            {"mark": dashed, "encoding": {"y": {**y, "field": "target"}}},
            {"mark": {"type": "line", "strokeWidth": 2, "color": COLOUR}, "encoding": {"y": {**y, "field": "line"}}},
            {
                "mark": {**point, "filled": False},
                "encoding": {
                    "y": {**y, "field": "value"},
                    "fill": {"condition": {"test": "datum.is_complete", "value": COLOUR}, "value": "transparent"},
                    "tooltip": tooltip,
                },
            },
        ],
    }


def series_chart(
    points: Sequence[SeriesPoint], grain: str, unit: str, language: Language, say: Say
) -> dict[str, Any] | None:
    """A KPI over many periods: its values, the line adjusted for the season, the range that was to be expected.

    None if there is nothing to draw. What lies outside of the range is marked by its shape as well as by its colour.
    """
    if all(point.value is None for point in points):
        return None
    names = [period_text(each.period_name, grain, each.start, language, is_short=True) for each in points]
    values = [
        {
            "period": name,
            "value": _drawn(point.value),
            "line": _drawn(point.value) if point.is_complete else None,
            "adjusted": _drawn(point.seasonally_adjusted_value),
            "low": _drawn(point.expected_low),
            "high": _drawn(point.expected_high),
            "told": value_text(point.value, unit),
            "told_adjusted": value_text(point.seasonally_adjusted_value, unit),
            "told_range": interval_text(point.expected_low, point.expected_high, unit),
            "is_outside": point.is_anomaly,
        }
        for name, point in zip(names, points, strict=True)
    ]
    y = _amounts(unit)
    tooltip = [
        {"field": "period", "title": say("Period")},
        {"field": "told", "title": say("Value")},
        {"field": "told_adjusted", "title": say("Seasonally adjusted")},
        {"field": "told_range", "title": say("Expected")},
    ]
    outside = {"test": "datum.is_outside", "value": OUTSIDE_COLOUR}
    return {
        "data": {"values": values},
        "height": LARGE_HEIGHT,
        "encoding": {"x": _periods(names)},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.15, "color": TARGET_COLOUR},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "strokeDash": [4, 3], "color": TARGET_COLOUR},
                "encoding": {"y": {**y, "field": "adjusted"}},
            },
            {"mark": {"type": "line", "strokeWidth": 2, "color": COLOUR}, "encoding": {"y": {**y, "field": "line"}}},
            {
                "mark": {"type": "point", "size": 50, "filled": True},
                "encoding": {
                    "y": {**y, "field": "value"},
                    "color": {"condition": outside, "value": COLOUR},
                    "shape": {"condition": {**outside, "value": "diamond"}, "value": "circle"},
                    "tooltip": tooltip,
                },
            },
        ],
    }


def waterfall_chart(bars: Sequence[Bar], unit: str, say: Say) -> dict[str, Any]:
    """How a total becomes another one: each bar begins where the one before ended."""
    values, level = [], Decimal()
    for bar in bars:
        start = Decimal() if bar.is_total else level
        level = start + bar.amount
        kind = "total" if bar.is_total else "up" if bar.amount >= 0 else "down"
        ends = {"start": float(start), "end": float(level)}
        values.append({"name": bar.name, **ends, "told": bar.told, "kind": kind})
    colours = {"domain": ["total", "up", "down"], "range": [TARGET_COLOUR, UP_COLOUR, DOWN_COLOUR]}
    names = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 260}}
    return {
        "data": {"values": values},
        "height": {"step": 26},
        "encoding": {"y": names},
        "layer": [
            {
                "mark": {"type": "bar", "cornerRadius": 2},
                "encoding": {
                    "x": {**_amounts(unit), "field": "start"},
                    "x2": {"field": "end"},
                    "color": {"field": "kind", "type": "nominal", "scale": colours, "legend": None},
                    "tooltip": [{"field": "name", "title": say("What")}, {"field": "told", "title": say("Value")}],
                },
            },
            {
                "transform": [{"calculate": "max(datum.start, datum.end)", "as": "right"}],
                "mark": {"type": "text", "align": "left", "dx": 5, "color": TARGET_COLOUR},
                "encoding": {"x": {"field": "right", "type": "quantitative"}, "text": {"field": "told"}},
            },
        ],
    }


def _amounts(unit: str) -> dict[str, Any]:
    axis = {"title": None, "format": ".0%" if unit == "ratio" else "~s", "domain": False}
    return {"type": "quantitative", "axis": axis}


def _periods(names: Sequence[str]) -> dict[str, Any]:
    """The axis of time, of which the ends are named, each within the chart."""
    align = {"condition": {"test": "datum.index === 0", "value": "left"}, "value": "right"}
    ends = list(dict.fromkeys((names[0], names[-1])))
    axis = {"title": None, "values": ends, "ticks": False, "labelAngle": 0, "labelAlign": align, "labelOverlap": False}
    return {"field": "period", "type": "ordinal", "sort": None, "scale": {"type": "point"}, "axis": axis}


def _drawn(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
