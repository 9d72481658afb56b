"""The table `budget_input`: plan, fact and outlook of every month, quarter and year, and of the year up to a month.

The outlook is what was reached in the months that are over, and the forecast of the others.
"""

from pathlib import Path

import duckdb
import jinja2

_NO_FORECAST = """
create table if not exists finance.kpi_forecast (
    kpi_code varchar, period_grain varchar, period_start date, period_end date, entity_level varchar,
    entity_key varchar, department_id varchar, manager_id varchar, entity_name varchar, unit varchar, origin_on date,
    horizon integer, method varchar, status varchar, value decimal(28, 8), low_80 decimal(28, 8),
    high_80 decimal(28, 8), low_95 decimal(28, 8), high_95 decimal(28, 8), cumulative_value decimal(28, 8),
    cumulative_low_80 decimal(28, 8), cumulative_high_80 decimal(28, 8), cumulative_low_95 decimal(28, 8),
    cumulative_high_95 decimal(28, 8)
)
"""
BOUNDS = ("low_80", "high_80", "low_95", "high_95")


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write finance.budget_input anew, from finance.budget_basis and finance.kpi_forecast of a build."""
    connection.execute(_NO_FORECAST)
    template = jinja2.Template(Path(__file__).with_name("budget_input.sql").read_text(encoding="utf-8"))
    connection.execute(template.render(bounds=BOUNDS))
