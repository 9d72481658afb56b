"""Intervals whose width is what earlier forecasts missed by: conformal, so they need no model of the errors.

Source: split conformal prediction, Vovk, Gammerman & Shafer (2005): the nominal share of the scores of earlier
forecasts, as if there were one more of them than were seen.
"""

import numpy as np

from kpimart.insight.statistics.forecast.known import SEASON, Floats

NOMINAL = (0.80, 0.95)
"""The shares of figures that intervals are to hold."""

LEAST_SCALE = 0.25
"""Of the mean scale of a level."""

GROUPS = ((1, 3), (4, 6), (7, 12), (13, 18))
"""Months ahead whose errors are taken as alike."""

LEAST_SCORES = 40
"""Scores that the wider interval needs: twice those that leave one in twenty outside."""


def scale_of(values: Floats) -> Floats:
    """By how much each series of a level usually moves from a month to another, in units of the figures; above 0.

    values: series × months. The mean absolute deviation from the mean of the last 24 months; of a series that hardly
    moves, LEAST_SCALE of the level's mean: what it will miss by is not to be told from months without anything.
    """
    last = values[:, -2 * SEASON :]
    moves = np.abs(last - last.mean(axis=1, keepdims=True)).mean(axis=1)
    scale: Floats = np.maximum(moves, max(LEAST_SCALE * moves.mean(), 0.01))
    return scale


def half_widths(scores: Floats, share: float) -> Floats:
    """Horizons: what so many of the scores do not exceed, of each group of months ahead, never narrower further ahead.

    scores: any number × horizons of absolute errors, in units of their series; NaN where none is known. A group that
    has too few of them takes those of all groups before it too; NaN where these are too few as well.
    """
    widths = np.full(scores.shape[1], np.nan)
    widest, before = 0.0, np.empty(0)
    for first, last in GROUPS:
        group = scores[:, first - 1 : last]
        seen = np.sort(group[np.isfinite(group)])
        before = np.sort(np.concatenate([before, seen]))
        taken = seen if len(seen) >= LEAST_SCORES else before
        if len(taken) >= LEAST_SCORES // 2:
            place = min(int(np.ceil((len(taken) + 1) * share)), len(taken)) - 1
            widest = max(widest, float(taken[place]))
            widths[first - 1 : last] = widest
    return widths
