"""What the tasks of `crm_kpi_nightly` do, a function each: settings and moments come from the run.

Each calls a step of `kpimart.pipeline`, and tells what came of it: in the log, as metrics, as lineage. What a task
hands on are names: of batches, builds and releases.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from kpimart import pipeline
from kpimart.clock import utc_now
from kpimart.extract.packages import object_names, parts_of
from kpimart.layers import LAYERS
from kpimart.publish.manifest import Manifest, read_manifest
from kpimart.publish.shelf import Shelf
from kpimart.quality.verdict import Boundary
from kpimart.scheduling import lineage, metrics
from kpimart.scheduling.configuration import settings_of_run
from kpimart.scheduling.notices import tell_recovered
from kpimart.settings import Settings
from kpimart.transform import NodeRun

BACKFILL = "backfill"
SECONDS_BETWEEN_LINES = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """What a run is about. `again`: the release that it gives again, instead of making one.

    A backfill is about nights that are over. It gives again what such a night has published; what has none it builds
    beside the tables of the last build, because several of its runs may be at work at once.
    """

    as_of: datetime | None
    known_at: datetime | None
    is_apart: bool
    again: Manifest | None

    @classmethod
    def of_run(cls, settings: Settings) -> "Night":
        """As the run's parameters, its data interval and its kind say."""
        context: Any = get_current_context()
        params = context["params"]
        # A run that is triggered without a logical date has no interval: it is about now.
        as_of = _moment(params["as_of"]) or context.get("data_interval_end")
        known_at = _moment(params["known_at"])
        is_backfill = context["dag_run"].run_type == BACKFILL
        shelf = Shelf(settings.home)
        gives_again = is_backfill and as_of and not known_at and not params["full_refresh"]
        published = shelf.last_of(as_of) if gives_again else None
        if published and published.release_id in shelf.removed:
            # Only the manifest was kept; the same two moments give the same figures.
            return cls(as_of, published.known_at, is_apart=True, again=None)
        return cls(as_of, known_at, is_apart=is_backfill, again=published)


def plan() -> list[dict[str, Any]]:
    """The parts in which the sources are fetched, each as `fetch` takes it; skipped if a release is given again."""
    settings = settings_of_run()
    night = Night.of_run(settings)
    if night.again:
        raise AirflowSkipException(f"release {night.again.release_id} is of {night.as_of} already; it is given again")
    pipeline.require_sound_seeds(settings, night.known_at)
    chosen = get_current_context()["params"]["source"]
    held = pipeline.held_batches(settings)
    return [
        {"source": source, "objects": list(objects), "held": held}
        for source in ([chosen] if chosen else settings.sources)
        for objects in parts_of(settings, source)
    ]


def fetch(source: str, objects: Sequence[str], held: Sequence[str]) -> None:
    """Fetch a part of a source; the task is named after it in the grid."""
    context: Any = get_current_context()
    context["part"] = f"{source} {objects[0]}" if len(objects) == 1 else source
    report = pipeline.fetch(settings_of_run(), source, objects=objects, held=held, tell=_seldom())
    rows = {each.object_name: each.rows_read for each in report.objects}
    for name, count in rows.items():
        log.info("%s %s: %s rows read", source, name, f"{count:,}")
    metrics.gauges(f"fetched.{source}", rows)
    lineage.passed([f"crm://{source}/{name}" for name in rows], [f"kpimart://landing/{source}/{name}" for name in rows])


def land() -> None:
    """Take what was fetched into raw."""
    landed = [
        (batch.source, each) for batch in pipeline.land(settings_of_run(), tell=log.info) for each in batch.objects
    ]
    for source, each in landed:
        name = each.object_name
        log.info(
            "%s %s: %s new versions of %s rows, %s vanished, %s quarantined",
            *(source, name, each.versions_stored, each.rows_read, each.rows_vanished, each.rows_quarantined),
        )
        metrics.gauges(f"landed.{source}", {name: each.versions_stored})
        metrics.gauges(f"quarantined.{source}", {name: each.rows_quarantined})
    lineage.passed(
        [f"kpimart://landing/{source}/{each.object_name}" for source, each in landed],
        [f"kpimart://raw/{source}__{each.object_name}" for source, each in landed],
    )


def gate_raw() -> None:
    """Let the raw gate judge what was landed."""
    settings = settings_of_run()
    night = Night.of_run(settings)
    _judged("raw", settings, lambda: pipeline.judge_raw(settings, as_of=night.as_of, tell=log.info).verdict)


def begin_build() -> str:
    """Begin a build at the moments of the night; its id."""
    settings = settings_of_run()
    night = Night.of_run(settings)
    made = pipeline.begin_build(settings, as_of=night.as_of, known_at=night.known_at, is_apart=night.is_apart)
    log.info("build %s: as of %s, known at %s, in %s", made.build_id, made.as_of, made.known_at, made.database.name)
    return made.build_id


def build_layer(build_id: str, layer: str) -> str:
    """Make a layer of a build, in this process; the build's id."""

    def note(run: NodeRun) -> None:
        log.info("%-8s %-50s %-8s %6.1f s", run.kind, run.name, run.status, run.seconds)
        if run.kind == "model":
            metrics.gauges(f"build.{layer}", {run.name: run.seconds})

    settings = settings_of_run()
    made = pipeline.build_layer(
        settings,
        build_id,
        layer,
        full_refresh=get_current_context()["params"]["full_refresh"],
        tell=log.info,
        note=note,
    )
    for warning in made.warnings:
        log.warning("%s", warning)
    raw = [f"raw/{source}__{name}" for source in settings.sources for name in object_names(source)]
    before = LAYERS[: LAYERS.index(layer)] or raw
    lineage.passed([f"kpimart://{name}" for name in before], [f"kpimart://{layer}"])
    return build_id


def gate_reporting(build_id: str) -> str:
    """Let the reporting gate judge a build; its id."""
    settings = settings_of_run()
    _judged("reporting", settings, lambda: pipeline.validate(settings, build_id, tell=log.info))
    return build_id


def publish(build_id: str | None, asset: Asset) -> str:
    """Make a release of a build, or give the night's again if there is no build; its id.

    The event of the asset bears the release's id, its moments, whether it is what is served, and its rows by table.
    """
    settings = settings_of_run()
    shelf = Shelf(settings.home)
    again = Night.of_run(settings).again
    if build_id is None and again:
        release = shelf.release(again.release_id)
    else:
        release = pipeline.publish(settings, build_id, to_targets=False, tell=log.info)
    rows = {name: table.rows for name, table in read_manifest(release.folder).tables.items()}
    log.info("release %s, as of %s, %s", release.release_id, release.as_of, "served" if release.is_current else "kept")
    if release.is_current:
        metrics.gauges("reporting.rows", rows)
        metrics.gauges("reporting", {"age_seconds": (utc_now() - release.as_of).total_seconds()})
    lineage.passed([f"kpimart://{layer}" for layer in LAYERS], [f"kpimart://reporting/{name}" for name in rows])
    context: Any = get_current_context()
    context["outlet_events"][asset].extra = {
        "release_id": release.release_id,
        "as_of": release.as_of.isoformat(),
        "known_at": release.known_at.isoformat(),
        "is_served": release.is_current,
        "rows": rows,
    }
    return release.release_id


def serve_postgres(release_id: str) -> None:
    """Let PostgreSQL serve the release too; skipped where none is configured, or another release is served."""
    settings = settings_of_run()
    if not settings.postgres.url:
        raise AirflowSkipException("no PostgreSQL is configured")
    if Shelf(settings.home).served_id != release_id:
        raise AirflowSkipException(f"release {release_id} is not the one that is served")
    exported = pipeline.export_postgres(settings, tell=log.info)
    log.info("PostgreSQL serves %s: %s rows in, %s out", release_id, exported.inserted, exported.deleted)
    tables = read_manifest(Shelf(settings.home).folder(release_id)).tables
    lineage.passed(
        [f"kpimart://reporting/{name}" for name in tables], [f"postgres://reporting/{name}" for name in tables]
    )


def notify(release_id: str) -> None:
    """Tell of the recovery, if this DAG had failed before."""
    tell_recovered(get_current_context(), release_id)


def _judged(boundary: Boundary, settings: Settings, judge: Callable[[], Any]) -> None:
    """Judge, and tell what the gate found whether it opens or not."""
    try:
        judge()
    finally:
        counts = pipeline.last_judgement(settings, boundary)
        log.info("%s gate: %s", boundary, ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
        metrics.gauges(f"gate.{boundary}", counts)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _seldom() -> Callable[[str], None]:
    """Log what is told on and on, a line in `SECONDS_BETWEEN_LINES`."""
    last = float("-inf")

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            log.info(line)

    return tell
