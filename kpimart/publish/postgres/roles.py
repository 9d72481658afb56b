"""The roles of the target, and the SQL by which a database administrator makes them."""

from pathlib import Path

ANALYST, HEAD, MANAGER = ROLES = ("kpi_analyst", "kpi_head", "kpi_manager")
ROLES_SQL = Path(__file__).with_name("roles.sql").read_text(encoding="utf-8")
