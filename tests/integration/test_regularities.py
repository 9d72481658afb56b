"""Regularities: their statistics agree with scipy, statsmodels and numpy, and with a recount of the real export."""

import csv
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from product import Product, Release
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

TINY = 1e-9
COMPARED = ("win_rate_with", "win_rate_without", "difference", "difference_low", "difference_high")
COUNTS = st.tuples(st.integers(1, 2000), st.integers(1, 2000)).flatmap(
    lambda sizes: st.tuples(st.just(sizes), st.tuples(st.integers(0, sizes[0]), st.integers(0, sizes[1])))
)

Compare = Callable[[int, int, int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def compare(product: Product, first_run: Release) -> Compare:
    """`compare(won_with, deals_with, won_without, deals_without)`: what the model's SQL says of these counts."""
    assert first_run.is_current
    sql = next(product.home.glob("dbt/warehouse/compiled/kpimart/models/marts/insight/early_sign.sql")).read_text()
    start = sql.index("compared as (") + len("compared as (")
    body = sql[start : sql.index("from judged\n    where is_enough", start)]
    connection = duckdb.connect()

    def compared(won_with: int, deals_with: int, won_without: int, deals_without: int) -> dict[str, Any]:
        rows = connection.execute(
            f"""
            {body} from (
                select 'all' as period_grain, date '2026-01-01' as period_start, 1 as entity_id, 'p' as pipeline_id,
                    'meeting' as sign, 0 as stage_number, true as is_enough, ?::bigint as won_with,
                    ?::bigint as deals_with, ?::bigint as won_without, ?::bigint as deals_without
            )
            """,
            [won_with, deals_with, won_without, deals_without],
        ).to_arrow_table()
        row: dict[str, Any] = rows.to_pylist()[0]
        return row

    return compared


@given(counts=COUNTS)
def test_differences_and_odds_are_those_of_statsmodels(
    compare: Compare, counts: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    (with_it, without), (won_with, won_without) = counts
    low, high = confint_proportions_2indep(won_with, with_it, won_without, without, method="newcomb")
    cells = np.array([[won_with, with_it - won_with], [won_without, without - won_without]], dtype=float)
    odds = Table2x2(cells + 0.5 if (cells == 0).any() else cells)
    expected = dict(
        zip(
            COMPARED,
            (won_with / with_it, won_without / without, won_with / with_it - won_without / without, low, high),
            strict=True,
        )
    )
    odds_low, odds_high = odds.oddsratio_confint()
    expected |= {"odds_ratio": odds.oddsratio, "odds_ratio_low": odds_low, "odds_ratio_high": odds_high}

    found = compare(won_with, with_it, won_without, without)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=TINY, abs=TINY), name


def test_an_association_that_fisher_sees_is_seen(compare: Compare) -> None:
    found = compare(60, 100, 40, 100)
    assert stats.fisher_exact([[60, 40], [40, 60]]).pvalue < 0.01
    assert found["difference_low"] > 0
    assert found["odds_ratio_low"] > 1


# --------------------------------------------------------------------------------------------------- the real export


@pytest.fixture(scope="module")
def wins(export: Path) -> list[tuple[date, int, float]]:
    """Day of winning, days since the creation, and amount."""
    with (export / "sales_pipeline.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["deal_stage"] == "Won"]
    closed = [(date.fromisoformat(row["close_date"]), date.fromisoformat(row["engage_date"]), row) for row in rows]
    return [(day, (day - created).days, float(row["close_value"])) for day, created, row in closed]


def test_cycles_are_those_of_numpy(first_run: Release, wins: list[tuple[date, int, float]]) -> None:
    row = first_run.query(
        """
        select won_deals, mean_days, p10_days, p25_days, median_days, p75_days, p90_days
        from reporting.cycle_length
        where entity_level = 'company' and segment_by = 'all' and period_grain = 'all'
        """
    ).iloc[0]
    days = [each[1] for each in wins]
    assert row["won_deals"] == len(days) == 4238
    assert float(row["mean_days"]) == round(float(np.mean(days)), 2) == 51.78
    quantiles = np.quantile(days, [0.1, 0.25, 0.5, 0.75, 0.9])
    assert [float(each) for each in row.iloc[2:]] == pytest.approx(list(quantiles), abs=0.005)


def test_segments_are_parts_of_the_whole(first_run: Release) -> None:
    parts = first_run.query(
        """
        select period_start, entity_level, entity_key, segment_by, sum(won_deals) as won_deals
        from reporting.cycle_length where period_grain = 'year' group by all
        """
    )
    assert (parts.groupby(["period_start", "entity_level", "entity_key"])["won_deals"].nunique() == 1).all()


def test_a_quarter_closes_as_recounted(first_run: Release, wins: list[tuple[date, int, float]]) -> None:
    """April to June 2017: 65 working days, of which the last tenth are 7, from the 22nd of June on."""
    rows = first_run.query(
        """
        select * from reporting.closing_pattern
        where entity_level = 'company' and period_grain = 'quarter' and period_start = date '2017-04-01'
        """
    ).set_index("stretch")
    days = [date(2017, 4, 1) + timedelta(days=at) for at in range(91)]
    worked = [day for day in days if day.weekday() < 5]
    quarter = [each for each in wins if each[0] in set(days)]
    place = {day: max(1, sum(other <= day for other in worked)) for day in days}
    count, amount = len(quarter), sum(each[2] for each in quarter)

    for stretch, length in {"last_day": 1, "last_3_days": 3, "last_5_days": 5, "last_tenth": 7}.items():
        late = [each for each in quarter if place[each[0]] > len(worked) - length]
        low, high = proportion_confint(len(late), count, method="wilson")
        row = rows.loc[stretch]
        assert (row["stretch_won_deals"], row["won_deals"], row["working_days"]) == (len(late), 1254, 65)
        assert row["stretch_won_amount"] == Decimal(sum(each[2] for each in late))
        assert float(row["deals_share_low"]) == pytest.approx(low, abs=TINY)
        assert float(row["deals_share_high"]) == pytest.approx(high, abs=TINY)

    for column, weights, whole in (("deals", [1.0] * count, count), ("amount", [each[2] for each in quarter], amount)):
        per_day = np.zeros(len(worked))
        for (day, _, _), weight in zip(quarter, weights, strict=True):
            per_day[place[day] - 1] += weight
        line = np.arange(1, len(worked) + 1) / len(worked)
        expected = 1 - np.abs(np.cumsum(per_day) / whole - line).sum() / ((len(worked) - 1) / 2)
        assert float(rows[f"{column}_linearity"].iloc[0]) == pytest.approx(expected, abs=TINY)


def test_an_export_without_a_history_shows_no_signs_of_stages(first_run: Release) -> None:
    """Only of deals that are open does it say in which stage they are; who is won was in none that is known."""
    signs = first_run.query("select * from reporting.early_sign where sign = 'reached_stage' and status = 'enough'")
    assert len(signs) == 0
