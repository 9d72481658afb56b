"""The table `budget_input`: plan, fact and outlook of every month, quarter and year, and of the year up to a month.

The outlook is what was reached in the months that are over, and the forecast of the others.
"""

from pathlib import Path

import duckdb
import jinja2

BOUNDS = ("low_80", "high_80", "low_95", "high_95")


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write finance.budget_input anew, from finance.budget_basis and finance.kpi_forecast of a build."""
    template = jinja2.Template(Path(__file__).with_name("budget_input.sql").read_text(encoding="utf-8"))
    connection.execute(template.render(bounds=BOUNDS))
