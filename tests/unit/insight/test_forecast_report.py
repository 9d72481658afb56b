"""What a person sees of forecasts: sums and months with intervals, what they are worth, and why there are none."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from rich.console import Console, RenderableType

from kpimart.insight.forecast import Accuracies, Forecasts, forecast_kpis, read_accuracy, read_forecasts
from kpimart.language import Language
from kpimart.publish.contract import DIM_PERIOD, KPI_CATALOGUE
from kpimart.publish.contract.finance.forecast import FORECAST_ACCURACY, KPI_FORECAST
from kpimart.report.forecast import of_accuracy, of_months, of_sums

LANGUAGES: tuple[Language, ...] = ("en", "ru")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release with 25 months and a forecast of 18, of 100 each, and what came of an earlier one."""
    path = tmp_path / "reporting.duckdb"
    with duckdb.connect(str(path)) as connection:
        for table in (KPI_FORECAST, FORECAST_ACCURACY, KPI_CATALOGUE, DIM_PERIOD):
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        connection.execute(
            """
            insert into kpi_catalogue (kpi_code, name_en, name_ru, unit, better)
            values ('won_amount', 'Won amount', 'Сумма побед', 'currency', 'higher'),
                ('win_rate', 'Win rate', 'Доля побед', 'ratio', 'higher');

            insert into dim_period (period_grain, period_start, is_covered, is_complete)
            select 'month', date '2024-06-01' + to_months(cast(number as integer)), number > 0, number < 26
            from range(27) as numbers (number);

            insert into kpi_forecast by name
            select
                'won_amount' as kpi_code, 'month' as period_grain, 'company' as entity_level, 'company' as entity_key,
                'Company' as entity_name, 'EUR' as unit, date '2026-07-31' as origin_on, horizon::integer as horizon,
                cast(date '2026-07-01' + to_months(horizon::integer) as date) as period_start,
                last_day(date '2026-07-01' + to_months(horizon::integer)) as period_end,
                'combination' as method, 'own' as status, 100 as value, 80 as low_80, 120 as high_80, 60 as low_95,
                140 as high_95, 100 * horizon as cumulative_value, 90 * horizon as cumulative_low_80,
                110 * horizon as cumulative_high_80, 70 * horizon as cumulative_low_95,
                130 * horizon as cumulative_high_95
            from range(1, 19) as months (horizon);

            insert into forecast_accuracy by name
            select
                'won_amount' as kpi_code, 'company' as entity_level, origin_on, horizon, 1 as series,
                true as is_backtest, value, actual, abs(value - actual) as absolute_error,
                30 as naive_absolute_error, 1 as intervals,
                coverage_80, 1 as coverage_95, 1 as cumulative_coverage_80, 1 as cumulative_coverage_95
            from (values
                (date '2026-05-31', 1, 90, 100, 1), (date '2026-05-31', 2, 130, 100, 0),
                (date '2026-06-30', 1, 110, 100, 1)
            ) as vintages (origin_on, horizon, value, actual, coverage_80);
            """
        )
    return path


def shown(parts: Iterable[RenderableType]) -> str:
    console = Console(file=StringIO(), width=300)
    for part in parts:
        console.print(part)
    written = console.file
    assert isinstance(written, StringIO)
    return written.getvalue()


def cells(parts: Iterable[RenderableType]) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│┃").split("│" if "│" in line else "┃")]
        for line in shown(parts).splitlines()
        if line.startswith(("│", "┃"))
    ]


def test_sums_are_those_of_the_months_from_the_next_one_on(release: Path) -> None:
    found = read_forecasts(release, level="company", kpi_codes=["won_amount"])
    assert (found.origin_on, found.whole_months) == (date(2026, 7, 31), 25)
    assert cells(of_sums(found, "company", "en"))[1] == [
        *("Company", "Won amount", "100.00", "90.00 … 110.00", "300.00", "270.00 … 330.00"),
        *("1,200.00", "1,080.00 … 1,320.00", "mean of all methods"),
    ]


def test_months_have_both_intervals(release: Path) -> None:
    found = read_forecasts(release, level="company", kpi_codes=["won_amount"])
    rows = cells(of_months(found, "company", "en"))
    assert len(rows) == 1 + 18
    assert rows[1][2:7] == ["2026-08-01 … 2026-08-31", "100.00", "80.00 … 120.00", "60.00 … 140.00", "100.00"]


def test_accuracy_is_a_ratio_of_sums_over_vintages(release: Path) -> None:
    """One month ahead: 10 and 10 missed of 200, naive 60; 90 + 110 forecast of 200. Two months ahead: 30 of 100."""
    found = read_accuracy(release, level="company", kpi_codes=["won_amount"])
    first, second = found.accuracies
    assert (first.months, first.wape, first.naive_wape, first.bias) == (2, Decimal("0.1"), Decimal("0.3"), 0)
    assert (second.first_horizon, second.last_horizon, second.wape, second.bias) == (
        2,
        3,
        Decimal("0.3"),
        Decimal("0.3"),
    )
    assert (first.coverage_80, second.coverage_80) == (1, 0)
    assert "backtest" in shown(of_accuracy(found, "en"))


def test_where_there_is_none_it_is_said_why() -> None:
    nothing = Forecasts(None, 15, ())
    assert "it takes 24 whole months of the company, and 15 are known" in shown(of_sums(nothing, "company", "en"))
    assert "known" not in shown(of_sums(Forecasts(None, 30, ()), "company", "en")).partition(":")[0]
    assert "no forecast can be compared" in shown(of_accuracy(Accuracies(is_backtest=False, accuracies=()), "en"))


def test_only_what_is_forecast_and_in_the_catalogue_is_asked_for(release: Path) -> None:
    assert forecast_kpis(release) == ["won_amount"]
    found = read_forecasts(release, level="company", kpi_codes=["win_rate"])
    assert "none of these is forecast" in shown(of_months(found, "company", "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_heading_is_of_the_language(release: Path, language: Language) -> None:
    found = read_forecasts(release, level="company", kpi_codes=["won_amount"], language=language)
    accuracy = read_accuracy(release, level="company", kpi_codes=["won_amount"], language=language)
    letters = "[а-яА-Я]" if language == "ru" else "[a-zA-Z]"
    others = "[a-zA-Z]" if language == "ru" else "[а-яА-Я]"
    for told in (
        of_sums(found, "company", language),
        of_months(found, "company", language),
        of_accuracy(accuracy, language),
    ):
        for heading in cells(told)[0]:
            words = heading.replace("WAPE", "")
            assert re.search(letters, words)
            assert not re.search(others, words.replace("KPI", ""))
