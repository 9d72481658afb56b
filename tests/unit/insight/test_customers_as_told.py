"""Customers of a small release, as they are read and as people are told of them."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import RenderableType

from kpimart.errors import SettingsError
from kpimart.insight.customers import SegmentCounts, read_base, read_cohorts, read_segments
from kpimart.publish.contract import BUILT
from kpimart.render import console
from kpimart.report import customers as report

PERIODS = """
    select 'month', month, last_day(month), month < date '2026-03-01', true, strftime(month, '%Y-%m')
    from (values (date '2026-01-01'), (date '2026-02-01'), (date '2026-03-01')) as months (month)
    union all
    select 'week', date '2026-03-02', date '2026-03-08', true, true, '2026-W10'
"""
# Start, first purchases, returned, taken and handed over, lost, end, bought, again, regular, potential; amount, share.
BASE = """
    ('month', date '2026-01-01', 'manager', 'ann', 'Ann', 0, 4, 0, 0, 0, 0, 4, 4, 0, 0, 2, 100.00, 1),
    ('month', date '2026-02-01', 'manager', 'ann', 'Ann', 4, 2, 1, 0, 1, 1, 5, 3, 1, 1, 3, null, 0.75),
    ('month', date '2026-02-01', 'manager', 'bob', 'Bob', 0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 7.50, 1),
    ('month', date '2026-02-01', 'company', 'company', 'Company', 4, 2, 1, 0, 0, 1, 6, 4, 2, 1, 3, null, 0.7)
"""
COHORTS = """
    ('month', date '2026-01-01', 'company', 'company', 'Company', 0, true, 4, 1, 100.00),
    ('month', date '2026-01-01', 'company', 'company', 'Company', 1, true, 4, 0.25, 110.00),
    ('month', date '2026-01-01', 'company', 'company', 'Company', 2, false, 4, 0.5, 120.00),
    ('month', date '2026-02-01', 'company', 'company', 'Company', 0, true, 2, 1, null),
    ('month', date '2026-02-01', 'company', 'company', 'Company', 1, false, 2, 0, null)
"""
SEGMENTS = """
    ('a', 'ann', 'Ann', 'east', date '2026-02-28', 'cannot_lose'),
    ('b', 'ann', 'Ann', 'east', date '2026-03-02', 'cannot_lose'),
    ('c', 'bob', 'Bob', 'east', date '2026-03-02', null)
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("customers") / "reporting.duckdb"
    with duckdb.connect(str(path)) as connection:
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        for table, columns, rows in (
            ("dim_period", "period_grain, period_start, period_end, is_complete, is_covered, period_name", PERIODS),
            ("dim_department", "department_id, department_name", "values ('east', 'East'), ('world', 'World')"),
            (
                "dim_department_closure",
                "department_id, ancestor_department_id, valid_from, valid_to",
                "values ('east', 'east', date '0001-01-01', date '9999-12-31'), "
                "('east', 'world', date '2026-03-01', date '9999-12-31')",
            ),
            (
                "customer_base",
                "period_grain, period_start, entity_level, entity_key, entity_name, opening_customers, "
                "first_time_customers, returned_customers, taken_over_customers, handed_over_customers, "
                "lost_customers, closing_customers, active_customers, repeat_customers, regular_customers, "
                "potential_customers, won_amount, top_10_share",
                f"values {BASE}",
            ),
            (
                "cohort_retention",
                "period_grain, cohort_start, entity_level, entity_key, entity_name, periods_since, is_complete, "
                "cohort_customers, retention_rate, cumulative_won_amount",
                f"values {COHORTS}",
            ),
            (
                "customer_segment",
                "account_id, manager_id, manager_name, department_id, last_purchase_on, segment",
                f"values {SEGMENTS}",
            ),
        ):
            connection.execute(f"insert into {table} ({columns}) {rows}")
    return path


def shown(told: Iterable[RenderableType], capsys: pytest.CaptureFixture[str]) -> str:
    for part in told:
        console().print(part)
    return capsys.readouterr().out


def test_a_base_stands_beside_that_of_the_period_before(database: Path) -> None:
    ann, bob = read_base(database, level="manager", period="2026-02").entities
    assert (ann.counts.closing_customers, ann.counts.handed_over_customers, ann.counts.won_amount) == (5, 1, None)
    assert ann.before
    assert (ann.before.closing_customers, ann.before.top_10_share) == (4, Decimal(1))
    assert bob.before is None


def test_people_see_the_change_and_what_adds_up_to_what(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(report.of_base(read_base(database, level="manager", period="month"), "manager", "en"), capsys)
    assert "2026-02-01 … 2026-02-28" in said
    for expected in ("▲ +25.0 %", "▼ -25.0 pp", "▲ from 0", "–"):
        assert expected in said
    assert "at the end = at the start + first purchase + returned + taken over - handed over - lost" in said


def test_only_periods_that_are_over_tell_who_came_back(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    january, february = read_cohorts(database, level="company", period="2026-02")
    assert january.retention_rates == (Decimal(1), Decimal("0.25"))
    assert january.cumulative_won_amount == Decimal("120.00")
    assert february.retention_rates == (Decimal(1),)
    assert february.cumulative_won_amount is None
    assert len(read_cohorts(database, level="company", period="2026-01")) == 1
    said = shown(report.of_cohorts((january, february), "company", "ru"), capsys)
    assert "Компания" in said
    assert "25.0 %" in said


def test_segments_are_those_of_the_departments_above_at_the_last_purchase(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {each.entity_key: each.accounts for each in read_segments(database, level="department")}
    assert found == {"east": {"cannot_lose": 2, None: 1}, "world": {"cannot_lose": 1, None: 1}}
    said = shown(report.of_segments(read_segments(database, level="manager"), "manager", "en"), capsys)
    assert "cannot lose" in said
    assert "not scored" in said


def test_a_lost_account_is_no_lost_deal(capsys: pytest.CaptureFixture[str]) -> None:
    segments = (SegmentCounts("ann", "Ann", {"lost": 3}),)
    assert "потеряны" in shown(report.of_segments(segments, "manager", "ru"), capsys)
    assert "lost" in shown(report.of_segments(segments, "manager", "en"), capsys)


def test_there_are_no_customers_of_a_week(database: Path) -> None:
    with pytest.raises(SettingsError, match="customers are counted by month, quarter, year"):
        read_base(database, level="company", period="2026-W10")
