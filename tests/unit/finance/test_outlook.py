"""budget_input: what was reached, what is forecast, and the intervals of what they come to."""

from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.finance import outlook
from kpimart.warehouse import WAREHOUSE_FILE, open_database

COLUMNS = "actual, complete_actual, forecast, outlook, outlook_low_80, outlook_high_80, plan, plan_variance, last_year"


def row(planning: Any, period: str, who: str = "files:bob", scope: str = "period", columns: str = COLUMNS) -> tuple:
    with duckdb.connect(str(planning.release.database), read_only=True) as connection:
        (found,) = connection.execute(
            f"select {columns} from budget_input "
            "where kpi_code = 'won_amount' and entity_key = ? and period_name = ? and scope = ?",
            [who, period, scope],
        ).fetchall()
    return found


def test_a_month_that_is_over_is_what_it_was(planning: Any) -> None:
    """Bob's September: 100 a day, 20 days, and 0.9 more."""
    assert row(planning, "2026-09") == (3800, 3800, 0, 3800, 3800, 3800, None, None, 3800)


def test_a_month_that_goes_on_is_what_it_is_forecast_to_be(planning: Any) -> None:
    assert row(planning, "2026-10")[1:6] == (0, 4000, 4000, 3992, 4016)


def test_a_quarter_that_goes_on_has_the_interval_of_the_running_sum(planning: Any) -> None:
    """October to December: 4,000 + 4,200 + 4,400, less 8 a month, and up to 16 more."""
    assert row(planning, "2026-Q4")[2:6] == (12600, 12600, 12576, 12648)


def test_a_year_is_its_fact_and_its_forecast_together(planning: Any) -> None:
    """Bob: 20 days × 100 × (12 + 7.8) and 2 days more in March, at 1.3: 39,860; the plan of the company is 480,000."""
    _, complete, forecast, outlook, low, high, *_ = row(planning, "2026")
    assert outlook == complete + forecast == 39860
    assert (outlook - low, high - outlook) == (24, 48)
    assert row(planning, "2026", "company")[6:8] == (480_000, row(planning, "2026", "company")[3] - 480_000)


def test_months_that_begin_later_have_a_part_of_the_interval(planning: Any) -> None:
    """2027 are months 4 to 15 of the forecast, alike in width: of the running sum's 15 × 8 below, √(12 / 15)."""
    *_, outlook, low, high = row(planning, "2027")[:6]
    assert outlook - low == round(Decimal(120 * sqrt(12 / 15)), 2)
    assert high - outlook == round(Decimal(240 * sqrt(12 / 15)), 2)


def test_an_interval_is_never_wider_than_those_of_its_months_together(planning: Any) -> None:
    """2027-Q1 are months 4 to 6: 48 × √(3 / 6) is 33.94, and the months have 10 each."""
    *_, outlook, low, high = row(planning, "2027-Q1")[:6]
    assert (outlook - low, high - outlook) == (30, 60)
    *_, outlook, low, high = row(planning, "2027-02")[:6]
    assert (outlook - low, high - outlook) == (10, 20)


def test_the_year_up_to_a_month_ends_with_it(planning: Any) -> None:
    assert row(planning, "2026-09", scope="year_to_date", columns="outlook, period_end")[0] == 27260
    assert row(planning, "2026-12", scope="year_to_date")[3] == row(planning, "2026")[3]


def test_who_left_has_no_forecast_and_what_they_did_counts(planning: Any) -> None:
    _, complete, forecast, outlook, *_ = row(planning, "2026", "files:dan")
    assert (forecast, outlook) == (0, complete)


def test_who_left_since_the_forecast_was_made_has_what_it_says_of_them(planning_home: Path, tmp_path: Path) -> None:
    """Dan, who left with June, has no row of December; were he forecast at the end of September, he would have one."""
    told = "from finance.budget_input where entity_key = 'files:dan' and period_name = '2026-12' and scope = 'period'"
    copy = tmp_path / "warehouse.duckdb"
    copy.write_bytes((planning_home / WAREHOUSE_FILE).read_bytes())
    with open_database(copy, read_only=False) as connection:
        assert connection.execute(f"select 1 {told}").fetchall() == []
        connection.execute(
            """
            insert into finance.kpi_forecast
            select * replace ('files:dan' as entity_key) from finance.kpi_forecast where entity_key = 'files:bob'
            """
        )
        outlook.write(connection)
        assert connection.execute(f"select outlook {told} and kpi_code = 'won_deals'").fetchall() == [(1,)]


@pytest.mark.parametrize("scope", ["period", "year_to_date"])
def test_managers_and_departments_add_up_to_the_company(planning: Any, scope: str) -> None:
    with duckdb.connect(str(planning.release.database), read_only=True) as connection:
        rows = connection.execute(
            """
            select
                sum(outlook) filter (entity_level = 'company'), sum(outlook) filter (entity_level = 'manager'),
                sum(outlook) filter (entity_key in ('files:w', 'files:e'))
            from budget_input where scope = ? group by kpi_code, period_grain, period_start
            """,
            [scope],
        ).fetchall()
    assert rows
    assert all(company == managers == departments for company, managers, departments in rows)
