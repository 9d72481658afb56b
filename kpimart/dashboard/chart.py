"""The trend of a KPI as a small chart: a line of its values, and a dashed one of what was to be reached."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kpimart.dashboard.words import Say, period_text
from kpimart.figures import Point
from kpimart.language import Language
from kpimart.render import value_text

HEIGHT = 110
COLOUR, TARGET_COLOUR = "#3d84e6", "#8a8580"
"""Both can be told from a light ground and from a dark one."""


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


def _periods(names: Sequence[str]) -> dict[str, Any]:
    """The axis of time, of which the ends are named, each within the chart."""
    align = {"condition": {"test": "datum.index === 0", "value": "left"}, "value": "right"}
    ends = list(dict.fromkeys((names[0], names[-1])))
    axis = {"title": None, "values": ends, "ticks": False, "labelAngle": 0, "labelAlign": align, "labelOverlap": False}
    return {"field": "period", "type": "ordinal", "sort": None, "scale": {"type": "point"}, "axis": axis}


def _drawn(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
