"""Forecasts as they are, or would have been, made at the end of each month: chosen, reconciled and with intervals.

Whatever a vintage rests on was known at its origin: the figures, the errors by which methods are chosen and weighted,
and those that make its intervals. So one comes out the same whenever it is made.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kpimart.insight.statistics.forecast import pipeline as pipelines
from kpimart.insight.statistics.forecast.calibration import NOMINAL, half_widths, scale_of
from kpimart.insight.statistics.forecast.choice import NAIVE, Chosen, choose, errors_known
from kpimart.insight.statistics.forecast.known import LEVELS, SEASON, Floats, Integers, Known, Organisation
from kpimart.insight.statistics.forecast.methods import CHEAP, FITTED, HORIZON
from kpimart.insight.statistics.forecast.pipeline import Pipeline
from kpimart.insight.statistics.forecast.reconciliation import added_up, reconciled

Fit = Callable[[str, Floats], Floats]
"""Method's name and series → its forecast; where forecasts are kept, from there."""

PIPELINE, SHARE = "weighted_pipeline", "share"
EXACT = 1e-6
"""Of the largest variance: the least that a forecast is trusted to err by."""


@dataclass(frozen=True)
class Vintage:
    """The forecasts of a KPI made at an origin, a row an entity of `nodes`.

    value: hundredths, entities × horizons. half_width, cumulative_half_width: entities × horizons × NOMINAL, of the
    month and of the sum of all months through it; NaN where too few errors are known. naive: what seasonal naive says.
    """

    origin: int
    nodes: Integers
    method: npt.NDArray[np.object_]
    status: npt.NDArray[np.object_]
    value: Integers
    half_width: Floats
    cumulative_half_width: Floats
    naive: Floats

    @property
    def cumulative_value(self) -> Integers:
        """The sums from the first month on."""
        total: Integers = self.value.cumsum(axis=1)
        return total


def fitted(method: str, values: Floats) -> Floats:
    """The forecast of one of FITTED, computed."""
    return FITTED[method].forecast(values)


def origins_of(known: Known, count: int) -> Integers:
    """The months at whose end a forecast is made: the last one, and all that the vintages since `count` rest on.

    The intervals of a vintage rest on as many vintages before it; the choice of each of these on as many forecasts
    again, among them shares of what was chosen for the level above by as many once more.
    """
    return np.arange(max(SEASON - 1, known.months - 1 - 4 * count), known.months)


def vintages(
    known: Known, kpi_code: str, count: int, fit: Fit = fitted, pipeline: Pipeline | None = None
) -> Iterator[Vintage]:
    """The vintages of a KPI, of the last `count` origins that are over and of the present one, oldest first.

    pipeline: its open deals, if it has a pipeline. The company's figures must have been whole for MODEL_LEAST months.
    There is no vintage of a month at whose end nobody was employed.
    """
    origins = origins_of(known, count)
    forecasts = base_forecasts(known, kpi_code, origins, fit)
    if pipeline:
        forecasts[PIPELINE] = np.stack([pipelines.forecast(pipeline, known, kpi_code, origin) for origin in origins])
    forecasts[SHARE], published = (np.full_like(forecasts[NAIVE], np.nan) for _ in range(2))
    scales = np.stack([_scales(known, known.at(kpi_code, origin)) for origin in origins])
    for place, month in enumerate(origins):
        seen = slice(max(0, place - count), place + 1)
        origin = Origin(known, known.at(kpi_code, month), origins[seen])
        nodes = origin.organisation.nodes
        if not len(nodes):
            continue
        made = _made(origin, {name: each[seen] for name, each in forecasts.items()}, scales[place])
        published[place, nodes] = made.value / 100
        if place >= len(origins) - 1 - count:
            naive = forecasts[NAIVE][place, nodes]
            of_months, of_sums = _half_widths(origin, published[seen], scales[seen])
            yield Vintage(
                origin=origin.month,
                nodes=nodes,
                method=made.method,
                status=made.status,
                value=made.value,
                half_width=of_months,
                cumulative_half_width=of_sums,
                # Who has been there for less than a year has none; what was published instead stands in for it.
                naive=np.where(np.isfinite(naive), naive, made.value / 100),
            )


@dataclass(frozen=True)
class Origin:
    """The last of some origins. figures: entities × months through it, as known at it."""

    known: Known
    figures: Floats
    origins: Integers

    @property
    def month(self) -> int:
        """Its number."""
        return int(self.origins[-1])

    @property
    def organisation(self) -> Organisation:
        """Who adds up to whom at it."""
        return self.known.organisations[self.month]

    def choose(self, forecasts: Mapping[str, Floats], levels: tuple[str, ...]) -> Chosen:
        """What is chosen for the entities of some levels; nothing for the others."""
        return choose(forecasts, self.figures, self.origins, [self.known.rows(level) for level in levels])


@dataclass(frozen=True)
class Made:
    """What a vintage says, its intervals aside."""

    method: npt.NDArray[np.object_]
    status: npt.NDArray[np.object_]
    value: Integers


def _made(origin: Origin, forecasts: Mapping[str, Floats], scale: Floats) -> Made:
    """Choose at the origin, and make it add up; writes the shares of the level above into the forecasts."""
    organisation, nodes = origin.organisation, origin.organisation.nodes
    upper = origin.choose({name: forecasts[name] for name in forecasts if name != SHARE}, ("company", "department"))
    shared = shares_of_above(origin, upper.forecast)
    forecasts[SHARE][-1] = shared
    lower = origin.choose(forecasts, ("manager",))
    is_manager = np.isin(nodes, organisation.managers)
    method = np.where(is_manager, lower.method[nodes], upper.method[nodes])
    is_shared = (method == "") | (method == SHARE)
    chosen = np.where(is_manager[:, None], lower.forecast[nodes], upper.forecast[nodes])
    variance = np.where(is_manager, lower.variance[nodes], upper.variance[nodes])
    # Of whom no error is known the scale stands in for them.
    variance = np.where(np.isfinite(variance), variance, scale[nodes] ** 2)
    managers = reconciled(
        np.where(is_shared[:, None], shared[nodes], chosen),
        organisation.sums,
        np.maximum(variance, EXACT * variance.max() + EXACT),
    )
    above = np.where(is_manager, "share_of_department", "share_of_company")
    return Made(
        method=np.where(is_shared, SHARE, method),
        status=np.where(is_shared, above, "own").astype(object),
        value=added_up(managers, organisation.sums),
    )


def _half_widths(origin: Origin, published: Floats, scales: Floats) -> tuple[Floats, Floats]:
    """Of months and of sums, as a Vintage has them: by what the vintages before it missed.

    published: origins × entities × horizons, the forecasts that were made. scales: origins × entities.
    """
    errors = errors_known(published[:-1], origin.figures, origin.origins[:-1])
    scaled, now = scales[:-1, :, None], scales[-1, :, None, None]
    # What is missed by a month misses the sum as well, month after month.
    ahead = np.arange(1, HORIZON + 1)
    of_months = _widths(origin.known, np.abs(errors) / scaled) * now
    of_sums = _widths(origin.known, np.abs(errors.cumsum(axis=2)) / scaled / ahead) * now * ahead[:, None]
    nodes = origin.organisation.nodes
    return of_months[nodes], of_sums[nodes]


def _scales(known: Known, figures: Floats) -> Floats:
    scales = np.empty(len(figures))
    for level in LEVELS:
        rows = known.rows(level)
        scales[rows] = scale_of(figures[rows])
    return scales


def _widths(known: Known, scores: Floats) -> Floats:
    """Entities × horizons × NOMINAL, in units of their scale; the company is judged together with departments."""
    widths = np.full((len(known.entities), HORIZON, len(NOMINAL)), np.nan)
    for levels in (("company", "department"), ("manager",)):
        rows = np.concatenate([known.rows(level) for level in levels])
        for column, share in enumerate(NOMINAL):
            widths[rows, :, column] = half_widths(scores[:, rows].reshape(-1, HORIZON), share)
    return widths


def base_forecasts(known: Known, kpi_code: str, origins: Integers, fit: Fit) -> dict[str, Floats]:
    """Method → origins × entities × horizons: each method on each series as known at each origin, NaN where it cannot.

    The simpler methods come first.
    """
    shape = (len(origins), len(known.entities), HORIZON)
    forecasts = {name: np.full(shape, np.nan) for name in (*CHEAP, *FITTED)}
    for place, origin in enumerate(origins):
        figures, begun = known.at(kpi_code, origin), known.begun(origin)
        for row in known.organisations[origin].nodes:
            values = figures[row, begun[row] :]
            for name, method in (CHEAP | FITTED).items():
                if known.entities[row].level in method.levels and len(values) >= method.least:
                    forecast = method.forecast(values) if name in CHEAP else fit(name, values)
                    forecasts[name][place, row] = forecast
    return forecasts


def shares_of_above(origin: Origin, upper: Floats) -> Floats:
    """Entities × horizons: the forecast of the level above by the entity's share of its last twelve months.

    upper: what is chosen for the company and departments. A manager's share is that of the department where they sit;
    of who began less than a year ago, that of the months since. A department's is that of the company; so is that of a
    department which has no forecast of its own.
    """
    known, figures, begun = origin.known, origin.figures, origin.known.begun(origin.month)
    (company,) = known.rows("company")
    shared = np.full(upper.shape, np.nan)
    for row in np.intersect1d(origin.organisation.nodes, known.rows("department")):
        shared[row] = upper[company] * _share(figures[row], figures[company], begun[row])
    for row, department in zip(origin.organisation.managers, origin.organisation.departments, strict=True):
        above = upper[department] if np.isfinite(upper[department]).all() else shared[department]
        shared[row] = above * _share(figures[row], figures[department], begun[row])
    return shared


def _share(part: Floats, whole: Floats, begun: int) -> float:
    last = slice(max(begun, len(part) - SEASON), None)
    total = whole[last].sum()
    return float(np.clip(part[last].sum() / total, 0.0, 1.0)) if total > 0 else 0.0
