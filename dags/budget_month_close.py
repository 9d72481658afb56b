"""
### The month, closed for the budget

**Purpose** Freezes the figures of the month that is over, once somebody has approved them, and exports the workbook
that finance budgets with. Later changes of that month do not rewrite what was closed.

**Why the 1st, 06:00**, in the business time zone: the month is over. The run then waits for a published release past
the cut-off, which is the setting `closing.after_working_days` after the month's end, for late entries to come in.

**Approve** under *Required Actions*: the page shows the month's figures and the release. A note is asked for; it is
kept with the approver's name in the record of closings, and published in `period_close`. Who rejects leaves the month
open; clear `wait_for_release` to be asked again.

**Rerun** safe at any task: a month that is closed on a release stays so, and asking for the same again changes nothing.

**If it is red** `wait_for_release`: no release past the cut-off came in three weeks; look at `crm_kpi_nightly`.
`close_month`: the month is closed otherwise already; the log says by whom. See `docs/runbook.md`.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, PokeReturnValue, dag, task

from kpimart.scheduling.defaults import ANY_POOL, START, in_business_time, task_defaults
from kpimart.scheduling.notices import Wanted


@task.sensor(mode="reschedule", poke_interval=timedelta(minutes=15), timeout=timedelta(days=21))
def wait_for_release() -> PokeReturnValue:
    from kpimart.scheduling import month_close

    found = month_close.release_past_cut_off()
    return PokeReturnValue(is_done=found is not None, xcom_value=found)


@task
def describe_month(found: dict[str, str]):
    from kpimart.scheduling import month_close

    return month_close.describe(**found)


@task
def close_month(found: dict[str, str], approval: dict[str, object]):
    from kpimart.scheduling import month_close

    month_close.close(**found, approval=approval)


@task
def export_workbook(found: dict[str, str]):
    from kpimart.scheduling import month_close

    return month_close.export_workbook(**found)


@dag(
    schedule=in_business_time("0 6 1 * *"),
    start_date=START,
    catchup=False,
    # The next month may be due before somebody has approved of this one.
    max_active_runs=3,
    default_args=task_defaults("finance", hours=1),
    doc_md=__doc__,
    tags=["kpi", "finance"],
)
def budget_month_close():
    found = wait_for_release()
    figures = describe_month(found)
    approval = ApprovalOperator(
        task_id="approve",
        subject="Close {{ ti.xcom_pull('wait_for_release')['month'] }}?",
        body="{{ ti.xcom_pull('describe_month') }}",
        # Airflow takes no form with a field that must be filled in and is empty.
        params={"note": Param("The figures were looked at", type="string", minLength=1, description="Why now.")},
        notifiers=[Wanted()],
        pool=ANY_POOL,
        # A person may take weeks, and the task holds no process meanwhile.
        execution_timeout=None,
    )
    figures >> approval
    close_month(found, approval.output) >> export_workbook(found)


budget_month_close()
