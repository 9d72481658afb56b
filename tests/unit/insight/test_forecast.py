"""Forecasts: methods by hand and beside libraries, what is chosen, what adds up, what leaks, what intervals hold."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag
from statsmodels.tsa.forecasting.theta import ThetaModel

from kpimart.insight.statistics.forecast import pipeline as pipelines
from kpimart.insight.statistics.forecast.calibration import half_widths, scale_of
from kpimart.insight.statistics.forecast.choice import choose, errors_known
from kpimart.insight.statistics.forecast.known import COMPANY, Entity, Known, Seat, organisation_of
from kpimart.insight.statistics.forecast.methods import CHEAP, FITTED, HORIZON, run_rate, seasonal_naive, theta
from kpimart.insight.statistics.forecast.pipeline import Late, Pipeline, won_shares
from kpimart.insight.statistics.forecast.reconciliation import added_up, reconciled
from kpimart.insight.statistics.forecast.vintages import Vintage, fitted, vintages
from kpimart.insight.statistics.forecast.write import bounds
from sampling import IS_FULL

Floats = npt.NDArray[np.float64]

ORIGINS = 12
WORLDS = 30 if IS_FULL else 4


# ------------------------------------------------------------------------------------------------------------- methods


def test_seasonal_naive_is_the_month_a_year_before() -> None:
    values = np.arange(30.0)
    assert seasonal_naive(values).tolist() == [*range(18, 30), *range(18, 24)]


def test_a_run_rate_of_a_year_is_its_mean() -> None:
    assert run_rate(np.arange(12.0)).tolist() == [5.5] * HORIZON


def test_a_run_rate_of_two_years_has_half_their_season() -> None:
    """Two equal years, 24 in one month and 12 in the others: 13 a month; indices 24/13 and 12/13, halfway to 1."""
    year = [24.0, *[12.0] * 11]
    expected = run_rate(np.array([*year, *year]))
    assert expected[0] == pytest.approx(13 * (1 + 24 / 13) / 2)
    assert expected[1] == pytest.approx(13 * (1 + 12 / 13) / 2)
    assert expected[:12].sum() == pytest.approx(12 * 13)
    assert expected[12:] == pytest.approx(expected[:6])


def test_theta_is_that_of_statsmodels_where_there_is_no_season() -> None:
    """Standard Theta: half the trend and simple exponential smoothing; the two libraries optimise on their own."""
    values = 100 + np.arange(36) + np.random.default_rng(1).normal(0, 5, 36)
    reference = ThetaModel(values, period=12, deseasonalize=False).fit().forecast(HORIZON)
    assert theta(values) == pytest.approx(reference.to_numpy(), rel=0.02)


@pytest.mark.parametrize("name", [*CHEAP, *FITTED])
def test_a_method_carries_on_what_never_changes_and_never_falls_below_nothing(name: str) -> None:
    method = (CHEAP | FITTED)[name]
    assert method.forecast(np.full(36, 7.0)) == pytest.approx(np.full(HORIZON, 7.0))
    assert method.forecast(np.zeros(36)).tolist() == [0.0] * HORIZON
    falling = method.forecast(np.maximum(0.0, 35.0 - np.arange(36)))
    assert (falling >= 0).all()


def test_a_fit_that_runs_away_is_none() -> None:
    """Deals of a made-up company, to whose 29 months ARIMA fits a root beyond 1: 67,790 in the second month ahead."""
    known = company(101)
    values = known.at("won_deals", 28)[0]
    assert np.isnan(FITTED["arima"].forecast(values)).all()


@pytest.mark.parametrize("name", ["mstl", "ets", "arima"])
def test_a_method_with_a_season_finds_one(name: str) -> None:
    season = 100 + 40 * np.sin(2 * np.pi * np.arange(72) / 12)
    ahead = FITTED[name].forecast(np.round(season[:54] + np.random.default_rng(2).normal(0, 1, 54), 2))
    assert np.abs(ahead - season[54:72]).max() < 8


# ------------------------------------------------------------------------------------------------------------ pipeline


def test_a_share_is_told_from_enough_deals() -> None:
    """30 deals tell of a group; 10 have the share of their stage, 40 of 400; a stage of 5 that of all, 54 of 415."""
    opened, won = np.array([300.0, 100.0, 15.0]), np.array([30.0, 10.0, 14.0])
    shares = won_shares(opened, won, np.array([30.0, 10.0, 5.0]), np.array([0, 0, 1]))
    assert shares == pytest.approx([0.1, 40 / 400, 54 / 415])


NOTHING_LATE = Late(np.empty((3, 0), dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


def test_the_pipeline_is_what_is_open_by_its_share_and_what_is_new_by_then() -> None:
    """Ten deals are open at each end; four of them are won in the month after it, with one new one more: 5 a month.

    With twenty open at the origin: 20 × 0.4 + 1 = 9 in the next month, and 5, all of them new, in the second.
    """
    months = 24
    opened, won = np.full((months, 1, 1), 10.0), np.zeros((months, 1, HORIZON, months))
    opened[-1] = 20.0
    for month in range(months - 1):
        won[month, 0, 0, month + 1] = 4.0
    known = Known((COMPANY,), {"won_deals": np.eye(months)[None] * 5.0}, ())
    made = Pipeline(opened, opened[:, 0], won, won.sum(axis=3), NOTHING_LATE, np.zeros(1, dtype=np.int64))
    ahead = pipelines.forecast(made, known, "won_deals", months - 1)
    assert ahead[0, :2] == pytest.approx([9.0, 5.0])


def test_a_pipeline_knows_no_win_before_it_was_known() -> None:
    months = 24
    opened, won = np.full((months, 1, 1), 10.0), np.zeros((months, 1, HORIZON, months))
    known = Known((COMPANY,), {"won_deals": np.eye(months)[None] * 5.0}, ())
    without = Pipeline(opened, opened[:, 0], won, won[..., 0], NOTHING_LATE, np.zeros(1, dtype=np.int64))
    told = won.copy()
    told[5, 0, 0, 20] = 8.0
    late = Late(np.array([[5], [0], [0]]), np.array([20]), np.array([8.0]))
    made = replace(without, won=told, late=late)
    for origin, is_same in ((19, True), (20, False)):
        seen, unseen = (pipelines.forecast(each, known, "won_deals", origin)[0, 0] for each in (made, without))
        assert (seen == unseen) == is_same


# -------------------------------------------------------------------------------------------------------------- choice


def errors_of(*sizes: float) -> dict[str, Floats]:
    """Forecasts from 12 origins that miss a figure of 0 by so much each, seasonal naive first."""
    names = ("seasonal_naive", "run_rate", "theta")
    return {name: np.full((13, 1, HORIZON), size) for name, size in zip(names, sizes, strict=True)}


@pytest.mark.parametrize(
    ("sizes", "method"),
    [
        ((10.0, 20.0, 30.0), "seasonal_naive"),
        # The mean of the three misses by 5.2, and 4.8 is not a tenth less.
        ((6.0, 4.8, 4.8), "combination"),
        ((10.0, 10.0, 1.0), "theta"),
    ],
    ids=["nothing beats seasonal naive", "none is better than the mean of all by a tenth", "one is"],
)
def test_what_is_chosen(sizes: tuple[float, ...], method: str) -> None:
    chosen = choose(errors_of(*sizes), np.zeros((1, 25)), np.arange(12, 25), [np.array([0])])
    assert chosen.method.tolist() == [method]


def test_few_errors_choose_nothing() -> None:
    """Two origins before the present one have three errors in all: one of the older, two of the oldest."""
    forecasts = {name: each[:3] for name, each in errors_of(10.0, 1.0, 1.0).items()}
    chosen = choose(forecasts, np.zeros((1, 25)), np.arange(22, 25), [np.array([0])])
    assert chosen.method.tolist() == ["seasonal_naive"]


def test_an_error_is_known_when_its_month_is_over() -> None:
    errors = errors_known(np.full((2, 1, 3), 10.0), np.arange(6.0)[None], np.array([2, 4]))
    assert errors.ravel().tolist() == pytest.approx([7.0, 6.0, 5.0, 5.0, math.nan, math.nan], nan_ok=True)


# ------------------------------------------------------------------------------------------------------ reconciliation


def test_forecasts_that_do_not_add_up_meet_by_how_far_they_err() -> None:
    """A company of 10 over managers of 3 and 3, all erring alike: each of the three gives up a third of the 4."""
    sums = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    managers = reconciled(np.array([[10.0], [3.0], [3.0]]), sums, np.ones(3))
    assert managers.ravel() == pytest.approx([3 + 4 / 3, 3 + 4 / 3])


def test_what_is_reconciled_is_the_projection_of_the_literature() -> None:
    """P = (S'W⁻¹S)⁻¹S'W⁻¹ of Wickramasuriya et al., written out with matrices."""
    random = np.random.default_rng(3)
    sums = np.vstack([np.ones((1, 4)), block_diag(np.ones((1, 2)), np.ones((1, 2))), np.eye(4)])
    base, variance = random.uniform(50, 100, (7, HORIZON)), random.uniform(1, 9, 7)
    weights = np.linalg.inv(np.diag(variance))
    expected = np.linalg.inv(sums.T @ weights @ sums) @ sums.T @ weights @ base
    assert reconciled(base, sums, variance) == pytest.approx(expected)


def test_who_has_no_forecast_gets_what_the_others_leave() -> None:
    sums = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    base = np.array([[10.0], [np.nan], [4.0], [6.0]])
    assert reconciled(base, sums, np.ones(4)).ravel() == pytest.approx([4.0, 6.0])


@given(
    managers=st.lists(st.floats(0, 1e9, allow_nan=False), min_size=4, max_size=4),
    others=st.lists(st.floats(0, 1e9, allow_nan=False), min_size=3, max_size=3),
    variances=st.lists(st.floats(1e-3, 1e6), min_size=7, max_size=7),
)
def test_everybody_adds_up_to_the_cent_and_nobody_is_below_nothing(
    managers: list[float], others: list[float], variances: list[float]
) -> None:
    sums = np.vstack([np.ones((1, 4)), block_diag(np.ones((1, 2)), np.ones((1, 2))), np.eye(4)])
    base = np.array([[*others, *managers]]).T
    value = added_up(reconciled(base, sums, np.array(variances)), sums)[:, 0]
    assert (value >= 0).all()
    assert value[0] == value[1] + value[2] == value[3:].sum()
    assert (value[1], value[2]) == (value[3] + value[4], value[5] + value[6])


# ----------------------------------------------------------------------------------------------------------- intervals


def test_an_interval_is_as_wide_as_what_was_missed() -> None:
    """Scores 1 to 100 a month, three months alike: 300, of which the ⌈301 × 0.8⌉ = 241st is 81."""
    scores = np.tile(np.arange(1.0, 101.0)[:, None], (1, HORIZON))
    assert half_widths(scores, 0.80)[:3].tolist() == [81.0, 81.0, 81.0]


def test_an_interval_is_never_narrower_further_ahead_and_none_is_made_of_too_few_scores() -> None:
    scores = np.full((100, HORIZON), np.nan)
    scores[:, :3], scores[:, 3:6] = 5.0, 2.0
    assert half_widths(scores, 0.95).tolist() == [5.0] * HORIZON
    assert np.isnan(half_widths(np.full((5, HORIZON), np.nan), 0.80)).all()
    assert np.isnan(half_widths(scores[:6], 0.80)[:3]).all()


def test_a_series_that_hardly_moves_has_a_quarter_of_its_levels_scale() -> None:
    moving = np.tile([0.0, 20.0], 12)
    assert scale_of(np.array([moving, np.zeros(24)])).tolist() == [10.0, 0.25 * 5.0]


# --------------------------------------------------------------------------------------- whole companies of known truth


def company(seed: int, months: int = 36, departments: int = 3, team: int = 4) -> Known:
    """A company whose figures are made by a known law: a season, growth, shocks that fade, and managers' luck.

    Deals are Poisson, amounts lognormal; a manager in seven begins within the months, the last one six before the end.
    All is known in its month.
    """
    random = np.random.default_rng(seed)
    managers, month = departments * team, np.arange(months)
    season = np.maximum(0.3, 1 + 0.25 * np.sin(2 * np.pi * (month + random.integers(12)) / 12))
    shock = np.zeros(months)
    for place in range(1, months):
        shock[place] = 0.5 * shock[place - 1] + random.normal(0, 0.06)
    begins = np.where(random.random(managers) < 1 / 7, random.integers(6, months, managers), 0)
    begins[-1] = months - 6
    rate = 4 * random.lognormal(0, 0.4, managers)[:, None] * season * (1 + 0.008 * month) * np.exp(shock)
    deals = random.poisson(rate * (month >= begins[:, None]))
    amounts = np.array([[random.lognormal(8, 0.7, count).sum().round(2) for count in row] for row in deals])
    entities = (
        COMPANY,
        *(Entity("department", f"d{number}") for number in range(departments)),
        *(Entity("manager", f"m{number:02}") for number in range(managers)),
    )
    changes = {}
    for kpi_code, figures in (("won_amount", amounts), ("won_deals", deals)):
        of_departments = figures.reshape(departments, team, months).sum(axis=1)
        changes[kpi_code] = np.zeros((len(entities), months, months))
        changes[kpi_code][:, month, month] = np.vstack([figures.sum(axis=0), of_departments, figures])
    seats = [
        [
            Seat(f"m{number:02}", f"d{number // team}", entity)
            for number in np.flatnonzero(begins <= origin)
            for entity in (COMPANY, entities[1 + number // team], entities[1 + departments + number])
        ]
        for origin in month
    ]
    return Known(entities, changes, tuple(organisation_of(each, entities) for each in seats))


@cache
def kept(method: str, values: bytes) -> Floats:
    return fitted(method, np.frombuffer(values))


def forecast(known: Known, kpi_code: str = "won_amount") -> list[Vintage]:
    return list(vintages(known, kpi_code, ORIGINS, lambda method, values: kept(method, values.tobytes())))


def test_managers_add_up_to_departments_and_these_to_the_company_in_every_month() -> None:
    known = company(1)
    for vintage in forecast(known):
        organisation = known.organisations[vintage.origin]
        managers = vintage.value[np.isin(vintage.nodes, organisation.managers)]
        assert (vintage.value == organisation.sums.astype(np.int64) @ managers).all()
        assert (vintage.value >= 0).all()


def test_a_forecast_comes_out_the_same_again_and_whatever_the_order_of_entities() -> None:
    known = company(2)
    # Managers the other way round; the company and the departments stay.
    order = np.array([*range(4), *range(len(known.entities) - 1, 3, -1)])
    entities = tuple(known.entities[row] for row in order)
    seats = [
        [
            Seat(entities[row].key, entities[department].key, entity)
            for row, department in zip(each.managers, each.departments, strict=True)
            for entity in (COMPANY, entities[department], entities[row])
        ]
        for each in (reordered(organisation, order) for organisation in known.organisations)
    ]
    turned = Known(
        entities,
        {code: changes[order] for code, changes in known.changes.items()},
        tuple(organisation_of(each, entities) for each in seats),
    )
    first, again, other = forecast(known)[-1], forecast(known)[-1], forecast(turned)[-1]
    assert (first.value == again.value).all()
    by_entity = {entities[row]: values for row, values in zip(other.nodes, other.value, strict=True)}
    for row, values in zip(first.nodes, first.value, strict=True):
        # Sums of doubles in another order may round a cent otherwise.
        assert by_entity[known.entities[row]] == pytest.approx(values, abs=16)


def reordered(organisation: object, order: npt.NDArray[np.int64]) -> object:
    place_of = {row: place for place, row in enumerate(order)}
    return replace(
        organisation,  # type: ignore[type-var]
        managers=np.array([place_of[row] for row in organisation.managers]),  # type: ignore[attr-defined]
        departments=np.array([place_of[row] for row in organisation.departments]),  # type: ignore[attr-defined]
    )


def a_shock_from(known: Known, month: int) -> Known:
    """Everything after a month ten times as large, and a figure of long before corrected, which is known after it."""
    changes = {code: each.copy() for code, each in known.changes.items()}
    for each in changes.values():
        each[:, month + 1 :, month + 1 :] *= 10
        each[:, 5, month + 1] += 1_000_000
    return replace(known, changes=changes)


@pytest.mark.parametrize("kpi_code", ["won_amount", "won_deals"])
def test_what_happens_or_is_learnt_after_an_origin_changes_nothing_of_its_vintage(kpi_code: str) -> None:
    known, month = company(3), 29
    calm, shocked = forecast(known, kpi_code), forecast(a_shock_from(known, month), kpi_code)
    before = [pair for pair in zip(calm, shocked, strict=True) if pair[0].origin <= month]
    assert len(before) == 7
    for one, other in before:
        assert (one.value == other.value).all()
        assert (one.method == other.method).all()
        assert np.array_equal(one.half_width, other.half_width, equal_nan=True)
        assert np.array_equal(one.cumulative_half_width, other.cumulative_half_width, equal_nan=True)
    assert not (calm[-1].value == shocked[-1].value).all()


def test_a_vintage_is_what_it_was_when_it_was_the_present_one() -> None:
    known, month = company(4, months=62, departments=2, team=2), 55
    then = Known(
        known.entities,
        {code: each[:, : month + 1, : month + 1] for code, each in known.changes.items()},
        known.organisations[: month + 1],
    )
    (now,) = (vintage for vintage in forecast(known) if vintage.origin == month)
    assert (now.value == forecast(then)[-1].value).all()
    assert np.array_equal(now.half_width, forecast(then)[-1].half_width, equal_nan=True)


def test_of_a_month_at_whose_end_nobody_was_employed_there_is_no_vintage() -> None:
    known = company(6, months=30, departments=1, team=2)
    nobody = organisation_of([], known.entities)
    organisations = (*known.organisations[:27], nobody, nobody, known.organisations[29])
    made = forecast(replace(known, organisations=organisations))
    assert [vintage.origin for vintage in made] == [*range(17, 27), 29]


def test_who_began_lately_gets_a_share_of_the_department_and_it_is_said() -> None:
    known = company(5)
    last = forecast(known)[-1]
    begun = known.begun(last.origin)
    assert set(last.status[begun[last.nodes] > last.origin - 11]) == {"share_of_department"}
    assert last.status[last.nodes == known.rows("company")[0]].tolist() == ["own"]


def test_intervals_hold_what_they_promise_and_forecasts_beat_seasonal_naive(
    record_property: Callable[[str, object], None],
) -> None:
    """Known truth: 12 vintages each of made-up companies, all months ahead that came."""
    counts: dict[str, Counter[str]] = {level: Counter() for level in ("company", "department", "manager")}
    for seed in range(WORLDS):
        known = company(100 + seed)
        truth = np.rint(known.at("won_deals", known.months - 1) * 100).astype(np.int64)
        for vintage in forecast(known, "won_deals")[:-1]:
            over = min(HORIZON, known.months - 1 - vintage.origin)
            came = truth[vintage.nodes, vintage.origin + 1 : vintage.origin + 1 + over]
            low, high = bounds(vintage.value[:, :over], vintage.half_width[:, :over])
            naive = np.abs(np.rint(vintage.naive[:, :over] * 100) - came)
            for level, count in counts.items():
                rows = np.isin(vintage.nodes, known.rows(level))
                count["figures"] += came[rows].size
                count["actual"] += int(came[rows].sum())
                count["error"] += int(np.abs(vintage.value[rows, :over] - came[rows]).sum())
                count["naive"] += int(naive[rows].sum())
                for place, share in enumerate(("80", "95")):
                    is_in = (low[rows, :, place] <= came[rows]) & (came[rows] <= high[rows, :, place])
                    count[share] += int(is_in.sum())
    for level, count in counts.items():
        held = {share: count[share] / count["figures"] for share in ("80", "95")}
        record_property(
            "figure",
            f"forecasts of {WORLDS} made-up companies, {level}: 80 % intervals held {held['80']:.1%}, 95 % "
            f"{held['95']:.1%} of {count['figures']:,}; WAPE {count['error'] / count['actual']:.1%}, seasonal naive "
            f"{count['naive'] / count['actual']:.1%}",
        )
        assert count["error"] < count["naive"]
    figures = sum(count["figures"] for count in counts.values())
    whole = {share: sum(count[share] for count in counts.values()) / figures for share in ("80", "95")}
    assert whole["80"] == pytest.approx(0.80, abs=0.05)
    assert whole["95"] == pytest.approx(0.95, abs=0.05)
