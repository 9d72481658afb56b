"""How a monthly series is carried on: what was a year before, a rate with a season, and statsforecast's models.

Each method takes a series of at least its `least` months, oldest first and without a gap, and gives HORIZON months
that follow. None of them knows more than the series it is given.
Sources: Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, 5.2 (seasonal naive), 8 (ETS) and 9
(ARIMA); Assimakopoulos & Nikolopoulos (2000) on Theta; Bandara, Hyndman & Bergmeir (2021) on MSTL.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from kpimart.insight.statistics.forecast.known import SEASON, Floats

HORIZON = 18
"""Months that are forecast; forecast_horizon in dbt_project/macros/forecast.sql."""

MODEL_LEAST = 2 * SEASON
"""Months that a season can be told from: each of its months was seen twice."""

MOST = 5 * SEASON
"""Months that are looked at; the season of longer ago is another one."""

MOST_GROWTH = 3.0
"""How many times its largest month a series may be forecast; what is beyond that is a fit that has run away."""


def seasonal_naive(values: Floats) -> Floats:
    """The figure of the same month in the last year that is over."""
    ahead = np.arange(HORIZON)
    carried: Floats = values[len(values) - SEASON + ahead % SEASON]
    return carried


def run_rate(values: Floats) -> Floats:
    """The mean of the last twelve months, with the season of the two years before where there are so many.

    The index of a month is its mean share of the twelve months that end with the year it lies in, scaled so that the
    twelve average 1, and drawn halfway to 1: two years tell a season poorly.
    """
    rate = values[-SEASON:].mean()
    if len(values) < MODEL_LEAST:
        return np.full(HORIZON, rate)
    years = values[-(len(values) // SEASON) * SEASON :].reshape(-1, SEASON)[-5:]
    totals = years.sum(axis=1)
    if not (totals > 0).all():
        return np.full(HORIZON, rate)
    index = (1 + (years / totals[:, None]).mean(axis=0) * SEASON) / 2
    # The years are counted back from the last month, so the first of them is the one that comes next.
    seasonal: Floats = rate * index[np.arange(HORIZON) % SEASON]
    return seasonal


def theta(values: Floats) -> Floats:
    """The Theta method on the series less its additive season."""
    from statsforecast.models import Theta

    return _carried_on(Theta(season_length=SEASON, decomposition_type="additive"), values[-MOST:])


def mstl(values: Floats) -> Floats:
    """STL's season on top of an exponentially smoothed rest with additive errors."""
    from statsforecast.models import MSTL, AutoETS

    return _carried_on(MSTL([SEASON], trend_forecaster=AutoETS(model="AZN")), values[-MOST:])


def ets(values: Floats) -> Floats:
    """Exponential smoothing with an additive season, the trend by AICc: months without a win allow no other errors."""
    from statsforecast.models import AutoETS

    return _carried_on(AutoETS(season_length=SEASON, model="AZA"), values[-MOST:])


def arima(values: Floats) -> Floats:
    """ARIMA, its order by AICc on the whole years of the series, its weights on all of it.

    The search for an order costs ten times what a fit does; one is found once for the twelve months that follow.
    """
    from statsforecast.models import ARIMA

    whole = values[: len(values) // SEASON * SEASON]
    order = _order_of(whole[-MOST:].tobytes())
    return _carried_on(ARIMA(season_length=SEASON, **order), values[-MOST:])


@cache
def _order_of(values: bytes) -> dict[str, Any]:
    """The arguments of an ARIMA that fits a series best."""
    from statsforecast.models import AutoARIMA

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = AutoARIMA(season_length=SEASON, approximation=True).fit(np.frombuffer(values)).model_
    p, q, seasonal_p, seasonal_q, _, d, seasonal_d = found["arma"]
    return {
        "order": (p, d, q),
        "seasonal_order": (seasonal_p, seasonal_d, seasonal_q),
        "include_mean": "intercept" in found["coef"],
        "include_drift": "drift" in found["coef"],
    }


def _carried_on(model: Any, values: Floats) -> Floats:
    """NaN where a model finds no fit, or one that runs away; it is not chosen then."""
    with warnings.catch_warnings():
        # What a model warns of its own search is judged by its errors.
        warnings.simplefilter("ignore")
        try:
            ahead: Floats = np.asarray(model.forecast(values, HORIZON)["mean"], dtype=np.float64)
        except (ValueError, ZeroDivisionError, np.linalg.LinAlgError):
            return np.full(HORIZON, np.nan)
    if not (ahead <= MOST_GROWTH * values.max()).all():
        return np.full(HORIZON, np.nan)
    # What adds up here never falls below nothing.
    return np.maximum(ahead, 0.0)


@dataclass(frozen=True)
class Method:
    """A method, the levels whose series it is worth its time for, and the least months that it needs."""

    forecast: Callable[[Floats], Floats]
    levels: tuple[str, ...]
    least: int


_ALL = ("company", "department", "manager")
CHEAP: dict[str, Method] = {
    "seasonal_naive": Method(seasonal_naive, _ALL, SEASON),
    "run_rate": Method(run_rate, _ALL, SEASON),
}
FITTED: dict[str, Method] = {
    "theta": Method(theta, _ALL, MODEL_LEAST),
    "mstl": Method(mstl, ("company", "department"), MODEL_LEAST),
    "ets": Method(ets, ("company", "department"), MODEL_LEAST),
    "arima": Method(arima, ("company",), MODEL_LEAST),
}
"""Those that take their time, and are kept; the simpler ones first."""
