"""Levels, trends and seasonal indices: those published of the real export, recomputed, and those of a known season."""

from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from product import Product, Release
from statsmodels.tsa.seasonal import seasonal_decompose

from kpimart.insight.trend import read_trends

TINY = Decimal("0.00000001")
SUMS = ("won_amount", "won_deals", "created_deals")
QUOTIENTS = {"win_rate", "avg_won_amount", "win_rate_cohort_90d"}
Key = tuple[str, str, str]


def months(release: Release) -> dict[Key, list[dict[str, Any]]]:
    """KPI, level and entity → what is published of its months, in their order, with both sides of the figure."""
    with duckdb.connect(str(release.path), read_only=True) as connection:
        rows = connection.execute(
            """
            select trends.*, figures.numerator, figures.denominator
            from reporting.kpi_trend as trends
            inner join reporting.kpi_value as figures
                using (kpi_code, period_grain, period_start, entity_level, entity_key)
            where trends.period_grain = 'month' and trends.is_complete
            order by trends.kpi_code, trends.entity_level, trends.entity_key, trends.period_start
            """
        ).to_arrow_table()
    found: dict[Key, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        found.setdefault((row["kpi_code"], row["entity_level"], row["entity_key"]), []).append(row)
    return found


# The figures of the export begin within the month before.
BEGIN = date(2016, 10, 20)


def test_every_change_is_that_on_the_row_before_if_all_of_that_month_is_known(first_run: Release) -> None:
    changes = [
        (
            row["change"],
            row["previous_value"],
            before["value"] if before["period_start"] > BEGIN else None,
            row["value"],
        )
        for series in months(first_run).values()
        for before, row in pairwise(series)
        if (before["period_end"] - row["period_start"]).days == -1
    ]
    assert len(changes) > 10_000
    assert all(previous == before for _, previous, before, _ in changes)
    assert all(
        change == (None if previous is None or value is None else value - previous)
        for change, previous, _, value in changes
    )


def test_sums_over_months_are_sums_and_quotients_those_of_sums(first_run: Release) -> None:
    wrong, checked = [], 0
    for (kpi_code, level, key), series in months(first_run).items():
        for place, row in enumerate(series):
            for length in (3, 6, 12):
                if place + 1 < length or kpi_code not in {*SUMS, *QUOTIENTS}:
                    continue
                # The export begins on 20 October 2016: that month is none of those that are summed.
                expected = total(series[place + 1 - length : place + 1], kpi_code) if place >= length else None
                checked += 1
                if not is_same(row[f"rolling_{length}"], expected):
                    wrong.append(
                        (kpi_code, level, key, row["period_start"], length, row[f"rolling_{length}"], expected)
                    )
    assert checked > 1_000
    assert wrong == []


def total(rows: list[dict[str, Any]], kpi_code: str) -> Decimal | None:
    if kpi_code in SUMS:
        return sum((row["value"] for row in rows), Decimal(0))
    above, below = (sum((row[side] for row in rows), Decimal(0)) for side in ("numerator", "denominator"))
    return above / below if below else None


def is_same(found: Decimal | None, expected: Decimal | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= TINY


def test_the_year_to_date_of_december_is_the_year(first_run: Release) -> None:
    """2016 is known from October on only, so it has none."""
    rows = first_run.query(
        """
        select months.year_to_date, years.value
        from reporting.kpi_trend as months
        inner join reporting.kpi_trend as years using (kpi_code, entity_level, entity_key)
        where months.period_grain = 'month' and months.period_start = date '2017-12-01' and years.period_grain = 'year'
            and years.period_start = date '2017-01-01' and months.year_to_date is not null
        """
    )
    assert len(rows) > 500
    assert (rows["year_to_date"] == rows["value"]).all()
    of_2016 = first_run.query(
        "select count(year_to_date) as known from reporting.kpi_trend where period_start < date '2017-01-01'"
    )
    assert of_2016["known"].tolist() == [0]


def test_fifteen_months_are_too_short_for_a_trend_and_say_so(first_run: Release) -> None:
    statuses = first_run.query(
        "select distinct trend_status, trend_direction from reporting.kpi_trend where period_grain = 'month'"
    )
    assert set(statuses["trend_status"]) <= {"too_short", "constant", "ended"}
    assert statuses["trend_direction"].isna().all()


def test_the_command_reads_what_is_published(first_run: Release) -> None:
    found = read_trends(first_run.path, level="company", period="2017-06", kpi_codes=["won_amount"], language="ru")
    (row,) = found.trends
    assert (found.period.start, row.kpi.name) == (date(2017, 6, 1), "Сумма выигранных сделок")
    assert row.previous_value is not None
    assert row.trend_status == "too_short"


# ----------------------------------------------------------------------------------------------------- seasonal indices


@pytest.fixture(scope="module")
def seasonal_index(product: Product, first_run: Release) -> str:
    """The SQL that made the table in the run."""
    assert first_run.is_current
    (path,) = Path(product.home).glob("dbt/warehouse/compiled/kpimart/models/marts/insight/seasonal_index.sql")
    return path.read_text()


def indices(sql: str, values: list[Decimal]) -> list[tuple[Any, ...]]:
    """Number, index and sample of the months of a company with these values from January 2020 on."""
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as warehouse; use warehouse; create schema core; create schema insight")
        connection.register(
            "figures", pa.table({"place": range(len(values)), "value": pa.array(values, pa.decimal128(28, 8))})
        )
        connection.execute(
            """
            create schema kpi;
            create table core.dim_day (day date, year_start date, is_covered boolean, is_working_day boolean);
            create table core.dim_period as
            select 'month' as period_grain, (date '2020-01-01' + interval (place) month)::date as period_start
            from figures;
            insert into core.dim_day
            select period_start, date_trunc('year', period_start)::date, true, true from core.dim_period;
            create table kpi.kpi_value (kpi_code varchar, period_grain varchar, period_start date, entity_level varchar,
                entity_key varchar, department_id varchar, manager_id varchar, entity_name varchar,
                value decimal(28, 8));
            create table insight.kpi_trend_level as
            select 'calls' as kpi_code, 'company' as entity_level, 'company' as entity_key,
                null::varchar as department_id, null::varchar as manager_id, 'Company' as entity_name,
                'month' as period_grain, (date '2020-01-01' + interval (place) month)::date as period_start,
                place::integer as period_number, true as is_flow, true as is_whole,
                value as working_day_adjusted_value
            from figures;
            """
        )
        return connection.execute(f"select number, seasonal_index, sample from ({sql}) order by number").fetchall()


def test_months_are_measured_as_classical_decomposition_does(seasonal_index: str) -> None:
    chance = np.random.default_rng(4)
    values = 100 * (1 + 0.3 * np.sin(np.arange(41) * np.pi / 6)) * chance.uniform(0.9, 1.1, 41) + np.arange(41)
    rounded = [Decimal(str(round(value, 2))) for value in values]
    found = indices(seasonal_index, rounded)
    expected = seasonal_decompose(np.array(rounded, dtype=float), model="multiplicative", period=12).seasonal[:12]
    assert [number for number, _, _ in found] == list(range(1, 13))
    np.testing.assert_allclose([float(index) for _, index, _ in found], expected, atol=1e-6)
    assert sum(sample for _, _, sample in found) == 41 - 12


def test_without_two_years_there_is_no_index(seasonal_index: str) -> None:
    assert indices(seasonal_index, [Decimal(100)] * 23) == []
    assert {index for _, index, _ in indices(seasonal_index, [Decimal(100)] * 24)} == {Decimal(1)}
