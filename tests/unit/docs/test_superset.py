"""The dashboard for Superset asks for what is published, and its parts belong to each other."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from kpimart.catalogue import read_catalogue
from kpimart.publish.contract import PUBLISHED

BUNDLE = Path(__file__).parents[3] / "examples" / "superset" / "bundle"


def parts(kind: str) -> dict[str, dict[str, Any]]:
    """Uuid → what is in its file."""
    read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((BUNDLE / kind).rglob("*.yaml"))]
    return {each["uuid"]: each for each in read}


@pytest.fixture(scope="module")
def release() -> duckdb.DuckDBPyConnection:
    """The published tables, without a row."""
    connection = duckdb.connect()
    connection.execute("create schema reporting")
    for table in PUBLISHED:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        connection.execute(f"create table reporting.{table.name} ({columns})")
    return connection


@pytest.mark.parametrize("dataset", parts("datasets").values(), ids=lambda dataset: dataset["table_name"])
def test_a_dataset_has_the_columns_that_it_names(dataset: dict[str, Any], release: duckdb.DuckDBPyConnection) -> None:
    assert [column["column_name"] for column in dataset["columns"]] == release.sql(dataset["sql"]).columns


def test_every_chart_is_of_a_kpi_and_on_the_dashboard() -> None:
    charts = parts("charts")
    shown = [
        place["meta"]["uuid"]
        for each in parts("dashboards").values()
        for place in each["position"].values()
        if isinstance(place, dict) and place["type"] == "CHART"
    ]
    assert sorted(shown) == sorted(charts)
    asked = {filtered["comparator"] for chart in charts.values() for filtered in chart["params"]["adhoc_filters"]}
    assert asked <= {kpi["kpi_code"] for kpi in read_catalogue()}


def test_what_is_referred_to_is_there() -> None:
    assert {chart["dataset_uuid"] for chart in parts("charts").values()} == set(parts("datasets"))
    assert {dataset["database_uuid"] for dataset in parts("datasets").values()} == set(parts("databases"))
