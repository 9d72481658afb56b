"""The recomputation itself, on an export small enough to work out by hand: the edges of the definitions."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from oracle import recompute

TEAMS = """\
sales_agent,manager,regional_office
Ann,Boss,North
Bob,Boss,North
Cat,Chief,South
"""
# Acme buys twice on one day, again a year later to the day, and once more; Zen buys once and never again.
DEALS = """\
opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value
D1,Ann,P,Acme,Won,2020-01-01,2020-01-10,100
D2,Bob,P,Acme,Won,2020-01-05,2020-01-10,50.25
D3,Ann,P,Acme,Won,2020-11-01,2021-01-09,200
D4,Ann,P,Acme,Won,2021-01-02,2021-01-09,10
D5,Cat,P,Zen,Won,2020-02-01,2020-05-01,7
D6,Cat,P,Zen,Lost,2020-02-01,2020-05-02,0
D7,Cat,P,New,Engaging,2020-12-01,,
D8,Bob,P,,Prospecting,,,
D9,Bob,P,Zen,Engaging,2020-12-31,,
D10,Ann,P,,Won,2021-01-05,2021-01-06,1
"""
ZEN_LAPSES_ON = date(2021, 5, 1)
THE_DAY_AFTER = date(2021, 5, 2)


@pytest.fixture(scope="module")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small_export")
    (folder / "sales_teams.csv").write_text(TEAMS)
    (folder / "sales_pipeline.csv").write_text(DEALS)
    return folder


@pytest.fixture(scope="module")
def figures(small_export: Path) -> pd.DataFrame:
    return recompute(small_export, THE_DAY_AFTER)


@pytest.mark.parametrize(
    ("kpi_code", "month", "entity_key", "value"),
    [
        ("won_amount", "2020-01", "company", "150.25"),
        ("won_amount", "2020-01", "files:North", "150.25"),
        ("won_amount", "2020-01", "files:Bob|files:Boss", "50.25"),
        ("won_amount", "2020-02", "files:Bob", "0"),
        # D1 is the first purchase and D2 the second, though they fall on one day.
        ("new_customers", "2020-01", "files:Ann", "1"),
        ("new_customers", "2020-01", "files:Bob", "0"),
        ("repeat_deals", "2020-01", "files:Bob", "1"),
        ("active_customers", "2020-01", "company", "1"),
        # D10 has no account, so it is won but bought by nobody known.
        ("won_deals", "2021-01", "files:Ann", "3"),
        ("active_customers", "2021-01", "files:Ann", "1"),
        ("returning_amount_share", "2021-01", "company", "0.99526066"),  # 210 / 211
        # 365 days before 2021-01-09 is 2020-01-10 (a leap year), which is outside: two purchases within, not three.
        ("regular_customers", "2021-01", "company", "0"),
        # D3 comes on the very day on which Acme would have been lost.
        ("lost_customers", "2021-01", "company", "0"),
        ("lost_customers", "2021-05", "files:Cat", "1"),
        ("lost_customers", "2021-05", "files:North", "0"),
        # D5 is won 90 days after it was created, D6 never.
        ("win_rate_cohort_90d", "2020-02", "company", "0.5"),
        # D6 is lost with an amount of 0, which nobody knows.
        ("win_rate_value", "2020-05", "company", None),
        ("win_rate", "2020-05", "company", "0.5"),
        ("win_rate", "2020-06", "company", None),
        ("sales_cycle_days_median", "2020-06", "company", None),
        ("sales_cycle_days", "2020-05", "company", "90"),
        # D3 (60 days old) is stale; D7 (30 days), D9 (new) and D8 (undated) are not.
        ("open_deals", "2020-12", "company", "4"),
        ("stale_open_share", "2020-12", "company", "0.25"),
        # Zen has bought before, D8 has no account, so New is the only one.
        ("potential_customers", "2020-12", "company", "1"),
        # Of 4 × 3: three accounts and the amount of D3.
        ("data_completeness", "2020-12", "company", "0.33333333"),
        ("open_amount", "2020-12", "company", "200"),
        ("open_amount", "2020-12", "files:Cat", None),
        ("open_amount", "2020-06", "files:Ann", "0"),
    ],
)
def test_a_month_is_as_worked_out_by_hand(
    figures: pd.DataFrame, kpi_code: str, month: str, entity_key: str, value: str | None
) -> None:
    cell = figures[
        (figures["kpi_code"] == kpi_code)
        & (figures["period_grain"] == "month")
        & (figures["period_start"] == f"{month}-01")
        & (figures["entity_key"] == entity_key)
    ]
    expected = None if value is None else Decimal(value)
    assert cell["value"].tolist() == [expected]


def test_a_customer_is_not_lost_before_the_day_is_over(small_export: Path) -> None:
    figures = recompute(small_export, ZEN_LAPSES_ON)
    assert figures.loc[figures["kpi_code"] == "lost_customers", "value"].sum() == 0


def test_a_cohort_is_complete_ninety_days_after_its_period(figures: pd.DataFrame) -> None:
    of_january = figures[(figures["period_grain"] == "month") & (figures["period_start"] == "2021-01-01")]
    by_kpi = of_january.groupby("kpi_code")["is_complete"].first()
    assert by_kpi["win_rate_cohort_90d"]  # 31 January + 90 days = 1 May
    of_february = figures[(figures["period_grain"] == "month") & (figures["period_start"] == "2021-02-01")]
    by_kpi = of_february.groupby("kpi_code")["is_complete"].first()
    assert by_kpi["created_deals"]
    assert not by_kpi["win_rate_cohort_90d"]


def test_a_period_that_goes_on_is_there_and_not_complete(figures: pd.DataFrame) -> None:
    of_may = figures[(figures["period_grain"] == "month") & (figures["period_start"] == "2021-05-01")]
    assert len(of_may) > 0
    assert not of_may["is_complete"].any()
