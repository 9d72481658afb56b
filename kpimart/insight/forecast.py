"""Reads forecasts from a release: what is expected of the months to come, and how near earlier ones came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from kpimart.figures import Kpi, read_kpis
from kpimart.language import Language
from kpimart.warehouse import open_database

FORECAST_KPIS = ("won_amount", "won_deals", "new_customers", "leads_created")
LEAST_MONTHS = 24
"""Whole months that a forecast takes."""


@dataclass(frozen=True)
class Month:
    """What is expected of a month, and of all months from the first one to come through it; None without a backtest."""

    period_start: date
    period_end: date
    horizon: int
    value: Decimal
    low_80: Decimal | None
    high_80: Decimal | None
    low_95: Decimal | None
    high_95: Decimal | None
    cumulative_value: Decimal
    cumulative_low_80: Decimal | None
    cumulative_high_80: Decimal | None
    cumulative_low_95: Decimal | None
    cumulative_high_95: Decimal | None


@dataclass(frozen=True)
class Forecast:
    """The months to come of a KPI of an entity, the nearest first; by which method, and of whose history."""

    kpi: Kpi
    entity_key: str
    entity_name: str
    unit: str
    method: str
    status: str
    months: tuple[Month, ...]


@dataclass(frozen=True)
class Forecasts:
    """What was asked for. origin_on: the day at whose end it was forecast; None where there is nothing.

    whole_months: how many months of the company are known from their first day to their last.
    """

    origin_on: date | None
    whole_months: int
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True)
class Accuracy:
    """How near the vintages of the last year came, of months so far ahead; shares, None where there is no quotient."""

    kpi: Kpi
    first_horizon: int
    last_horizon: int
    months: int
    wape: Decimal | None
    naive_wape: Decimal | None
    bias: Decimal | None
    coverage_80: Decimal | None
    coverage_95: Decimal | None
    cumulative_coverage_80: Decimal | None
    cumulative_coverage_95: Decimal | None


@dataclass(frozen=True)
class Accuracies:
    """What was asked for, KPI by KPI, the nearest months first; is_backtest: none of it was forecast at the time."""

    is_backtest: bool
    accuracies: tuple[Accuracy, ...]


def forecast_kpis(database: Path) -> list[str]:
    """Those of FORECAST_KPIS that the release's catalogue has."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select kpi_code
            from kpi_catalogue
            where list_contains($codes, kpi_code)
            order by list_position($codes, kpi_code)
            """,
            {"codes": list(FORECAST_KPIS)},
        ).fetchall()
    return [code for (code,) in rows]


def read_forecasts(database: Path, *, level: str, kpi_codes: Sequence[str], language: Language = "en") -> Forecasts:
    """The forecasts of KPIs of all entities of a level, in the order of the KPIs, then by name.

    Raises SettingsError for a KPI that the release does not have; one that is not forecast has no rows.
    """
    kpis = {kpi.kpi_code: kpi for kpi in read_kpis(database, kpi_codes, language)}
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select
                kpi_code, entity_key, entity_name, unit, method, status,
                period_start, period_end, horizon, value, low_80, high_80, low_95, high_95, cumulative_value,
                cumulative_low_80, cumulative_high_80, cumulative_low_95, cumulative_high_95
            from kpi_forecast
            where entity_level = $level and list_contains($codes, kpi_code)
            order by list_position($codes, kpi_code), entity_name, entity_key, horizon
            """,
            {"level": level, "codes": list(kpis)},
        ).fetchall()
        ((origin_on,),) = connection.execute("select max(origin_on) from kpi_forecast").fetchall()
        ((whole_months,),) = connection.execute(
            "select count(*) from dim_period where period_grain = 'month' and is_covered and is_complete"
        ).fetchall()
    return Forecasts(
        origin_on,
        whole_months,
        tuple(_forecast(kpis[head[0]], head, list(months)) for head, months in groupby(rows, key=lambda row: row[:6])),
    )


def _forecast(kpi: Kpi, head: tuple[Any, ...], months: list[tuple[Any, ...]]) -> Forecast:
    _, entity_key, entity_name, unit, method, status = head
    return Forecast(kpi, entity_key, entity_name, unit, method, status, tuple(Month(*row[6:]) for row in months))


_GROUPS = "(values (1, 1), (2, 3), (4, 6), (7, 12)) as groups (first_horizon, last_horizon)"


def read_accuracy(database: Path, *, level: str, kpi_codes: Sequence[str], language: Language = "en") -> Accuracies:
    """How near the forecasts of a level came, over all vintages, by how far ahead they were.

    Raises SettingsError as `read_forecasts` does.
    """
    kpis = {kpi.kpi_code: kpi for kpi in read_kpis(database, kpi_codes, language)}
    with open_database(database) as connection:
        rows = connection.execute(
            f"""
            select
                kpi_code,
                groups.first_horizon,
                groups.last_horizon,
                cast(sum(series) as bigint),
                {_quotient("sum(absolute_error)", "sum(actual)")},
                {_quotient("sum(naive_absolute_error)", "sum(actual)")},
                {_quotient("sum(value - actual)", "sum(actual)")},
                {_quotient("sum(coverage_80 * intervals)", "sum(intervals)")},
                {_quotient("sum(coverage_95 * intervals)", "sum(intervals)")},
                {_quotient("sum(cumulative_coverage_80 * intervals)", "sum(intervals)")},
                {_quotient("sum(cumulative_coverage_95 * intervals)", "sum(intervals)")}
            from forecast_accuracy
            inner join {_GROUPS} on horizon between groups.first_horizon and groups.last_horizon
            where entity_level = $level and list_contains($codes, kpi_code)
            group by kpi_code, groups.first_horizon, groups.last_horizon
            order by list_position($codes, kpi_code), groups.first_horizon
            """,
            {"level": level, "codes": list(kpis)},
        ).fetchall()
        is_backtest = _is_backtest(connection)
    return Accuracies(is_backtest, tuple(Accuracy(kpis[code], *others) for code, *others in rows))


def _quotient(above: str, below: str) -> str:
    return f"cast(round(cast({above} as double) / nullif({below}, 0), 8) as decimal(18, 8))"


def _is_backtest(connection: duckdb.DuckDBPyConnection) -> bool:
    rows = connection.execute("select coalesce(bool_and(is_backtest), false) from forecast_accuracy").fetchall()
    return bool(rows[0][0])
