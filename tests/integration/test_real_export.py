"""The published figures of the real export: each recomputed from the files, the known totals, and what must add up."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from comparison import FIGURES, PERIOD, SHOWN, compare, unmatched_rows, wrong_figures
from oracle import KPIS
from product import Release

AS_OF = date(2018, 1, 1)
ADD_UP_OVER_ENTITIES = [
    "won_amount",
    "won_deals",
    "lost_deals",
    "closed_deals",
    "created_amount",
    "created_deals",
    "leads_created",
    "slipped_amount",
    "new_customers",
    "repeat_deals",
    "open_deals",
    "open_amount",
]
ADD_UP_OVER_PERIODS = [code for code in ADD_UP_OVER_ENTITIES if not code.startswith("open_")]


@pytest.fixture(scope="module")
def compared(first_run: Release, export: Path) -> pd.DataFrame:
    return compare(first_run, export, AS_OF)


@pytest.fixture(scope="module")
def additive(first_run: Release) -> pd.DataFrame:
    """The published cells of the KPIs that add up, an unknown amount as 0, with the department above each one."""
    codes = ", ".join(f"'{code}'" for code in ADD_UP_OVER_ENTITIES)
    return first_run.query(
        f"""
        select kpi_code, period_grain, period_start, entity_level, entity_key, department_id, parent_department_id,
            coalesce(value, 0) as value
        from reporting.kpi_value
        left join reporting.dim_department using (department_id)
        where kpi_code in ({codes})
        """
    )


def test_no_row_is_missing_and_none_is_too_many(compared: pd.DataFrame) -> None:
    assert unmatched_rows(compared) == ""


@pytest.mark.parametrize("column", FIGURES)
@pytest.mark.parametrize("kpi_code", KPIS)
def test_every_cell_equals_its_recomputation(compared: pd.DataFrame, kpi_code: str, column: str) -> None:
    assert wrong_figures(compared[compared["kpi_code"] == kpi_code], column) == ""


@pytest.mark.parametrize("column", PERIOD)
def test_every_period_ends_and_is_complete_as_recomputed(compared: pd.DataFrame, column: str) -> None:
    assert wrong_figures(compared, column) == ""


def test_the_ids_of_a_row_say_what_its_key_says(first_run: Release) -> None:
    contradictions = first_run.query(
        """
        select distinct entity_level, entity_key, department_id, manager_id
        from reporting.kpi_value
        where (entity_level, entity_key, department_id is null, manager_id is null) not in (
            ('company', 'company', true, true),
            ('department', department_id, false, true),
            ('manager', manager_id, true, false),
            ('manager_in_department', concat(manager_id, '|', department_id), false, false)
        )
        """
    )
    assert contradictions.empty, contradictions.to_string()


def known(release: Release, entity_key: str, period: str) -> dict[str, Decimal | int]:
    """KPI → the sum of its published values over the periods that the condition `period` selects."""
    rows = release.query(
        f"""
        select kpi_code, sum(value) as total from reporting.kpi_value
        where entity_key = '{entity_key}' and {period} group by kpi_code
        """
    )
    return dict(zip(rows["kpi_code"], rows["total"], strict=True))


ALL_TIME = "period_grain = 'year'"


def test_all_time_totals_of_the_company(first_run: Release) -> None:
    total = known(first_run, "company", ALL_TIME)
    assert (total["won_deals"], total["lost_deals"], total["closed_deals"]) == (4238, 2473, 6711)
    assert total["won_amount"] == Decimal("10005534.00")


def test_all_time_ratios_of_the_company(first_run: Release) -> None:
    ratios = first_run.query(
        f"""
        select kpi_code, sum(numerator) / sum(denominator) as ratio from reporting.kpi_value
        where entity_key = 'company' and {ALL_TIME} and denominator is not null group by kpi_code
        """
    ).set_index("kpi_code")["ratio"]
    assert round(ratios["avg_won_amount"], 2) == 2360.91
    assert round(ratios["win_rate"], 4) == 0.6315
    assert round(ratios["sales_cycle_days"], 2) == 51.78


def test_what_is_open_at_the_end(first_run: Release) -> None:
    at_the_end = known(first_run, "company", "period_grain = 'year' and period_start = date '2017-01-01'")
    assert at_the_end["open_deals"] == 2089


def test_the_second_quarter_of_2017(first_run: Release) -> None:
    quarter = known(first_run, "company", "period_grain = 'quarter' and period_start = date '2017-04-01'")
    assert (quarter["won_deals"], quarter["lost_deals"], quarter["won_amount"]) == (1254, 778, 3086111)


@pytest.mark.parametrize(
    ("department", "won_deals", "won_amount"),
    [("files:Melvin Marxen", 882, 2251930), ("files:East", 1171, 3090594)],
)
def test_all_time_totals_of_a_department(first_run: Release, department: str, won_deals: int, won_amount: int) -> None:
    total = known(first_run, department, ALL_TIME)
    assert (total["won_deals"], total["won_amount"]) == (won_deals, won_amount)


def sums(cells: pd.DataFrame, *by: str) -> pd.Series:
    """Σ value by KPI, period and `by`."""
    return cells.groupby(["kpi_code", "period_grain", "period_start", *by])["value"].sum()


def gaps(parts: pd.Series, whole: pd.Series) -> str:
    """Where the parts do not make the whole, as text; empty when they do everywhere."""
    gap = parts.sub(whole, fill_value=0)
    return gap[gap != 0].head(SHOWN).to_string() if (gap != 0).any() else ""


@pytest.mark.parametrize("level", ["manager", "manager_in_department"])
def test_managers_add_up_to_the_company(additive: pd.DataFrame, level: str) -> None:
    company = sums(additive[additive["entity_level"] == "company"])
    assert gaps(sums(additive[additive["entity_level"] == level]), company) == ""


def test_managers_add_up_to_their_team(additive: pd.DataFrame) -> None:
    teams = additive[(additive["entity_level"] == "department") & additive["parent_department_id"].notna()]
    managers = additive[additive["entity_level"] == "manager_in_department"]
    assert gaps(sums(managers, "department_id"), sums(teams, "department_id")) == ""


def test_teams_add_up_to_their_region(additive: pd.DataFrame) -> None:
    departments = additive[additive["entity_level"] == "department"]
    teams = departments[departments["parent_department_id"].notna()].assign(
        department_id=lambda team: team["parent_department_id"]
    )
    regions = departments[departments["parent_department_id"].isna()]
    assert gaps(sums(teams, "department_id"), sums(regions, "department_id")) == ""


@pytest.mark.parametrize(
    ("finer", "coarser", "truncation"),
    [
        ("day", "week", "W-SUN"),
        ("day", "month", "M"),
        ("month", "quarter", "Q-DEC"),
        ("quarter", "year", "Y-DEC"),
    ],
)
def test_periods_add_up(additive: pd.DataFrame, finer: str, coarser: str, truncation: str) -> None:
    cells = additive[additive["kpi_code"].isin(ADD_UP_OVER_PERIODS)]
    of_finer = cells[cells["period_grain"] == finer]
    rolled_up = of_finer.assign(
        period_grain=coarser, period_start=of_finer["period_start"].dt.to_period(truncation).dt.start_time
    )
    published = cells[cells["period_grain"] == coarser]
    assert gaps(sums(rolled_up, "entity_level", "entity_key"), sums(published, "entity_level", "entity_key")) == ""
