"""
### Sales KPIs, every night

**Purpose** CRM → warehouse → KPI marts → gate → `reporting`.

**Why 02:00**, in the business time zone: the CRM's own nightly jobs end at 01:00, and heads of sales open the figures
at 07:00; whoever is on call hears of it when they are not there by then. The figures speak of the end of the data
interval (`as_of`), whenever the run really starts.

**Rerun** Clear any task, with those after it: the run goes on from there. Reading the same again stores nothing new,
and a build that is published stays published. A layer of a build can be made again until the next build is begun.

**Backfill** `airflow backfill create --dag-id crm_kpi_nightly --from-date … --to-date …` gives each night's figures as
of that night, by what is known now. A night that has its release gives it again (`--reprocess-behavior completed`).
What is served is not taken back in time.

**One writer** Every task but `fetch` takes the one slot of a pool, which is made once:
`airflow pools set kpimart_writer 1 "one process writes the warehouse"`.

**If it is red** the last release is still served, and the last lines of the task's log say what to do; more of each in
`docs/runbook.md`.

- `plan`: a setting, a seed or a parameter is wrong; the message names it.
- `fetch`: the source stayed away through all retries. Clear it when it is back; other parts keep what they have.
- `gate_raw`: the batch is held. Correct it in the source, then clear `plan`; or `kpimart accept`, then clear it.
- `staging` … `kpi`: a model or one of its tests failed; the log names it. Mend it, then clear `begin_build`.
- `gate_reporting`: the figures were refused; the log names the expectation, the rows, and the events behind a jump.
  Correct them in the CRM, then clear `plan`; or publish them as they are, with `kpimart publish --override`.
- `publish`: the disk is full or may not be written. Clear it when it is.
- `serve_postgres`: PostgreSQL is away, and serves what it did. Clear it when it is back.
"""

from datetime import timedelta

from airflow.sdk import (
    Asset,
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
    Param,
    dag,
    task,
    task_group,
)

from kpimart.layers import LAYERS
from kpimart.scheduling.defaults import ANY_POOL, START, in_business_time, task_defaults
from kpimart.scheduling.notices import Late
from kpimart.sources import SOURCE_NAMES

REPORTING = Asset(name="kpimart_reporting", uri="kpimart://reporting")

MOMENT = {"type": ["null", "string"], "format": "date-time"}
PARAMS = {
    "source": Param(None, enum=[None, *SOURCE_NAMES], description="Fetch this source only."),
    "as_of": Param(None, **MOMENT, description="Figures as of this moment, instead of the end of the night."),
    "known_at": Param(None, **MOMENT, description="By what was known at this moment, instead of by now."),
    "full_refresh": Param(False, type="boolean", description="Derive every deal anew."),
    "profile": Param(
        None,
        type=["null", "string"],
        pattern="^[a-z][a-z0-9_]*$",
        description="Another profile than the settings'.",
    ),
}


# Other machines may fetch, so this is the one task that does not take the writer's place.
@task(pool=ANY_POOL, map_index_template="{{ part }}")
def fetch(source: str, objects: list[str], held: list[str]):
    from kpimart.scheduling import steps

    steps.fetch(source, objects, held)


@task
def plan():
    from kpimart.scheduling import steps

    return steps.plan()


@task
def land():
    from kpimart.scheduling import steps

    steps.land()


@task
def gate_raw():
    from kpimart.scheduling import steps

    steps.gate_raw()


@task
def begin_build():
    from kpimart.scheduling import steps

    return steps.begin_build()


@task
def build_layer(build_id: str, layer: str):
    from kpimart.scheduling import steps

    return steps.build_layer(build_id, layer)


@task
def gate_reporting(build_id: str):
    from kpimart.scheduling import steps

    return steps.gate_reporting(build_id)


# Also where a night gives its release again, and nothing was built.
@task(outlets=[REPORTING], trigger_rule="none_failed")
def publish(build_id: str | None):
    from kpimart.scheduling import steps

    return steps.publish(build_id, REPORTING)


@task
def serve_postgres(release_id: str):
    from kpimart.scheduling import steps

    steps.serve_postgres(release_id)


@task(trigger_rule="none_failed")
def notify(release_id: str):
    from kpimart.scheduling import steps

    steps.notify(release_id)


@dag(
    schedule=in_business_time("0 2 * * *"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    # Five hours after the end of the night, which begins with the logical date.
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE, interval=timedelta(hours=24 + 5), callback=AsyncCallback(Late)
    ),
    default_args=task_defaults("data-engineering", hours=1),
    doc_md=__doc__,
    tags=["kpi"],
)
def crm_kpi_nightly():
    @task_group
    def extract():
        accepted = gate_raw()
        fetch.expand_kwargs(plan()) >> land() >> accepted
        return accepted

    @task_group
    def build(accepted):
        built = begin_build()
        accepted >> built
        for layer in LAYERS:
            built = build_layer.override(task_id=layer)(built, layer)
        return built

    release = publish(gate_reporting(build(extract())))
    serve_postgres(release) >> notify(release)


crm_kpi_nightly()
