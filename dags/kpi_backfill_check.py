"""
### Is a past release still what raw says?

**Purpose** Rebuilds one past release from raw, at its two moments, in a scratch file, and compares every row with what
was published. What differs was changed behind the pipeline's back, or is a defect of it.

**Why Sunday 05:00**, in the business time zone: the night is over, and nobody waits for the machine.

**Rerun** safe: nothing is changed. The release is drawn by lot from those that are kept, and a rerun draws the same.

**If it is red** the log names the tables, and the batches of raw that are others than they were. See `docs/runbook.md`.
"""

from airflow.sdk import dag, task

from kpimart.scheduling.defaults import START, in_business_time, task_defaults


@task
def choose_release():
    from kpimart.scheduling import weekly

    return weekly.choose_release()


@task
def rebuild_and_compare(release_id: str):
    from kpimart.scheduling import weekly

    weekly.rebuild_and_compare(release_id)


@dag(
    schedule=in_business_time("0 5 * * 0"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults("data-engineering", hours=3),
    doc_md=__doc__,
    tags=["kpi", "upkeep"],
)
def kpi_backfill_check():
    rebuild_and_compare(choose_release())


kpi_backfill_check()
