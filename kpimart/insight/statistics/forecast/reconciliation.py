"""Forecasts of all entities made to add up: managers to departments, departments to the company, to the cent."""

import numpy as np

from kpimart.insight.statistics.forecast.known import Floats, Integers


def reconciled(base: Floats, sums: Floats, variance: Floats) -> Floats:
    """The forecasts of managers whose sums come closest to the forecasts of everybody.

    base: nodes × horizons; a row of NaN is a node without a forecast of its own. sums: nodes × managers, as in
    `Organisation`. variance: of the errors of each node's forecast, above 0. Returns managers × horizons, not below 0.
    Source: the minimum trace reconciliation of Wickramasuriya, Athanasopoulos & Hyndman (2019), JASA 114:804-819, with
    a diagonal covariance: weighted least squares. What comes out below 0 is set to 0: there is nothing less than none.
    """
    is_there = np.isfinite(base).all(axis=1)
    weighted = sums[is_there].T / variance[is_there]
    managers = np.linalg.solve(weighted @ sums[is_there], weighted @ base[is_there])
    return np.asarray(np.maximum(managers, 0.0), dtype=np.float64)


def added_up(managers: Floats, sums: Floats) -> Integers:
    """Hundredths of the forecasts of all nodes: those of managers rounded, the others their sums, exactly."""
    hundredths: Integers = sums.astype(np.int64) @ np.rint(managers * 100).astype(np.int64)
    return hundredths
