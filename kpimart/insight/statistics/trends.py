"""kpi_trend: what the figures of kpi_trend_level tell together, over all series at once.

A series is a KPI of an entity at a grain. Only whole periods are read: complete, known from their first day on, and
with the entity there throughout. KPIs that add up are read adjusted for working days. Series of one length are rows of
one matrix; whatever depends on the length alone (a design, a smoother) is made once and kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

LEVEL = 0.05
"""The share of discoveries that may be false, and the nominal size of each test."""

OUTSIDE = 0.01
"""How many periods of noise lie outside of their expected range."""

# Beyond this an autocorrelation cannot be told from a random walk in so few periods.
AUTOCORRELATIONS = np.linspace(0, 0.98, 99)
# Every seventh: degrees of freedom change slowly, and cost a product of matrices each.
COARSE = AUTOCORRELATIONS[::7]

LIKELIER = 20.0
"""How many times as likely as a straight line a step must be to count as one."""

# Of normal noise: the standard deviation is 1.4826 times the median absolute deviation, which is as exact as the
# standard deviation of 37 % of the values (Rousseeuw and Croux 1993).
MAD_TO_SIGMA, MAD_EFFICIENCY = 1.482602218505602, 0.37
# Residuals that are rounding errors of a series that fits exactly.
EXACT = 1e-10


# A season of more periods than this is taken in whole years.
LONGEST_KEPT = 12


@dataclass(frozen=True)
class Grain:
    """How much of a series is looked at, in periods.

    season: in a year; 1 where the grain knows no season. least, most: for a trend and a shift. adjusted: the most that
    one seasonal pattern is taken from. side: the least before and after a shift. prior: the least year-on-year changes
    that an expected range is made of.
    """

    season: int
    least: int
    most: int
    adjusted: int
    side: int
    prior: int

    def length(self, run: int, most: int) -> int:
        """How many of a run's last periods are taken; weeks in whole years, so that few lengths are to be prepared."""
        taken = min(run, most)
        return taken - taken % self.season if self.season > LONGEST_KEPT else taken


GRAINS = {
    "week": Grain(season=52, least=104, most=156, adjusted=156, side=8, prior=26),
    "month": Grain(season=12, least=24, most=36, adjusted=60, side=6, prior=12),
    "quarter": Grain(season=4, least=12, most=12, adjusted=20, side=3, prior=8),
    "year": Grain(season=1, least=8, most=10, adjusted=0, side=3, prior=8),
}


# --------------------------------------------------------------------------------------------- tests of one coefficient


@dataclass(frozen=True)
class Design:
    """A regression whose errors may be autocorrelated: what of it depends on the regressors only.

    estimate: the weights that give the coefficient; residuals: the matrix that makes residuals of values; of both also
    what each lag of the errors' correlation adds to their squares. For each of AUTOCORRELATIONS `expected` is what the
    residuals' own first autocorrelation comes to; for each of COARSE `freedom` are the degrees of freedom.
    """

    estimate: Floats
    residuals: Floats
    estimate_lags: Floats
    residual_lags: Floats
    expected: Floats
    freedom: Floats

    def test(self, values: Floats, autocorrelation: float | None = None) -> tuple[Floats, Floats]:
        """The coefficient of each row, and the p-value of its being 0 (two-sided).

        Least squares; the variance of the coefficient is the one that it has with errors of a first-order
        autocorrelation (an AR(1) process), and Student's t has the degrees of freedom that the residuals then have
        (Satterthwaite 1946). The autocorrelation is that of the residuals, freed of its bias (residuals look less
        correlated than errors are: Kendall 1954, Marriott and Pope 1954; here by expectations) and taken one standard
        error (Bartlett 1946, over the degrees of freedom) above, because a short series tells it badly, and too little
        of it is a false alarm.
        Negative autocorrelation counts as none. autocorrelation: a given one instead.
        """
        found = np.einsum("ij,j->i", values, self.estimate)
        errors = np.einsum("ij,kj->ik", values, self.residuals)
        squares = np.einsum("ij,ij->i", errors, errors)
        # A series that fits exactly leaves rounding errors, which tell nothing.
        size = np.abs(values).max(axis=1, initial=0.0)
        is_exact = squares <= (EXACT * size) ** 2 * values.shape[1]
        safe_squares = np.where(is_exact, 1.0, squares)
        if autocorrelation is None:
            lagged = np.einsum("ij,ij->i", errors[:, 1:], errors[:, :-1]) / safe_squares
            above = lagged + np.sqrt((1 - np.clip(lagged, 0, 0.95) ** 2) / self.freedom[0])
            rho = np.interp(above, self.expected, AUTOCORRELATIONS)
        else:
            rho = np.full(len(values), autocorrelation)
        powers = rho[:, None] ** np.arange(values.shape[1])
        variance = squares * (powers @ self.estimate_lags) / (powers @ self.residual_lags)
        statistic = np.abs(found) / np.sqrt(np.where(is_exact, 1.0, variance))
        p_values = _two_sided(statistic, np.interp(rho, COARSE, self.freedom))
        exact_p_values = np.where(np.abs(found) > EXACT * size, 0.0, 1.0)
        return found, np.where(is_exact, exact_p_values, p_values)


def design_of(regressors: Floats, tested: int) -> Design:
    """The design of these columns (periods × regressors), of which one is tested."""
    length = len(regressors)
    inverse = np.linalg.pinv(regressors)
    estimate, residuals = inverse[tested], np.eye(length) - regressors @ inverse
    lags = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    neighbours = (lags == 1) / 2
    residual_lags = _by_lag(residuals)
    powers = AUTOCORRELATIONS[:, None] ** np.arange(length)
    expected = (powers @ _by_lag(residuals @ neighbours @ residuals)) / (powers @ residual_lags)
    freedom = []
    for rho in COARSE:
        correlated = residuals @ rho**lags
        freedom.append(np.trace(correlated) ** 2 / np.einsum("ij,ji->", correlated, correlated))
    return Design(
        estimate,
        residuals,
        _by_lag(np.outer(estimate, estimate)),
        residual_lags,
        np.maximum.accumulate(expected),
        np.array(freedom),
    )


def _by_lag(matrix: Floats) -> Floats:
    """The sums of a symmetric matrix's diagonals, both sides: its scalar product with a Toeplitz matrix is theirs."""
    length = len(matrix)
    return np.array([(2 if lag else 1) * np.trace(matrix, lag) for lag in range(length)])


def seasons(length: int, season: int) -> Floats:
    """Columns of a level and of the season: 1 everywhere, and 1 in each period of the year but the first."""
    places = np.arange(length) % season
    return np.column_stack([np.ones(length), *((places == place).astype(float) for place in range(1, season))])


@cache
def trend_design(length: int, season: int) -> Design:
    """A level, a season and a straight line, whose slope per period is tested."""
    return design_of(np.column_stack([np.arange(length, dtype=float), seasons(length, season)]), 0)


@cache
def shift_design(length: int, season: int, place: int) -> Design:
    """A level, a season and a step up or down at a place, whose height is tested."""
    return design_of(np.column_stack([(np.arange(length) >= place).astype(float), seasons(length, season)]), 0)


def shifts(values: Floats, season: int, side: int) -> tuple[Integers, Floats]:
    """Where the level of each row shifts most, as the place of the first period after it, and the p-value of a shift.

    Of all places that leave `side` periods on both sides the one with the best fit is tested as `Design.test` tests;
    the p-value is multiplied by the number of places (Bonferroni). It is 1 where a step is not LIKELIER times as likely
    as a straight line, and where already errors without autocorrelation leave a p-value above LEVEL.
    Source: Quandt (1960) for the search, Andrews (1993) for what it does to the test.
    """
    length = values.shape[1]
    places = np.arange(side, length - side + 1)
    base = seasons(length, season)
    free = np.eye(length) - base @ np.linalg.pinv(base)
    steps = free @ (np.arange(length)[:, None] >= places).astype(float)
    gains = np.einsum("ij,jk->ik", values, steps) ** 2 / np.einsum("jk,jk->k", steps, steps)
    best = places[np.argmax(gains, axis=1)] if len(values) else np.zeros(0, dtype=np.int64)
    line = np.einsum("ij,kj->ik", values, trend_design(length, season).residuals)
    left = np.einsum("ij,ij->i", np.einsum("ij,kj->ik", values, free), values) - gains.max(axis=1, initial=0.0)
    freedom = length - base.shape[1] - 1
    is_step = np.maximum(left, 0) * LIKELIER ** (2 / freedom) < np.einsum("ij,ij->i", line, line)
    p_values = np.ones(len(values))
    for place in np.unique(best[is_step]):
        chosen = np.flatnonzero(is_step & (best == place))
        # The quicker test first: most rows are noise, and a design of many weeks takes its time.
        plain = _plain_p_values(gains[chosen].max(axis=1), left[chosen], freedom)
        chosen = chosen[len(places) * plain <= LEVEL]
        if len(chosen):
            _, found = shift_design(length, season, int(place)).test(values[chosen])
            p_values[chosen] = np.minimum(1.0, len(places) * found)
    return best, p_values


def _plain_p_values(gain: Floats, left: Floats, freedom: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.sqrt(gain / np.maximum(left, 0) * freedom)
    return _two_sided(np.where(np.isnan(statistic), 0.0, statistic), freedom)


def _two_sided(statistic: Floats, freedom: Floats | float) -> Floats:
    # A build of a young company has nothing to test, and need not wait for the library.
    from scipy.stats import t as student  # type: ignore[import-untyped]

    p_values: Floats = 2 * student.sf(statistic, freedom)
    return p_values


# ---------------------------------------------------------------------------------------------------- season and ranges


@cache
def seasonal_smoother(length: int, season: int) -> Floats:
    """The matrix that makes a series' seasonal component of it, as STL (without robustness weights) finds it.

    STL is then a linear function of the series: its matrix is made of what it gives for the unit vectors.
    Source: Cleveland et al. (1990), as in statsmodels; the two long smoothers are evaluated at some periods only and
    interpolated between, as the authors' own program does.
    """
    from statsmodels.tsa.seasonal import STL  # type: ignore[import-untyped]

    skipped = {"trend_jump": 1 + season // 8, "low_pass_jump": 1 + season // 10}
    return np.column_stack([STL(unit, period=season, **skipped).fit().seasonal for unit in np.eye(length)])


def seasonally_adjusted(values: Floats, season: int) -> Floats:
    """Each row less its seasonal component."""
    seasonal: Floats = np.einsum("ij,kj->ik", values, seasonal_smoother(values.shape[1], season))
    return values - seasonal


def expected_ranges(values: Floats, season: int, prior: int) -> tuple[Floats, Floats]:
    """The least and the most that is expected of each period, from periods before it; NaN where there are too few.

    Expected is the value of a year before plus the median of the year-on-year changes so far, of at least `prior` and
    at most three years of them. How far changes lie from their median says how wide the range is, on both sides the
    larger of t(1 - OUTSIDE / 2) × 1.4826 × the median distance × √(1 + π / 2n), of n changes, with 0.37 (n - 1) degrees
    of freedom, and of twice the distance that nine in ten keep: the first is for normal noise, the second for noise
    with large changes now and then. NaN is a gap.
    Source: seasonal naive forecasts, Hyndman and Athanasopoulos (2021), 5.2 and 5.5; Rousseeuw and Croux (1993).
    """
    low, high = (np.full(values.shape, np.nan) for _ in range(2))
    changes = np.full(values.shape, np.nan)
    changes[:, season:] = values[:, season:] - values[:, :-season]
    for place in range(season + prior, values.shape[1]):
        seen = changes[:, max(season, place - 3 * season) : place]
        count = np.isfinite(seen).sum(axis=1)
        rows = np.flatnonzero((count >= prior) & np.isfinite(values[:, place - season]))
        if not len(rows):
            continue
        middle = _medians(np.sort(seen[rows], axis=1), count[rows])
        distances = np.sort(np.abs(seen[rows] - middle[:, None]), axis=1)
        quantile = _quantile(1 - OUTSIDE / 2, MAD_EFFICIENCY * (count[rows] - 1))
        half = quantile * MAD_TO_SIGMA * _medians(distances, count[rows]) * np.sqrt(1 + np.pi / (2 * count[rows]))
        far = distances[np.arange(len(rows)), np.ceil(0.9 * count[rows]).astype(np.int64) - 1]
        half = np.maximum(half, 2 * far)
        expected = values[rows, place - season] + middle
        # Changes that are all the same say nothing of how far others go.
        half[half == 0] = np.nan
        low[rows, place], high[rows, place] = expected - half, expected + half
    return low, high


def _quantile(share: float, freedom: Floats) -> Floats:
    from scipy.stats import t as student

    quantile: Floats = student.ppf(share, freedom)
    return quantile


def _medians(ordered: Floats, count: Integers) -> Floats:
    """The median of the first `count` values of each row, which are in order."""
    rows = np.arange(len(ordered))
    middle: Floats = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return middle


# ------------------------------------------------------------------------------------------------------ all series


@dataclass(frozen=True)
class Series:
    """Series of a grain: a row each, a column for each period; NaN where there is no whole period or no value.

    first: number of the first period. is_present: there is a row, with or without a value. last: column of the last
    whole period of the KPI.
    """

    ids: Integers
    first: int
    values: Floats
    is_present: Bools
    last: Integers


@dataclass(frozen=True)
class Found:
    """What was found of the series of a grain; arrays of series, and of series × periods.

    shift: the column of the first period after a shift; -1 where none was looked for.
    """

    status: npt.NDArray[np.object_]
    slope: Floats
    p_value: Floats
    shift: Integers
    shift_p_value: Floats
    adjusted: Floats
    low: Floats
    high: Floats


def analyse(series: Series, grain: Grain) -> Found:
    """Trends, shifts, season and ranges of the series of one grain."""
    values = series.values
    count, width = values.shape
    has_value = np.isfinite(values)
    ends = np.where(has_value.any(axis=1), width - 1 - np.argmax(has_value[:, ::-1], axis=1), -1)
    runs = _runs(has_value, ends)
    found = Found(
        status=_statuses(series, has_value, ends, runs, grain),
        slope=np.full(count, np.nan),
        p_value=np.full(count, np.nan),
        shift=np.full(count, -1),
        shift_p_value=np.full(count, np.nan),
        adjusted=np.full(values.shape, np.nan),
        low=np.full(values.shape, np.nan),
        high=np.full(values.shape, np.nan),
    )
    if grain.season > 1:
        for rows, columns in _alike(runs, ends, np.ones(count, dtype=bool), grain, grain.adjusted, 2 * grain.season):
            cells = np.ix_(rows, columns)
            found.adjusted[cells] = seasonally_adjusted(values[cells], grain.season)
        found.low[:], found.high[:] = expected_ranges(values, grain.season, grain.prior)
    for rows, columns in _alike(runs, ends, found.status == "enough", grain, grain.most, grain.least):
        taken = values[np.ix_(rows, columns)]
        found.slope[rows], found.p_value[rows] = trend_design(len(columns), grain.season).test(taken)
        places, found.shift_p_value[rows] = shifts(taken, grain.season, grain.side)
        found.shift[rows] = columns[0] + places
    return found


def _runs(has_value: Bools, ends: Integers) -> Integers:
    """How many periods without a gap end at each row's end."""
    columns = np.arange(has_value.shape[1])
    gap = np.where(~has_value & (columns <= ends[:, None]), columns, -1).max(axis=1, initial=-1)
    runs: Integers = ends - gap
    return runs


def _statuses(
    series: Series, has_value: Bools, ends: Integers, runs: Integers, grain: Grain
) -> npt.NDArray[np.object_]:
    """enough, or why a series is not tested."""
    window = np.arange(has_value.shape[1]) > (series.last - grain.most)[:, None]
    filled = (has_value & window).sum(axis=1)
    most = np.where(has_value, series.values, -np.inf).max(axis=1, initial=-np.inf, where=window)
    least = np.where(has_value, series.values, np.inf).min(axis=1, initial=np.inf, where=window)
    ended = ~series.is_present[np.arange(len(ends)), series.last]
    lengths = np.array([grain.length(run, grain.most) for run in runs], dtype=np.int64)
    status = np.full(len(ends), "enough", dtype=object)
    status[most == least] = "constant"
    status[(ends < series.last) | (lengths < grain.least)] = "gaps"
    status[filled < grain.least] = "too_short"
    status[ended] = "ended"
    return status


def _alike(
    runs: Integers, ends: Integers, wanted: Bools, grain: Grain, most: int, least: int
) -> Iterator[tuple[Integers, Integers]]:
    """Rows of which the same columns are to be read, and these columns."""
    lengths = np.array([grain.length(run, most) for run in runs], dtype=np.int64)
    wanted = wanted & (lengths >= least)
    for length, end in np.unique(np.column_stack([lengths, ends])[wanted], axis=0):
        yield np.flatnonzero(wanted & (lengths == length) & (ends == end)), np.arange(end - length + 1, end + 1)


# ------------------------------------------------------------------------------------------- from and to the build


_NUMBERED = """
create or replace temp table numbered_series as
select
    kpi_code, period_grain, entity_level, entity_key,
    cast(row_number() over (order by period_grain, kpi_code, entity_level, entity_key) - 1 as integer) as series_id,
    bool_or(is_flow) and period_grain = 'week' as is_filled,
    max(case when is_whole then period_number end) as last_number
from insight.kpi_trend_level
group by kpi_code, period_grain, entity_level, entity_key
"""
_READ = """
select
    series.series_id,
    level.period_number,
    level.is_whole,
    cast(case when level.is_whole then coalesce(level.working_day_adjusted_value, level.value) end as double) as value
from insight.kpi_trend_level as level
inner join numbered_series as series using (kpi_code, period_grain, entity_level, entity_key)
where level.period_grain = $grain
order by series.series_id, level.period_number
"""
_SERIES = """
select
    series_id,
    is_filled,
    -- the last whole period of the KPI, of whomever
    coalesce(max(last_number) over (partition by kpi_code), 0) as last_number
from numbered_series
where period_grain = $grain
order by series_id
"""
# Amounts are rounded to the cent, everything else to six places.
_ROUNDED = (
    "cast(round({column}, case when level.unit in ('count', 'ratio', 'days', 'hours') then 6 else 2 end) "
    "as decimal(28, 8))"
)
# What adds up was adjusted for working days; what is expected of the period itself has its own days.
_FACTOR = "case when level.is_flow then cast(level.working_day_factor as double) else 1 end"
_LOW, _HIGH = (_ROUNDED.format(column=f"periods.{bound} / {_FACTOR}") for bound in ("low", "high"))
_WRITE = f"""
create or replace table insight.kpi_trend as
select
    level.kpi_code, level.period_grain, level.period_start, level.period_end, level.is_complete, level.entity_level,
    level.entity_key, level.department_id, level.manager_id, level.entity_name, level.unit, level.value,
    level.previous_value, level.change, level.last_year_value, level.change_on_last_year, level.compared_as,
    level.compared_through, level.rolling_3, level.rolling_6, level.rolling_12, level.year_to_date,
    level.working_day_adjusted_value,
    {_ROUNDED.format(column="periods.adjusted")} as seasonally_adjusted_value,
    trends.direction as trend_direction,
    cast(round(trends.slope, 8) as decimal(28, 8)) as slope,
    cast(round(trends.p_value, 8) as decimal(9, 8)) as p_value,
    cast(round(trends.q_value, 8) as decimal(9, 8)) as q_value,
    trends.is_significant,
    case when trends.has_shift is not null then
        trends.has_shift and level.period_number = trends.shift_number
    end as is_change_point,
    {_LOW} as expected_low,
    {_HIGH} as expected_high,
    case when level.is_whole and level.value is not null then
        level.value not between {_LOW} and {_HIGH}
    end as is_anomaly,
    trends.status as trend_status
from insight.kpi_trend_level as level
inner join numbered_series as series using (kpi_code, period_grain, entity_level, entity_key)
inner join found_trends as trends using (series_id)
left join found_periods as periods
    on series.series_id = periods.series_id and level.period_number = periods.period_number
"""


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write insight.kpi_trend from insight.kpi_trend_level: a row for each of its rows."""
    connection.execute(_NUMBERED)
    grains = [(series, GRAINS[grain]) for grain in GRAINS if len((series := read_series(connection, grain)).ids)]
    found = [(series, analyse(series, grain)) for series, grain in grains]
    connection.register("found_trends", trends_table(found))
    connection.register("found_periods", periods_table(found))
    connection.execute(_WRITE)
    for name in ("found_trends", "found_periods"):
        connection.unregister(name)
    connection.execute("drop table numbered_series")


def read_series(connection: duckdb.DuckDBPyConnection, grain: str) -> Series:
    """The series of a grain; a week in which nothing was counted is 0 between others of a series that adds up."""
    listed = connection.execute(_SERIES, {"grain": grain}).to_arrow_table()
    read = connection.execute(_READ, {"grain": grain}).to_arrow_table()
    ids = _integers(listed, "series_id")
    if not len(ids):
        return Series(ids, 0, np.empty((0, 0)), np.empty((0, 0), dtype=bool), ids)
    rows, numbers = np.searchsorted(ids, _integers(read, "series_id")), _integers(read, "period_number")
    first = int(numbers.min())
    values = np.full((len(ids), int(numbers.max()) - first + 1), np.nan)
    is_present = np.zeros(values.shape, dtype=bool)
    values[rows, numbers - first] = read["value"].to_numpy()
    is_present[rows, numbers - first] = True
    last = _integers(listed, "last_number") - first
    place = np.arange(values.shape[1])
    begun = np.where(np.isfinite(values), place, values.shape[1]).min(axis=1)
    between = (place > begun[:, None]) & (place <= last[:, None]) & ~is_present
    filled = between & listed["is_filled"].to_numpy()[:, None]
    values[filled], is_present[filled] = 0.0, True
    return Series(ids, first, values, is_present, np.clip(last, 0, None))


def trends_table(found: list[tuple[Series, Found]]) -> pa.Table:
    """A row a series: its trend, with false discoveries controlled over the series of all grains together.

    Source: Benjamini and Hochberg (1995).
    """
    q_value = q_values(_joined(found, lambda _, each: each.p_value))
    shift_q_value = q_values(_joined(found, lambda _, each: each.shift_p_value))
    slope = _joined(found, lambda _, each: each.slope)
    with np.errstate(invalid="ignore"):
        is_significant, has_shift = q_value <= LEVEL, shift_q_value <= LEVEL
    direction = np.where(is_significant, np.where(slope > 0, "up", "down"), "none")
    is_unknown = np.isnan(q_value)
    return pa.table(
        {
            "series_id": _joined(found, lambda series, _: series.ids),
            "status": _joined(found, lambda _, each: each.status),
            "direction": pa.array(direction, mask=is_unknown),
            "slope": _nullable(slope),
            "p_value": _nullable(_joined(found, lambda _, each: each.p_value)),
            "q_value": _nullable(q_value),
            "is_significant": pa.array(is_significant, mask=is_unknown),
            "has_shift": pa.array(has_shift, mask=is_unknown),
            "shift_number": _joined(found, lambda series, each: series.first + each.shift),
        }
    )


def q_values(p_values: Floats) -> Floats:
    """The false discovery rate at which each would be called significant; NaN where there was no test."""
    q_value = np.full(p_values.shape, np.nan)
    is_tested = np.isfinite(p_values)
    if is_tested.any():
        from scipy.stats import false_discovery_control

        q_value[is_tested] = false_discovery_control(p_values[is_tested], method="bh")
    return q_value


def periods_table(found: list[tuple[Series, Found]]) -> pa.Table:
    """A row a series and period for which there is something."""
    parts = []
    for series, each in found:
        rows, columns = np.nonzero(np.isfinite(each.adjusted) | np.isfinite(each.low))
        # What never was below zero is not expected to be.
        lowest = np.minimum.accumulate(np.where(np.isnan(series.values), np.inf, series.values), axis=1)
        never_below = np.column_stack([np.ones(len(lowest), dtype=bool), lowest[:, :-1] >= 0])
        low, high = (np.where(never_below, np.maximum(bound, 0.0), bound) for bound in (each.low, each.high))
        parts.append(
            {
                "series_id": series.ids[rows],
                "period_number": series.first + columns,
                "adjusted": _nullable(each.adjusted[rows, columns]),
                "low": _nullable(low[rows, columns]),
                "high": _nullable(high[rows, columns]),
            }
        )
    empty = {
        "series_id": pa.int64(),
        "period_number": pa.int64(),
        **dict.fromkeys(("adjusted", "low", "high"), pa.float64()),
    }
    return pa.concat_tables([pa.schema(empty).empty_table(), *(pa.table(part) for part in parts)])


def _joined(found: list[tuple[Series, Found]], column: Callable[[Series, Found], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate([column(series, each) for series, each in found]) if found else np.empty(0)


def _integers(table: pa.Table, column: str) -> Integers:
    return np.asarray(table[column].to_numpy(), dtype=np.int64)


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
