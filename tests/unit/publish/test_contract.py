import subprocess
import sys

import pytest

from kpimart.publish.contract import BUILT, PUBLISHED, QUALITY_RESULT, Table


def by_name(table: Table) -> str:
    return table.name


def test_the_contract_lists_the_published_tables() -> None:
    assert [table.name for table in PUBLISHED] == [
        "kpi_value",
        "kpi_value_by_cut",
        "kpi_catalogue",
        "dim_manager",
        "dim_department",
        "dim_period",
        "target_attainment",
        "scorecard",
        "leaderboard",
        "win_rate_curve",
        "funnel_stage",
        "deal",
        "deal_event",
        "deal_open_interval",
        "deal_next_step",
        "customer_purchase",
        "lead",
        "activity",
        "dim_department_closure",
        "period_close",
        "kpi_trend",
        "seasonal_index",
        "weak_spot",
        "closing_pattern",
        "cycle_length",
        "early_sign",
        "pipeline_waterfall",
        "crm_discipline",
        "driver_input",
        "kpi_driver",
        "customer_base",
        "cohort_retention",
        "customer_segment",
        "buying_interval",
        "kpi_summary",
        "kpi_forecast",
        "forecast_accuracy",
        "budget_input",
        "restatement",
        "restatement_entry",
        "quality_result",
        "release",
    ]


@pytest.mark.parametrize("table", PUBLISHED, ids=by_name)
def test_a_table_says_what_a_row_is(table: Table) -> None:
    assert table.description.startswith("One row per ")
    assert all(column.description.endswith(".") for column in table.columns)


@pytest.mark.parametrize("table", PUBLISHED, ids=by_name)
def test_a_column_has_one_place(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", [table for table in PUBLISHED if table is not QUALITY_RESULT], ids=by_name)
def test_a_key_has_no_nulls(table: Table) -> None:
    columns = {column.name: column for column in table.columns}
    assert not any(columns[name].nullable for name in table.key)


@pytest.mark.parametrize("table", BUILT, ids=by_name)
def test_a_built_table_names_its_relation(table: Table) -> None:
    assert table.relation
    assert table.relation.split(".")[0] in {"kpi", "core", "insight", "finance", "seeds"}


def test_the_contract_is_light_to_import() -> None:
    code = "import sys, kpimart.publish.contract; print({'duckdb', 'pydantic', 'pyarrow'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
