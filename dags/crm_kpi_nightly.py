"""
### Sales KPIs, every night

**Purpose** CRM → warehouse → KPI marts → gate → `reporting`.

**Why 02:00**, in the business time zone: the CRM's own nightly jobs end at 01:00, and heads of sales open the figures
at 07:00. The figures speak of the end of the data interval (`as_of`), whenever the run really starts.

**Rerun** Clear any task: each step takes up what the last attempt left complete. Reading the same export again stores
nothing new, and a build that is published stays published.

**Backfill** A night before the published one is built beside the warehouse and does not become the current release.

**One writer** Every task takes the one slot of a pool, which is made once:
`airflow pools set kpimart_writer 1 "one process writes the warehouse"`.

**If it is red** the last release is still served, and the last line of the task's log says what to do.

- `extract`: the source stayed away through all retries, or the raw gate holds the batch. Look at the source, then
  clear the task; or take it as it is, with `kpimart accept`, and clear the task.
- `build`: a model or one of its tests failed; the log names it. Mend it, then clear the task.
- `validate`: the gate refused the figures; the log names the expectation, the rows, and the events behind a jump.
  Correct them in the CRM, then clear `extract`; or publish them as they are, with `kpimart publish --override`.
- `publish`: the disk is full or may not be written. Clear the task when it is.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, task

from kpimart.scheduling import RetryWhatMayPass

# The schedule needs the zone while this file is parsed, which happens all the time and must not open kpimart.toml.
# This variable is the one that overrides kpimart.toml in the tasks: where it is set, the two cannot disagree.
BUSINESS_TIME_ZONE = os.environ.get("KPIMART_TIME_ZONE") or "UTC"


@task
def extract():
    from kpimart import pipeline, settings

    pipeline.extract(settings.load_settings())


@task
def build(data_interval_end: datetime | None = None):
    from kpimart import pipeline, settings

    return pipeline.build(settings.load_settings(), as_of=data_interval_end).build_id


@task
def validate(build_id: str):
    from kpimart import pipeline, settings

    pipeline.validate(settings.load_settings(), build_id)
    return build_id


@task
def publish(build_id: str):
    from kpimart import pipeline, settings

    return pipeline.publish(settings.load_settings(), build_id).release_id


@dag(
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=BUSINESS_TIME_ZONE),
    # Nothing is caught up, so this only bounds what may be backfilled: a run before it would be green and empty.
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "pool": "kpimart_writer",
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": 2.0,
        "retry_policy": RetryWhatMayPass(),
        # A step that hangs would keep the writer's place, and the next night from starting.
        "execution_timeout": timedelta(hours=1),
    },
    doc_md=__doc__,
    tags=["kpi"],
)
def crm_kpi_nightly():
    built = build()
    extract() >> built
    publish(validate(built))


crm_kpi_nightly()
