"""Which method carries a series on: chosen at each origin by the errors of earlier forecasts that were known there."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kpimart.insight.statistics.forecast.known import Bools, Floats, Integers

NAIVE, COMBINATION = "seasonal_naive", "combination"
LEAST_ERRORS = 12
"""Errors of a method that its choice needs; with fewer of them it is as good as its luck."""
EDGE = 1.1
"""How many times as near as the mean of all a single method must have been: of few errors the best is the luckiest."""
OWN = 0.5
"""How much of the score of a method is that of the series; the rest is that of its level, which more errors tell of."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen at an origin, for each entity.

    forecast: entities × horizons, NaN where an entity has none. method: its name, empty without one. variance: of the
    chosen method's errors known at the origin, NaN where there are none.
    """

    forecast: Floats
    method: npt.NDArray[np.object_]
    variance: Floats


def errors_known(forecasts: Floats, actual: Floats, origins: Integers) -> Floats:
    """Origins × entities × horizons: forecast less figure, NaN where the month is not over.

    forecasts: origins × entities × horizons. actual: entities × the months that are over.
    """
    last = actual.shape[1] - 1
    months = origins[:, None] + 1 + np.arange(forecasts.shape[2])
    figures = np.where(months <= last, actual[:, np.minimum(months, last)], np.nan)
    errors: Floats = forecasts - figures.transpose(1, 0, 2)
    return errors


def choose(forecasts: Mapping[str, Floats], actual: Floats, origins: Integers, levels: list[Integers]) -> Chosen:
    """The method of each entity whose forecasts from earlier origins were nearest to what came.

    forecasts: method → origins × entities × horizons, the simpler methods first; the last of the origins is the one at
    which is chosen. actual: entities × months through it, as known there. levels: rows of the entities of each level.
    A method's score is the sum of its absolute errors over that of seasonal naive's at the same months, mixed with its
    score over the whole level. The mean of all methods, which a single one seldom does better than (Clemen 1989,
    International Journal of Forecasting 5:559-583), is one of those to choose from, and a single one is taken only if
    it is better by EDGE. Where nothing beats seasonal naive, it is seasonal naive.
    """
    names = list(forecasts)
    stacked = np.stack([forecasts[name] for name in names])
    errors = np.stack([errors_known(forecasts[name][:-1], actual, origins[:-1]) for name in names])
    naive = errors[names.index(NAIVE)]
    scores = np.stack([_scores(each, naive, levels) for each in errors])
    is_known = np.isfinite(scores)
    combined_errors, combined = _mean_of(errors, is_known), _mean_of(stacked, is_known)
    scores = np.concatenate([scores * EDGE, _scores(combined_errors, naive, levels)[None]])
    scores[-1, is_known.sum(axis=0) < 2] = np.nan
    scores[names.index(NAIVE)] = 1.0
    errors, stacked = np.concatenate([errors, combined_errors[None]]), np.concatenate([stacked, combined[None]])
    # What has no forecast at the origin cannot be chosen there, whatever it did before.
    scores[~np.isfinite(stacked[:, -1]).all(axis=2)] = np.nan
    best = np.argmin(np.where(np.isnan(scores), np.inf, scores), axis=0)
    rows = np.arange(len(best))
    squared = np.square(errors[best, :, rows]).reshape(len(rows), -1)
    count = np.isfinite(squared).sum(axis=1)
    variance = np.where(count > 0, np.nansum(squared, axis=1) / np.maximum(count, 1), np.nan)
    has_one = np.isfinite(scores[best, rows])
    method = np.array([*names, COMBINATION], dtype=object)[best]
    method[~has_one] = ""
    forecast = np.where(has_one[:, None], stacked[best, -1, rows], np.nan)
    return Chosen(forecast, method, variance)


def _scores(errors: Floats, naive: Floats, levels: list[Integers]) -> Floats:
    """The score of a method for each entity; NaN where too few errors are known."""
    is_both = np.isfinite(errors) & np.isfinite(naive)
    own, others = (np.where(is_both, np.abs(each), 0.0).sum(axis=(0, 2)) for each in (errors, naive))
    is_enough = is_both.sum(axis=(0, 2)) >= LEAST_ERRORS
    scores = np.full(len(own), np.nan)
    for rows in levels:
        known = rows[is_enough[rows]]
        if len(known):
            of_level = _ratio(own[known].sum(), others[known].sum())
            scores[known] = OWN * _ratio(own[known], others[known]) + (1 - OWN) * of_level
    return scores


def _ratio(above: Floats, below: Floats) -> Floats:
    """Above over below; 1 where seasonal naive made no error either."""
    ratio: Floats = np.where(below > 0, above / np.where(below > 0, below, 1.0), np.where(above > 0, np.inf, 1.0))
    return ratio


def _mean_of(values: Floats, is_in: Bools) -> Floats:
    """The mean over the methods (first axis) that are in, of each entity; NaN where all of them are missing."""
    is_there = is_in[:, None, :, None] & np.isfinite(values)
    total, count = np.where(is_there, values, 0.0).sum(axis=0), is_there.sum(axis=0)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
