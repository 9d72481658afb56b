"""Who is told, and of what: a step that failed for good, reporting that is late, and that all is well again.

Notices go through Airflow's Apprise provider, which knows e-mail, Slack, webhooks and a hundred services more, to the
addresses of the connection `kpimart_notices`. Without that connection they stand in the log only.
"""

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, Connection, Variable
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from apprise import Apprise

CONNECTION = "kpimart_notices"
RUNBOOK = "docs/runbook.md"

log = logging.getLogger(__name__)


class Failed(BaseNotifier):
    """For `on_failure_callback` of tasks: which step of which run failed for good, what it says, what to do."""

    def notify(self, context: Any) -> None:
        """Send it, and remember until the recovery what failed."""
        instance, run = context["ti"], context["dag_run"]
        step = _step(instance)
        Variable.set(_failing(run.dag_id), f"{step} of {run.run_id}")
        failure = context.get("exception")
        said = (
            f"{type(failure).__name__}: {failure}" if isinstance(failure, BaseException) else failure or "see the log"
        )
        _send(
            "failure",
            f"KPI Mart: {step} of {run.dag_id} failed",
            what_failed=f"{step}, run {run.run_id}, try {instance.try_number}",
            what_it_says=said or "nothing; it was ended from outside",
            what_now=f"see {RUNBOOK}, then clear the task: the run goes on from it. The last release is still served",
            look_at=instance.log_url,
        )


class Late(BaseNotifier):
    """For the deadline of a DAG: the run that has not ended in time."""

    async def async_notify(self, context: Any) -> None:
        """Send it, from the triggerer; a backfill is about nights whose hour has long passed."""
        run = context["dag_run"]
        if run["run_type"] == "backfill":
            return
        await _send_soon(
            "warning",
            f"KPI Mart: {run['dag_id']} is late",
            what_is_late=f"run {run['dag_run_id']}, which is {run['state']}",
            what_now=f"see {RUNBOOK}; until it has ended, the last release is served",
        )


class Wanted(BaseNotifier):
    """For `notifiers` of an operator that waits for a person."""

    def notify(self, context: Any) -> None:
        """Send it, with the page on which to answer."""
        instance = context["ti"]
        _send(
            "info",
            f"KPI Mart: {instance.dag_id} waits for somebody to {instance.task_id}",
            what_for=context["task"].subject,
            look_at=instance.log_url,
        )


def tell_recovered(context: Any, release_id: str) -> None:
    """Tell that a DAG that had failed has published again; after a night like any other there is nothing to tell."""
    dag_id = context["dag_run"].dag_id
    failed = Variable.get(_failing(dag_id), default=None)
    if failed:
        _send("success", f"KPI Mart: {dag_id} is well again", what_failed=failed, published_since=release_id)
        Variable.delete(_failing(dag_id))


def _failing(dag_id: str) -> str:
    """The variable that is there from a failure to the recovery."""
    return f"kpimart_failing_{dag_id}"


def _step(instance: Any) -> str:
    """A task, and which part of it where it is mapped."""
    label = getattr(instance, "rendered_map_index", None)
    return f"{instance.task_id} [{label}]" if label else str(instance.task_id)


def _send(kind: str, title: str, **told: str) -> None:
    body = _told(title, told)
    try:
        addresses = _addresses(Connection.get(CONNECTION))
    except AirflowNotFoundException:
        return
    _note_delivery(addresses.notify(body=body, title=title, notify_type=kind))


async def _send_soon(kind: str, title: str, **told: str) -> None:
    body = _told(title, told)
    try:
        addresses = _addresses(await Connection.async_get(CONNECTION))
    except AirflowNotFoundException:
        return
    _note_delivery(await addresses.async_notify(body=body, title=title, notify_type=kind))


def _told(title: str, told: dict[str, str]) -> str:
    """The body of a notice, which stands in the log too."""
    width = max(map(len, told))
    body = "\n".join(f"{name.replace('_', ' '):<{width}}  {value}" for name, value in told.items())
    log.warning("%s\n%s", title, body)
    return body


def _addresses(connection: Connection) -> "Apprise":
    # Imported here: Apprise takes a while, and notices are seldom.
    from airflow.providers.apprise.hooks.apprise import AppriseHook
    from apprise import Apprise

    addresses = Apprise()
    AppriseHook(CONNECTION).set_config_from_conn(conn=connection, apprise_obj=addresses)
    return addresses


def _note_delivery(is_delivered: object) -> None:
    """A notice that does not arrive must not fail what it is about."""
    if not is_delivered:
        log.error("the notice was not delivered to all addresses of connection %s; check them", CONNECTION)
