"""What all DAGs have in common: business time, the writer's place, how often a task is tried, who hears of it."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable

from kpimart.scheduling.notices import Failed
from kpimart.scheduling.retries import RetryWhatMayPass

WRITER_POOL = "kpimart_writer"
"""Its one slot is the place of the one process that writes the warehouse."""

ANY_POOL = "default_pool"

START = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing is caught up, so this only bounds what may be backfilled: a run before it would be green and empty."""


def in_business_time(cron: str) -> CronDataIntervalTimetable:
    """A schedule in the business time zone, whose runs have the time between two of its moments as data interval.

    The zone is needed while a DAG file is parsed, which happens all the time and must not open kpimart.toml. The
    variable is the one that overrides kpimart.toml in the tasks: where it is set, the two cannot disagree.
    """
    return CronDataIntervalTimetable(cron, timezone=os.environ.get("KPIMART_TIME_ZONE") or "UTC")


def task_defaults(owner: str, *, hours: int) -> dict[str, Any]:
    """`default_args` of a DAG; the first pause before a retry is that of `[core] default_task_retry_delay`, 5 minutes.

    hours: a step that takes longer hangs, and would keep the writer's place.
    """
    return {
        "owner": owner,
        "pool": WRITER_POOL,
        "retries": 3,
        "retry_exponential_backoff": 2.0,
        "retry_policy": RetryWhatMayPass(),
        "on_failure_callback": [Failed()],
        "execution_timeout": timedelta(hours=hours),
    }
