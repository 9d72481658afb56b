"""The intervals of shares that the models are given by a macro: those of scipy, and how often they are wrong."""

import itertools
from collections.abc import Iterator
from typing import Any

import duckdb
import jinja2
import numpy as np
import pytest
from scipy import stats

from kpimart.paths import DBT_PROJECT

TINY = 1e-9
COUNTS = range(10, 201)
"""Deals: from the least that is compared on."""


@pytest.fixture(scope="module")
def intervals() -> Any:
    """The macros, by their names."""
    source = (DBT_PROJECT / "macros" / "intervals.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701, it is SQL
    return environment.from_string(source).module


def ends(macro: Any, counts: range) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each count of trials: where the intervals of 0, 1, … hits begin, and where they end."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""
            select trials, {macro("hits", "trials", "-")}, {macro("hits", "trials", "+")}
            from range({counts.start}, {counts.stop}) as counted (trials), range({counts.stop}) as hit (hits)
            where hits <= trials
            order by trials, hits
            """
        ).fetchall()
    for trials, of_trials in itertools.groupby(rows, key=lambda row: row[0]):
        low, high = np.array([row[1:] for row in of_trials]).T
        yield trials, low, high


@pytest.mark.parametrize(
    ("name", "method"), [("wilson", "wilson"), ("wilson_with_correction", "wilsoncc")], ids=["plain", "corrected"]
)
def test_an_interval_is_that_of_scipy(intervals: Any, name: str, method: str) -> None:
    for trials, low, high in ends(getattr(intervals, name), range(1, 41)):
        for hits in range(trials + 1):
            expected = stats.binomtest(hits, trials).proportion_ci(method=method)
            assert low[hits] == pytest.approx(expected.low, abs=TINY)
            assert high[hits] == pytest.approx(expected.high, abs=TINY)


@pytest.mark.parametrize(
    ("name", "of_rare", "at_worst"),
    [("wilson", 0.047, 0.165), ("wilson_with_correction", 0.020, 0.051)],
    ids=["plain", "corrected"],
)
def test_a_weak_spot_is_chance_as_often_as_the_page_says(
    intervals: Any, name: str, of_rare: float, at_worst: float
) -> None:
    """By exact binomial sums: how often an interval lies wholly above the share that its deals truly have.

    Of rare reasons: of shares of 1 to 8 % and 10 to 30 deals, the mean. At worst, of any share: just below where the
    interval of some number of hits begins, when all who have as many or more are told to be weak.
    """
    alarms, worst = [], 0.0
    for trials, low, _ in ends(getattr(intervals, name), COUNTS):
        hits = np.arange(trials + 1)
        worst = max(worst, *stats.binom.sf(hits[1:] - 1, trials, low[1:]))
        if trials <= 30:
            shares = np.arange(0.01, 0.0805, 0.001)
            chances = stats.binom.pmf(hits, trials, shares[:, None])
            alarms += [(chances * (low > shares[:, None])).sum(axis=1).mean()]
    assert np.mean(alarms) == pytest.approx(of_rare, abs=0.0005)
    assert worst == pytest.approx(at_worst, abs=0.0005)
