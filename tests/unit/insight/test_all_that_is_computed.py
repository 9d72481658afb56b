"""Whoever reads by a program is handed what the release has, though a screen has no room for it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.insight.customers import read_base
from kpimart.insight.regularity import read_regularities
from kpimart.insight.trend import read_trends
from kpimart.insight.weak_spot import read_weak_spots
from kpimart.publish.contract import BUILT

YEAR: Mapping[str, Any] = {
    "period_grain": "year",
    "period_start": date(2025, 1, 1),
    "period_end": date(2025, 12, 31),
    "is_complete": True,
}
ANN = {"entity_level": "manager", "entity_key": "ann", "entity_name": "Ann"}
TREND = {
    "rolling_3": "3.00000000",
    "rolling_6": "6.00000000",
    "working_day_adjusted_value": "7.50000000",
    "p_value": "0.01250000",
}
SPOT = {"shrunk_value": "0.3100000000", "deal_worth": "125.50", "shrunk_leak_amount": "80.25"}
BASE = {
    "lapsed_customers": 9,
    "new_customers": 2,
    "customers_with_amount": 4,
    "top_1_share": "0.50000000",
    "top_5_share": "0.75000000",
    "herfindahl_index": "0.31250000",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with a row in each table."""
    path = tmp_path_factory.mktemp("release") / "reporting.duckdb"
    spot = {
        "kind": "win_rate",
        "pipeline_id": "crm:1",
        "stage_id": "(none)",
        "loss_reason": "(none)",
        "gap": "0.1",
        "status": "enough",
        "is_weak": True,
    }
    rows = {
        "dim_period": {**YEAR, "period_name": "2025"},
        "kpi_catalogue": {"kpi_code": "won_deals", "name_en": "Won deals", "unit": "count", "better": "higher"},
        "kpi_trend": {**YEAR, **ANN, **TREND, "kpi_code": "won_deals", "unit": "count", "trend_status": "enough"},
        "funnel_stage": {**YEAR, **ANN, "pipeline_id": "crm:1", "pipeline_name": "New business"},
        "weak_spot": {**YEAR, **ANN, **SPOT, **spot},
        "customer_base": {**YEAR, **ANN, **BASE},
    }
    with duckdb.connect(str(path)) as connection:
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        for name, row in rows.items():
            places = ", ".join("?" for _ in row)
            connection.execute(f"insert into {name} ({', '.join(row)}) values ({places})", list(row.values()))
    return path


def handed_on(read: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """These fields of what was read, as JSON has them."""
    told = json.loads(json.dumps(asdict(read), default=str))
    return {name: told[name] for name in names}


def test_of_a_trend(database: Path) -> None:
    (trend,) = read_trends(database, level="manager", period="2025", kpi_codes=["won_deals"]).trends
    assert handed_on(trend, TREND) == TREND


def test_of_a_weak_spot(database: Path) -> None:
    found = read_weak_spots(database, level="manager", period="2025")
    (spot,) = found.spots
    assert handed_on(spot, SPOT) == SPOT
    assert (spot.pipeline_id, spot.pipeline_name, found.pipelines) == ("crm:1", "New business", 1)


def test_of_customers(database: Path) -> None:
    (ann,) = read_base(database, level="manager", period="2025").entities
    assert handed_on(ann.counts, BASE) == BASE


def test_of_signs_that_no_source_tells_of(database: Path, tmp_path: Path) -> None:
    """One CRM keeps meetings and tasks, the other tasks only; a lead that was never answered tells of no answers."""
    path = shutil.copy(database, tmp_path / "reporting.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            insert into dim_period by name
            select 'month' as period_grain, date '2025-01-01' as period_start, date '2025-01-31' as period_end,
                true as is_complete, '2025-01' as period_name;
            insert into activity by name
            from (values ('crm:1', 'meeting'), ('old:1', 'task'), (null, 'call')) as rows (deal_id, activity_type);
            insert into lead by name
            from (values ('crm:1', null), ('old:1', 2.5), (null, 1)) as rows (deal_id, first_response_hours);
            insert into early_sign by name
            select 'all' as period_grain, 'company' as entity_level, crm || ':p' as pipeline_id, sign
            from (values ('crm'), ('old')) as crms (crm),
                (values ('reached_stage'), ('activities'), ('meeting'), ('prompt_response')) as signs (sign);
            """
        )
    found = read_regularities(Path(path), level="company", period="2025-01")
    assert {(sign.pipeline_id, sign.sign) for sign in found.signs if not sign.is_told} == {
        ("crm:p", "prompt_response"),
        ("old:p", "activities"),
        ("old:p", "meeting"),
    }
