"""Trends, shifts, seasons and ranges: against reference implementations, and how often noise passes for something."""

import math
import random
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pymannkendall
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import toeplitz
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.seasonal import STL
from statsmodels.tsa.stattools import acf

from kpimart.insight.statistics import trends
from kpimart.insight.statistics.trends import (
    AUTOCORRELATIONS,
    GRAINS,
    Series,
    analyse,
    expected_ranges,
    q_values,
    seasonally_adjusted,
    seasons,
    shifts,
    trend_design,
)
from sampling import IS_FULL

Floats = npt.NDArray[np.float64]

SERIES = 5000 if IS_FULL else 1000
# What a share of 5 % comes to by chance in so many series, in 999 of 1,000 samples.
AT_MOST = 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / SERIES)


def noise(count: int, length: int, correlation: float = 0.0, *, seed: int = 1, kind: str = "normal") -> Floats:
    """Series of a first-order autoregression; `kind` is that of its innovations, of mean 0."""
    chance = np.random.default_rng(seed)
    shape = (count, length + 50)
    steps = chance.standard_normal(shape) if kind == "normal" else chance.lognormal(size=shape) - math.exp(0.5)
    values = np.zeros(shape)
    for place in range(1, shape[1]):
        values[:, place] = correlation * values[:, place - 1] + steps[:, place]
    return values[:, 50:]


def line(length: int, rise: float) -> Floats:
    """A straight line that rises by so much from its first to its last period."""
    return rise * np.arange(length) / (length - 1)


def yearly(length: int, height: float, season: int = 12) -> Floats:
    return height * np.sin(2 * np.pi * np.arange(length) / season)


# ----------------------------------------------------------------------------------------------------- false alarms


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
@pytest.mark.parametrize(
    ("grain", "length"), [("month", 24), ("month", 36), ("quarter", 12), ("year", 10), ("week", 104)]
)
def test_noise_passes_for_a_trend_no_more_often_than_promised(
    grain: str, length: int, correlation: float, kind: str, record_property: Callable[[str, object], None]
) -> None:
    series = noise(SERIES, length, correlation, kind=kind) + yearly(length, 3, GRAINS[grain].season)
    _, p_values = trend_design(length, GRAINS[grain].season).test(series)
    share = float((p_values <= 0.05).mean())
    record_property(
        "figure",
        f"trend of {length} {grain}s: {share:.1%} false alarms at a nominal 5 %, {kind} noise, "
        f"autocorrelation {correlation}",
    )
    assert share <= AT_MOST


def test_the_correction_by_hamed_and_rao_promises_more_than_it_keeps() -> None:
    """Which is why it is not the test here."""
    p_values = np.array([pymannkendall.hamed_rao_modification_test(each).p for each in noise(1000, 36)])
    assert (p_values <= 0.05).mean() > 0.06


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_noise_passes_for_a_shift_no_more_often_than_promised(
    correlation: float, record_property: Callable[[str, object], None]
) -> None:
    _, p_values = shifts(noise(SERIES, 36, correlation) + yearly(36, 3), 12, GRAINS["month"].side)
    share = float((p_values <= 0.05).mean())
    record_property("figure", f"shift in 36 months: {share:.1%} false alarms, autocorrelation {correlation}")
    assert share <= AT_MOST


@pytest.mark.parametrize(("kind", "most"), [("normal", 0.01), ("lognormal", 0.05)])
@pytest.mark.parametrize(("grain", "length"), [("week", 156), ("month", 60), ("quarter", 20)])
def test_noise_stays_in_its_expected_range(
    grain: str, length: int, kind: str, most: float, record_property: Callable[[str, object], None]
) -> None:
    values = noise(SERIES, length, 0.3, kind=kind)
    low, high = expected_ranges(values, GRAINS[grain].season, GRAINS[grain].prior)
    judged = np.isfinite(low)
    share = float(((values < low) | (values > high))[judged].mean())
    record_property("figure", f"{grain}s of {kind} noise outside of their expected range: {share:.1%}")
    assert judged.any()
    assert share <= most


def test_of_many_series_of_noise_next_to_none_is_called_significant() -> None:
    _, p_values = trend_design(36, 12).test(noise(SERIES, 36, 0.5))
    assert (q_values(p_values) <= 0.05).mean() <= 0.002


# -------------------------------------------------------------------------------------------------- what is injected


def test_a_season_with_and_without_a_trend_are_told_apart(record_property: Callable[[str, object], None]) -> None:
    without = noise(500, 36, 0.3) + yearly(36, 5)
    slopes, p_values = trend_design(36, 12).test(
        np.concatenate([without, without + line(36, 5), without - line(36, 5)])
    )
    found = np.where(q_values(p_values) <= 0.05, np.sign(slopes), 0).reshape(3, 500)
    record_property(
        "figure",
        f"of 500 seasons with a trend of 5 noise deviations {np.mean(found[1] == 1):.0%} are found, of 500 without one "
        f"{np.mean(found[0] != 0):.1%}",
    )
    assert (found[0] != 0).mean() < 0.05
    assert (found[1] == 1).mean() > 0.9
    assert (found[2] == -1).mean() > 0.9


@pytest.mark.parametrize("place", [10, 18, 27])
def test_an_injected_shift_is_found_where_it_is(place: int, record_property: Callable[[str, object], None]) -> None:
    step = np.where(np.arange(36) >= place, 5.0, 0.0)
    found, p_values = shifts(noise(500, 36, 0.3) + yearly(36, 2) + step, 12, GRAINS["month"].side)
    share = float(((found == place) & (q_values(p_values) <= 0.05)).mean())
    record_property("figure", f"a shift of 5 noise deviations with month {place + 1} of 36 is found there: {share:.0%}")
    assert share > 0.8


def test_a_straight_line_is_seldom_taken_for_a_shift() -> None:
    _, p_values = shifts(noise(SERIES, 36) + line(36, 4), 12, GRAINS["month"].side)
    assert (p_values <= 0.05).mean() <= AT_MOST


def test_a_month_far_off_is_an_anomaly_and_does_not_hide_the_next() -> None:
    values = noise(1, 60) + 100 + yearly(60, 10)
    values[0, [40, 45]] += 30
    low, high = expected_ranges(values, 12, 12)
    outside = np.flatnonzero((values < low) | (values > high))
    assert {40, 45} <= set(outside)


# ------------------------------------------------------------------------------------------- reference implementations


@pytest.mark.parametrize(("length", "season"), [(24, 12), (36, 12), (12, 4), (10, 1), (104, 52)])
def test_without_autocorrelation_it_is_the_test_of_least_squares(length: int, season: int) -> None:
    values = noise(20, length, 0.4) + line(length, 2)
    slopes, p_values = trend_design(length, season).test(values, autocorrelation=0.0)
    regressors = np.column_stack([np.arange(length), seasons(length, season)])
    fitted = [sm.OLS(each, regressors).fit() for each in values]
    np.testing.assert_allclose(slopes, [each.params[0] for each in fitted], atol=1e-9)
    np.testing.assert_allclose(p_values, [each.pvalues[0] for each in fitted], atol=1e-9)
    if season == 1:
        simple = [stats.linregress(np.arange(length), each) for each in values]
        np.testing.assert_allclose(p_values, [each.pvalue for each in simple], atol=1e-9)


def test_with_an_autocorrelation_it_is_the_variance_that_such_errors_give() -> None:
    """Worked out anew with full matrices: b = Cy has the variance CVC', and e = My has the sum of squares tr(MV)."""
    length, correlation = 36, float(AUTOCORRELATIONS[42])
    regressors = np.column_stack([np.arange(length), seasons(length, 12)])
    covariance = toeplitz(correlation ** np.arange(length))
    values = noise(10, length, correlation)
    slopes, p_values = trend_design(length, 12).test(values, autocorrelation=correlation)
    inverse = np.linalg.inv(regressors.T @ regressors)
    variance = (inverse @ regressors.T @ covariance @ regressors @ inverse)[0, 0]
    spread = np.eye(length) - regressors @ inverse @ regressors.T
    freedom = np.trace(spread @ covariance) ** 2 / np.trace(spread @ covariance @ spread @ covariance)
    for each, slope, p_value in zip(values, slopes, p_values, strict=True):
        residuals = sm.OLS(each, regressors).fit().resid
        deviation = math.sqrt(residuals @ residuals / np.trace(spread @ covariance) * variance)
        assert p_value == pytest.approx(2 * stats.t.sf(abs(slope) / deviation, freedom), abs=1e-9)


def test_the_autocorrelation_is_that_of_the_residuals_freed_of_its_bias() -> None:
    """Of errors with 0.5 the residuals show less; what is expected of them is what they show on average."""
    design = trend_design(36, 12)
    errors = noise(4000, 36, 0.5) @ design.residuals.T
    lagged = [acf(each, nlags=1)[1] * (each @ each) for each in errors]
    place = int(np.flatnonzero(np.isclose(AUTOCORRELATIONS, 0.5))[0])
    assert sum(lagged) / (errors**2).sum() == pytest.approx(design.expected[place], abs=0.01)
    assert design.expected[place] < 0.45


@pytest.mark.parametrize(
    ("length", "season", "jumps"), [(24, 12, (2, 2)), (41, 12, (2, 2)), (16, 4, (1, 1)), (104, 52, (7, 6))]
)
def test_the_adjusted_series_is_that_of_stl(length: int, season: int, jumps: tuple[int, int]) -> None:
    values = 1000 + noise(5, length, 0.3) + yearly(length, 5, season) + line(length, 3)
    expected = [
        each - STL(each, period=season, trend_jump=jumps[0], low_pass_jump=jumps[1]).fit().seasonal for each in values
    ]
    np.testing.assert_allclose(seasonally_adjusted(values, season), expected, atol=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_those_of_benjamini_and_hochberg(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="fdr_bh")[1]
    np.testing.assert_allclose(q_values(np.array([*p_values, np.nan]))[:-1], expected, atol=1e-12)


def test_an_expected_range_worked_out_by_hand() -> None:
    """Quarters; the changes on the year before are 1, 2, 3, …, 8: their median is 4.5, half of them are within 2 of it,
    and nine in ten within 3.5. t at 99.5 % with 0.37 × 7 degrees of freedom is 6.91."""
    values = np.concatenate([np.zeros(4), [1, 2, 3, 4], [6, 8, 10, 12], [99]])[None, :].astype(float)
    low, high = expected_ranges(values, 4, 8)
    half = stats.t.ppf(0.995, 0.37 * 7) * 1.482602218505602 * 2 * math.sqrt(1 + math.pi / 16)
    assert np.isnan(low[0, :12]).all()
    assert (low[0, 12], high[0, 12]) == pytest.approx((6 + 4.5 - half, 6 + 4.5 + half), abs=1e-9)


def test_what_comes_later_changes_no_range() -> None:
    values = noise(20, 60)
    low, high = expected_ranges(values, 12, 12)
    shorter_low, shorter_high = expected_ranges(values[:, :45], 12, 12)
    np.testing.assert_array_equal(low[:, :45], shorter_low)
    np.testing.assert_array_equal(high[:, :45], shorter_high)


# --------------------------------------------------------------------------------------------------- exact series


@given(
    st.floats(-1e9, 1e9),
    st.floats(-1e6, 1e6).filter(lambda rise: rise == 0 or abs(rise) > 1e-3),
    st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12),
)
def test_a_series_without_noise_has_the_trend_that_it_has(level: float, rise: float, season: list[float]) -> None:
    values = (level + rise * np.arange(36) + np.tile(season, 3))[None, :]
    (slope,), (p_value,) = trend_design(36, 12).test(values)
    scale = np.abs(values).max()
    assert slope == pytest.approx(rise, abs=1e-9 * max(1.0, scale))
    if rise == 0:
        assert p_value > 0.05
    elif abs(rise) > 1e-8 * scale:
        assert p_value == 0


@given(st.integers(0, 2**32 - 1), st.floats(-1e6, 1e6), st.floats(0.01, 1e6))
def test_neither_the_level_nor_the_unit_changes_a_p_value(seed: int, level: float, unit: float) -> None:
    values = noise(3, 36, 0.3, seed=seed)
    slopes, p_values = trend_design(36, 12).test(values)
    moved_slopes, moved_p_values = trend_design(36, 12).test(level * unit + unit * values)
    np.testing.assert_allclose(moved_p_values, p_values, atol=1e-6)
    np.testing.assert_allclose(moved_slopes, unit * slopes, atol=1e-7 * unit)


# ------------------------------------------------------------------------------------------------- which are tested


def series_of(*rows: list[float | None], missing: tuple[tuple[int, int], ...] = ()) -> Series:
    """Series that end with the last month; None is undefined, `missing` are rows (series, month) that are not there."""
    values = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float)
    is_present = np.ones(values.shape, dtype=bool)
    for place in missing:
        is_present[place] = False
    count, width = values.shape
    return Series(np.arange(count), 1, values, is_present, np.full(count, width - 1))


def test_too_little_says_so() -> None:
    full: list[float | None] = [*noise(1, 40)[0]]
    found = analyse(
        series_of(
            full,
            [None] * 20 + full[20:],
            [*full[:30], None, *full[31:]],
            [7.0] * 40,
            [*full[:39], None],
            [*full[:39], None],
            missing=((5, 39),),
        ),
        GRAINS["month"],
    )
    assert list(found.status) == ["enough", "too_short", "gaps", "constant", "gaps", "ended"]
    assert np.isfinite(found.p_value).tolist() == [True, False, False, False, False, False]
    # An adjusted series is there up to its last value, if that makes two years without a gap.
    assert np.isfinite(found.adjusted).sum(axis=1).tolist() == [40, 0, 0, 40, 39, 39]


# ----------------------------------------------------------------------------------------------- from and to the build


LEVEL = """
create schema insight;
create table insight.kpi_trend_level as
select
    'k' || series as kpi_code, 'month' as period_grain,
    (date '2020-01-01' + interval (month) month)::date as period_start,
    (date '2020-01-01' + interval (month + 1) month)::date - 1 as period_end, true as is_complete,
    'company' as entity_level, 'company' as entity_key, null::varchar as department_id, null::varchar as manager_id,
    'Company' as entity_name, 'EUR' as unit, value, null::decimal(28, 8) as previous_value,
    null::decimal(28, 8) as change, null::decimal(28, 8) as last_year_value,
    null::decimal(28, 8) as change_on_last_year, 'whole' as compared_as, null::integer as compared_through,
    null::decimal(28, 8) as rolling_3, null::decimal(28, 8) as rolling_6, null::decimal(28, 8) as rolling_12,
    null::decimal(28, 8) as year_to_date, value as working_day_adjusted_value, month::integer as period_number,
    true as is_flow, true as is_whole, 1::decimal(18, 12) as working_day_factor
from figures
"""


def written(rows: list[tuple[int, int, float]]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("create table figures (series integer, month integer, value decimal(28, 8))")
        if rows:
            connection.executemany("insert into figures values (?, ?, ?)", rows)
        connection.execute(LEVEL)
        trends.write(connection)
        return connection.execute("from insight.kpi_trend order by kpi_code, period_start").fetchall()


def test_the_order_of_rows_changes_nothing() -> None:
    values = 1000 + 100 * noise(6, 40, 0.3) + np.outer([0, 0, 0, 1, 1, 1], line(40, 500))
    rows = [(series, month, round(value, 2)) for (series, month), value in np.ndenumerate(values)]
    shuffled = random.Random(1).sample(rows, len(rows))  # noqa: S311
    assert written(rows) == written(shuffled)


def test_a_build_without_figures_has_no_trends() -> None:
    assert written([]) == []
