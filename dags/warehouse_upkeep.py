"""
### The home, kept in order

**Purpose** Backs up what cannot be made again, removes what the settings do not keep, makes the warehouse's file small,
and shows that the backup can be restored: it brings it back into an empty folder and checks its releases there.

**Why Saturday 05:00**, in the business time zone: the night is over, and nobody waits for the machine. The backup comes
first, so that it holds what is removed after it.

**Rerun** safe at any task. A backup sends only what is new; the drill works in a folder of its own, which goes with it.

**Where to** The setting `backup` says it, a folder on another disk or a bucket; without it `back_up` and the drill are
skipped, and the log says so.

**If it is red** nothing that is served has changed. `back_up`: the place is away or full. `keep_up`: the disk may not
be written. `restore_drill`: the backup cannot be relied on; make another today. See `docs/runbook.md`.
"""

from airflow.sdk import dag, task

from kpimart.scheduling.defaults import START, in_business_time, task_defaults


@task
def back_up():
    from kpimart.scheduling import weekly

    return weekly.back_up()


@task(trigger_rule="none_failed")
def keep_up():
    from kpimart.scheduling import weekly

    weekly.keep_up()


@task
def restore_drill(backup_id: str):
    from kpimart.scheduling import weekly

    weekly.restore_drill(backup_id)


@dag(
    schedule=in_business_time("0 5 * * 6"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults("data-engineering", hours=3),
    doc_md=__doc__,
    tags=["kpi", "upkeep"],
)
def warehouse_upkeep():
    backed_up = back_up()
    backed_up >> keep_up()
    restore_drill(backed_up)


warehouse_upkeep()
