"""The step between dbt and the gate: every table that statistics fill, in the order in which they read each other."""

from collections.abc import Callable
from pathlib import Path

import duckdb

from kpimart.finance import outlook
from kpimart.insight.statistics import drivers, sentences, trends
from kpimart.insight.statistics.forecast import write as forecasts
from kpimart.warehouse import open_database, transaction

STEPS: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "kpi_trend": trends.write,
    "kpi_driver": drivers.write,
    "kpi_summary": sentences.write,
    "kpi_forecast": forecasts.write,
    "budget_input": outlook.write,
}
"""Table of `insight` or `finance` → what writes it anew, with all its rows, and those that come of the same work."""


def take_all(database: Path, tell: Callable[[str], None]) -> None:
    """Write every table of STEPS into a build whose models are made; all of them or none. Raises StorageFailed."""
    with open_database(database, read_only=False) as connection, transaction(connection):
        for table, write in STEPS.items():
            tell(f"computing {table}")
            write(connection)
