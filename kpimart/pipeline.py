"""The steps of a run, for the command line and the scheduler alike: extract, build, validate, publish.

Each step can be run alone, in a process of its own, and again: it takes up what the one before it left complete. One
process writes at a time; `run` holds that place from its first step to its last.
"""

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kpimart import building
from kpimart.build import Build
from kpimart.clock import Clock, utc_now
from kpimart.errors import GateRefused, SettingsError
from kpimart.publish.contract import BUILT
from kpimart.quality.gate import Judge
from kpimart.quality.override import OBJECT as OVERRIDE
from kpimart.quality.override import Override, payload_of
from kpimart.quality.parameters import raw_parameters, reporting_parameters
from kpimart.quality.protocol import Compared
from kpimart.quality.verdict import Boundary, Verdict, explain, named, read_verdict, record
from kpimart.settings import Settings
from kpimart.transform import NodeRun, parse_dbt
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, raw_table, transaction, writer_lock

if TYPE_CHECKING:
    from kpimart.extract.landing import LandedBatch
    from kpimart.extract.packages import FetchReport
    from kpimart.publish.postgres.export import Exported
    from kpimart.publish.shelf import Release
    from kpimart.publish.verify import Verification
    from kpimart.transform import Manifest

Tell = Callable[[str], None]
"""Called with a few words on what is being done, often."""


def silently(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Extraction:
    """What an extraction brought: the batches, now accepted, and the verdict that let them in (None: none was new).

    quarantined: records that were set aside, a few of each reason, a line of words each.
    """

    batches: "tuple[LandedBatch, ...]"
    verdict: Verdict | None
    quarantined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """What a whole run did, with the seconds that each step took."""

    extraction: Extraction
    build: Build
    verdict: Verdict
    release: "Release"
    steps: dict[str, float] = field(default_factory=dict)


def run(
    settings: Settings,
    *,
    source: str | None = None,
    files: Path | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    full_refresh: bool = False,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> Run:
    """Extract, build, validate and publish; raises what the steps raise. full_refresh: as in `build`.

    Where PostgreSQL is configured, it is let serve the release last: when that fails, the release is served from disk.
    """
    steps: dict[str, float] = {}
    require_sound_seeds(settings, known_at)
    with writer_lock(settings.home), Judge() as judge:
        with _timed(steps, "extract"):
            landed = _fetch_and_land(settings, source=source, files=files, clock=clock, tell=tell)
        # Meanwhile the judge's process gets ready; the raw gate would have to wait for it.
        with _timed(steps, "parse"):
            tell("reading the models")
            manifest = None if known_at else _parse_live(settings)
        with _timed(steps, "raw gate"):
            extraction = _judge_landed(settings, landed, judge, as_of=as_of, clock=clock, tell=tell)
        with _timed(steps, "build"):
            build = _build(
                settings,
                as_of=as_of,
                known_at=known_at,
                full_refresh=full_refresh,
                clock=clock,
                tell=tell,
                manifest=manifest,
            )
        with _timed(steps, "validate"):
            verdict = _validate(settings, build, judge, clock=clock, tell=tell)
        with _timed(steps, "publish"):
            release = _publish(settings, build, clock=clock, tell=tell, make_current=False)
        if settings.postgres.url:
            with _timed(steps, "postgres"):
                _serve_targets(settings, release, clock=clock, tell=tell)
    return Run(extraction, build, verdict, release, steps)


def extract(
    settings: Settings,
    *,
    source: str | None = None,
    objects: Sequence[str] | None = None,
    files: Path | None = None,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> Extraction:
    """Fetch every source (or one, or only these objects of it), land what was fetched, and let the raw gate judge it.

    files: the folder of the `files` source, instead of the configured one.
    Raises SourceUnreachable, BadSourceData, and GateRefused when the batch is held; what was accepted before stays.
    """
    if objects and not source:
        raise SettingsError(f"of which source is the object {objects[0]}? Name it with --source")
    with writer_lock(settings.home), Judge() as judge:
        landed = _fetch_and_land(settings, source=source, objects=objects, files=files, clock=clock, tell=tell)
        return _judge_landed(settings, landed, judge, as_of=None, clock=clock, tell=tell)


def held_batches(settings: Settings) -> list[str]:
    """The batches that the raw gate held, which a fetch must know of, to read again what they brought."""
    from kpimart.extract.landing import held_batches as held_in

    with writer_lock(settings.home), open_warehouse(settings.home) as connection:
        return sorted(held_in(connection))


def fetch(
    settings: Settings,
    source: str,
    *,
    objects: Sequence[str] | None = None,
    files: Path | None = None,
    held: Collection[str],
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> "FetchReport":
    """The first half of extracting, without the warehouse: leave complete load packages of a source.

    objects: only these. held: as `held_batches` gives them. Raises what `extract.packages.fetch` raises.
    """
    from kpimart.extract.packages import fetch as fetch_packages
    from kpimart.extract.progress import FetchProgress

    progress = FetchProgress(source, tell)
    return fetch_packages(settings, source, objects=objects, folder=files, clock=clock, held=held, progress=progress)


def land(settings: Settings, *, clock: Clock = utc_now, tell: Tell = silently) -> "list[LandedBatch]":
    """The second half: take every complete package that is not a batch yet."""
    with writer_lock(settings.home):
        return _land(settings, clock=clock, tell=tell)


def judge_raw(
    settings: Settings, *, as_of: datetime | None = None, clock: Clock = utc_now, tell: Tell = silently
) -> Extraction:
    """Let the raw gate judge every batch without a verdict; raises GateRefused when they are held.

    as_of: the moment that will be built for, if it is known already.
    """
    with writer_lock(settings.home), Judge() as judge:
        return _judge_landed(settings, [], judge, as_of=as_of, clock=clock, tell=tell)


def build(
    settings: Settings,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    full_refresh: bool = False,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> Build:
    """Build all models from what was accepted, at two moments; returns the build, not yet judged.

    as_of: only what occurred before it counts (default: the configured one, else now). known_at: only what was accepted
    by then is read (default: now). A build of an earlier moment than the last is made in a file of its own.
    full_refresh: derive every deal anew, also those of which nothing was recorded since the last build; where the
    models or the settings are others than the last build's, this is done anyway.
    Raises BuildFailed, and SettingsError for moments that nothing is known of, for a KPI catalogue with errors, and for
    holidays that no seed has.
    """
    require_sound_seeds(settings, known_at)
    with writer_lock(settings.home):
        return _build(settings, as_of=as_of, known_at=known_at, full_refresh=full_refresh, clock=clock, tell=tell)


def begin_build(
    settings: Settings,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    is_apart: bool = False,
    clock: Clock = utc_now,
) -> Build:
    """Begin a build whose layers are then made one by one by `build_layer`; for the rest as `build`.

    is_apart: make it in a file of its own, beside the tables of the last build, whatever moment it speaks of.
    """
    require_sound_seeds(settings, known_at)
    with writer_lock(settings.home):
        return building.begin(settings, as_of=as_of, known_at=known_at, is_apart=is_apart, clock=clock)


def build_layer(
    settings: Settings,
    build_id: str,
    layer: str,
    *,
    full_refresh: bool = False,
    clock: Clock = utc_now,
    tell: Tell = silently,
    note: Callable[[NodeRun], None],
) -> Build:
    """Make one of `layers.LAYERS` of a build that was begun; after the last one it can be judged.

    note: called with each model, seed and test when it is done. Raises what `building.make` raises.
    """
    with writer_lock(settings.home):
        made = building.begun(settings, build_id)
        return building.make(settings, made, layer=layer, full_refresh=full_refresh, clock=clock, tell=tell, note=note)


def validate(
    settings: Settings, build_id: str | None = None, *, clock: Clock = utc_now, tell: Tell = silently
) -> Verdict:
    """Let the reporting gate judge a build (default: the last one); raises GateRefused with what it found."""
    with writer_lock(settings.home), Judge() as judge:
        made = building.finished(settings, build_id)
        building.require_there(settings, made)
        return _validate(settings, made, judge, clock=clock, tell=tell)


def publish(
    settings: Settings,
    build_id: str | None = None,
    *,
    override: Override | None = None,
    make_current: bool = False,
    to_targets: bool = True,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> "Release":
    """Make a release of a build (default: the last one) that passed its gate, and let PostgreSQL serve it too.

    Raises GateRefused if it did not pass, and what `export_postgres` raises, when the release is served from disk.
    override: publish it although its gate refused it; raises SettingsError if it did not refuse it. to_targets: False
    leaves PostgreSQL to a later `export_postgres`.
    """
    from kpimart.publish.shelf import Shelf

    with writer_lock(settings.home):
        made = building.finished(settings, build_id)
        # What is published already is not taken from the database again.
        if not Shelf(settings.home).folder(made.build_id).exists():
            building.require_there(settings, made)
            if override:
                with open_warehouse(settings.home) as connection, transaction(connection):
                    _record_override(connection, "reporting", [made.build_id], override, clock)
        release = _publish(settings, made, clock=clock, tell=tell, make_current=make_current)
        if to_targets:
            _serve_targets(settings, release, clock=clock, tell=tell)
        return release


def accept(settings: Settings, override: Override, batch_id: str | None = None, *, clock: Clock = utc_now) -> list[str]:
    """Accept a batch that the raw gate held (default: the last one), and those that were judged together with it.

    Returns their ids; the next build reads them. Raises SettingsError for a batch that is not held, or out of date.
    """
    from kpimart.extract.landing import accept_held, held_together

    with writer_lock(settings.home), open_warehouse(settings.home) as connection, transaction(connection):
        batch_ids = held_together(connection, batch_id)
        _record_override(connection, "raw", batch_ids, override, clock)
        accept_held(connection, batch_ids, f"accepted by {override.by}: {override.reason}", clock)
    return batch_ids


def rollback(
    settings: Settings, release_id: str | None = None, *, clock: Clock = utc_now, tell: Tell = silently
) -> "Release":
    """Serve another release (default: the one before), and let PostgreSQL serve it too.

    Raises ReleaseNotFound, ReleaseDamaged, and what `export_postgres` raises, when the release is served from disk.
    """
    from kpimart.publish.release import rollback as serve

    with writer_lock(settings.home):
        release = serve(settings.home, release_id)
        _serve_targets(settings, release, clock=clock, tell=tell)
        return release


def export_postgres(
    settings: Settings, release_id: str | None = None, *, clock: Clock = utc_now, tell: Tell = silently
) -> "Exported":
    """Let PostgreSQL serve a release, by default the one served from disk; raises what `postgres.export` raises."""
    from kpimart.publish.postgres.export import export

    return export(settings, release_id, clock=clock, tell=lambda table: tell(f"PostgreSQL: {table}"))


def verify(
    settings: Settings, release_id: str | None = None, *, rebuild: bool = False, tell: Tell = silently
) -> "Verification":
    """Check a release (default: the served one): its files, the chain of manifests, its rows and control totals.

    rebuild: also make its tables again from raw, at its two moments, in a scratch file, and compare every row.
    Raises ReleaseNotFound, and ReleaseDamaged for a release that is not what its manifest says.
    """
    from kpimart.publish.release import find
    from kpimart.publish.verify import check, compare, recount_batches

    release = find(settings.home, release_id)
    tell(f"checking release {release.release_id}")
    found = check(settings.home, release.release_id)
    if not rebuild:
        return found
    with writer_lock(settings.home):
        scratch = settings.home / "scratch" / f"verify-{release.release_id}.duckdb"
        made = Build(f"verify-{release.release_id}", release.as_of, release.known_at, scratch)
        with open_warehouse(settings.home) as connection:
            building.require_known(connection, made.known_at)
            building.ensure_raw_tables(connection, settings)
        try:
            tell("counting raw")
            batches = recount_batches(settings.home, found.manifest)
            building.make_again(settings, made, tell)
            return replace(found, rebuilt=compare(release.database, made.database, tell), changed_batches=batches)
        finally:
            building.remove_scratch(made)


def last_judgement(settings: Settings, boundary: Boundary) -> dict[str, int]:
    """How many expectations passed, failed and errored when a gate last judged."""
    with writer_lock(settings.home), open_warehouse(settings.home) as connection:
        rows = connection.execute(
            """
            select outcome, count(*)
            from ops.quality_result
            where boundary = $1 and subject_id = (
                select max_by(subject_id, judged_at) from ops.quality_result where boundary = $1
            )
            group by outcome
            """,
            [boundary],
        ).fetchall()
    return {"passed": 0, "failed": 0, "errored": 0, **dict(rows)}


def require_sound_seeds(settings: Settings, known_at: datetime | None) -> None:
    """Refuse seeds with errors before anything is started; a past moment has those that it had.

    Raises SettingsError for a KPI catalogue with errors, and for holidays that no seed has.
    """
    from kpimart.catalogue import require_sound
    from kpimart.holidays import holiday_years

    if known_at is None:
        require_sound(settings)
        holiday_years(settings)


def _fetch_and_land(
    settings: Settings,
    *,
    source: str | None,
    objects: Sequence[str] | None = None,
    files: Path | None,
    clock: Clock,
    tell: Tell,
) -> "list[LandedBatch]":
    from kpimart.extract.landing import held_batches as held_in

    with open_warehouse(settings.home) as connection:
        held = held_in(connection)
    for name in [source] if source else settings.sources:
        tell(f"fetching {name}")
        fetch(settings, name, objects=objects, files=files, held=held, clock=clock, tell=tell)
    return _land(settings, clock=clock, tell=tell)


def _land(settings: Settings, *, clock: Clock, tell: Tell) -> "list[LandedBatch]":
    from kpimart.extract.landing import land as land_packages

    with open_warehouse(settings.home) as connection:
        tell("landing")
        return land_packages(connection, settings, clock=clock)


def _judge_landed(
    settings: Settings, landed: "list[LandedBatch]", judge: Judge, *, as_of: datetime | None, clock: Clock, tell: Tell
) -> Extraction:
    """Judge every batch that has no verdict yet, those of a run that broke off included.

    as_of: the moment that will be built for, if it is known already.
    """
    from kpimart.extract.landing import judge as pass_verdict
    from kpimart.extract.landing import pending_batches, prepare_pending_views

    with open_warehouse(settings.home) as connection:
        pending = pending_batches(connection)
        if not pending:
            return Extraction(tuple(landed), None)
        prepare_pending_views(connection)
    tell("raw gate")
    until = min(clock(), as_of or building.configured_moment(settings) or clock())
    verdict = judge.judge_raw(settings.home, raw_parameters(settings, until))
    reason = None if verdict.is_open else explain(verdict, named(pending))
    with open_warehouse(settings.home) as connection:
        for batch_id in pending:
            record(connection, batch_id, verdict, clock)
        pass_verdict(connection, pending, "accepted" if verdict.is_open else "held", reason, clock)
        quarantined = _quarantined(connection, pending)
    if reason:
        raise GateRefused("\n".join([reason, *(f"  {line}" for line in quarantined)]))
    return Extraction(tuple(landed), verdict, quarantined)


def _parse_live(settings: Settings) -> "Manifest":
    building.write_live_project(settings)
    return parse_dbt(building.live_transformation(settings))


def _build(
    settings: Settings,
    *,
    as_of: datetime | None,
    known_at: datetime | None,
    full_refresh: bool,
    clock: Clock,
    tell: Tell,
    manifest: "Manifest | None" = None,
) -> Build:
    made = building.begin(settings, as_of=as_of, known_at=known_at, clock=clock)
    return building.make(
        settings,
        made,
        full_refresh=full_refresh,
        manifest=manifest if building.is_live(made) else None,
        clock=clock,
        tell=tell,
        note=lambda run: tell(f"building {run.name}"),
    )


def _validate(settings: Settings, made: Build, judge: Judge, *, clock: Clock, tell: Tell) -> Verdict:
    from kpimart.extract.packages import deals_in_raw
    from kpimart.publish.shelf import Shelf

    tell("reporting gate")
    tables = {table.name: table.relation for table in BUILT if table.relation}
    earlier = Shelf(settings.home).last_before(made.as_of, made.known_at)
    documents = _documents_of(settings, made)
    verdict = judge.judge_reporting(
        made.database,
        tables,
        reporting_parameters(settings, made.as_of),
        Compared(
            deals_in_raw(_decisions(settings.home)),
            settings.home / WAREHOUSE_FILE,
            made.as_of,
            made.known_at,
            earlier,
        ),
        documents,
    )
    with open_warehouse(settings.home) as connection:
        record(connection, made.build_id, verdict, clock)
    if not verdict.is_open:
        raise GateRefused(f"{explain(verdict, made.build_id)}\n  all of it {documents / 'index.html'}")
    return verdict


def _documents_of(settings: Settings, made: Build) -> Path:
    """Where the Data Docs of a judgement lie until the build is published."""
    return settings.home / "scratch" / f"{made.build_id}.docs"


def _decisions(home: Path) -> dict[str, Any]:
    """The settings of the builds that are made now, as raw has them: validate may be told others."""
    with open_warehouse(home) as connection:
        ((payload,),) = connection.execute(
            f"select max_by(payload, landed_at) from {raw_table('kpimart', 'setting')} where id = 'company'"
        ).fetchall()
    decisions: dict[str, Any] = json.loads(payload)
    return decisions


def _record_override(
    connection: duckdb.DuckDBPyConnection,
    boundary: Boundary,
    subject_ids: Sequence[str],
    override: Override,
    clock: Clock,
) -> None:
    """Record as raw, a record a batch or build, that somebody lets through what its last verdict refused.

    Of batches that were held together, some may have nothing in them that was refused.
    """
    from kpimart.extract.landing import record_decision

    verdicts = {subject_id: read_verdict(connection, subject_id, boundary) for subject_id in subject_ids}
    refused = {subject_id: verdict for subject_id, verdict in verdicts.items() if not verdict.is_open}
    if not refused:
        raise SettingsError(f"the gate did not refuse {', '.join(subject_ids)}; there is nothing to override")
    for subject_id, verdict in refused.items():
        if not verdict.results:
            raise GateRefused(f"{explain(verdict, subject_id)} It cannot be overridden before it is judged.")
    payloads = {
        f"{boundary}:{subject_id}": payload_of(subject_id, verdict, override) for subject_id, verdict in refused.items()
    }
    record_decision(connection, OVERRIDE, payloads, clock)


def _publish(settings: Settings, made: Build, *, clock: Clock, tell: Tell, make_current: bool) -> "Release":
    from kpimart.publish.release import publish as publish_build
    from kpimart.publish.retention import remove_outlived

    documents = _documents_of(settings, made)
    release = publish_build(
        made,
        settings.home,
        clock=clock,
        make_current=make_current,
        documents=documents if documents.exists() else None,
        tell=lambda table: tell(f"publishing {table}"),
    )
    # Those of earlier builds, which were refused, are of no use to anybody any more.
    for folder in documents.parent.glob("*.docs"):
        if folder.name <= documents.name:
            shutil.rmtree(folder, ignore_errors=True)
    if not building.is_live(made):
        building.remove_scratch(made)
    remove_outlived(settings.home, settings.retention, settings.zone, tell)
    return release


def _serve_targets(settings: Settings, release: "Release", *, clock: Clock, tell: Tell) -> None:
    """Let the configured targets serve what is served from disk."""
    if settings.postgres.url and release.is_current:
        export_postgres(settings, clock=clock, tell=tell)


def _quarantined(connection: duckdb.DuckDBPyConnection, batch_ids: list[str]) -> tuple[str, ...]:
    """What was set aside in some batches, a few of each reason, in the order of the rows, for a message."""
    rows = connection.execute(
        """
        select object, place, reason
        from ops.quarantine
        where list_contains(?, batch_id)
        qualify
            row_number() over (partition by object, split_part(reason, ':', 1) order by length(place), place) <= 3
        order by object, length(place), place
        limit 12
        """,
        [batch_ids],
    ).fetchall()
    return tuple(f"{name}, {place}: {reason}" for name, place, reason in rows)


@contextmanager
def _timed(steps: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    steps[name] = round(time.perf_counter() - started, 3)
