"""What a task read and wrote, for OpenLineage: Airflow's provider tells it, where it is installed and configured.

The objects of a CRM are datasets of the namespace `crm`, as `hubspot/deals`; what lies in a home are those of
`kpimart`: `landing/hubspot/deals`, `raw/hubspot__deals`, the layers of a build, `reporting/kpi_value`.
"""

from collections.abc import Iterable

from airflow.providers.common.compat.lineage.entities import File
from airflow.sdk import get_current_context


def passed(reads: Iterable[str], writes: Iterable[str]) -> None:
    """Say which datasets the task that is running read and wrote; each is `<namespace>://<name>`."""
    task = get_current_context()["task"]
    task.inlets = [*task.inlets, *map(File, reads)]
    task.outlets = [*task.outlets, *map(File, writes)]
