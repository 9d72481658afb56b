"""What the tasks tell of the data, beside what Airflow tells of the tasks: by StatsD or OpenTelemetry, as Airflow does.

All are gauges of the last run, under Airflow's own prefix:

- `kpimart.fetched.<source>.<object>`, `kpimart.landed.…` (new versions), `kpimart.quarantined.…`: rows;
- `kpimart.gate.<raw|reporting>.<passed|failed|errored>`: expectations;
- `kpimart.build.<layer>.<model>`: seconds;
- `kpimart.reporting.rows.<table>`: rows; `kpimart.reporting.age_seconds`: of the served figures' `as_of`.
"""

from collections.abc import Mapping

from airflow.sdk.observability import stats


def gauges(prefix: str, values: Mapping[str, float]) -> None:
    """Set the gauges `kpimart.<prefix>.<name>`."""
    for name, value in values.items():
        stats.gauge(f"kpimart.{prefix}.{name}", value)
