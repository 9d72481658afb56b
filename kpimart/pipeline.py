"""The steps of a run, for the command line and the scheduler alike: extract, build, validate, publish.

Each step can be run alone, in a process of its own, and again: it takes up what the one before it left complete. One
process writes at a time; `run` holds that place from its first step to its last.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kpimart.build import Build
from kpimart.clock import Clock, utc_now
from kpimart.errors import BuildFailed, GateRefused, SettingsError
from kpimart.paths import DBT_PROJECT, SEEDS
from kpimart.publish.contract import BUILT
from kpimart.quality.gate import Judge
from kpimart.quality.override import OBJECT as OVERRIDE
from kpimart.quality.override import Override, payload_of
from kpimart.quality.parameters import raw_parameters, reporting_parameters
from kpimart.quality.protocol import Compared
from kpimart.quality.verdict import Boundary, Verdict, explain, named, read_verdict, record
from kpimart.seeds import seed_texts
from kpimart.settings import Settings
from kpimart.transform import Transformation, parse_dbt, recipe_of, run_dbt
from kpimart.warehouse import (
    RAW_COLUMNS,
    WAREHOUSE_FILE,
    literal,
    open_database,
    open_warehouse,
    raw_table,
    storage_errors,
    transaction,
    writer_lock,
)

if TYPE_CHECKING:
    from kpimart.extract.landing import LandedBatch
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
    _require_sound_seeds(settings, known_at)
    with writer_lock(settings.home), Judge() as judge:
        with _timed(steps, "extract"):
            landed = _fetch_and_land(settings, source=source, files=files, clock=clock, tell=tell)
        # Meanwhile the judge's process gets ready; the raw gate would have to wait for it.
        with _timed(steps, "parse"):
            tell("reading the models")
            manifest = None if known_at else parse_dbt(_live(settings))
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
    files: Path | None = None,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> Extraction:
    """Fetch every source (or one), land what was fetched, and let the raw gate judge it.

    files: the folder of the `files` source, instead of the configured one.
    Raises SourceUnreachable, BadSourceData, and GateRefused when the batch is held; what was accepted before stays.
    """
    with writer_lock(settings.home), Judge() as judge:
        landed = _fetch_and_land(settings, source=source, files=files, clock=clock, tell=tell)
        return _judge_landed(settings, landed, judge, as_of=None, clock=clock, tell=tell)


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
    _require_sound_seeds(settings, known_at)
    with writer_lock(settings.home):
        return _build(settings, as_of=as_of, known_at=known_at, full_refresh=full_refresh, clock=clock, tell=tell)


def validate(
    settings: Settings, build_id: str | None = None, *, clock: Clock = utc_now, tell: Tell = silently
) -> Verdict:
    """Let the reporting gate judge a build (default: the last one); raises GateRefused with what it found."""
    with writer_lock(settings.home), Judge() as judge:
        made = _finished_build(settings, build_id)
        _require_there(settings, made)
        return _validate(settings, made, judge, clock=clock, tell=tell)


def publish(
    settings: Settings,
    build_id: str | None = None,
    *,
    override: Override | None = None,
    make_current: bool = False,
    clock: Clock = utc_now,
    tell: Tell = silently,
) -> "Release":
    """Make a release of a build (default: the last one) that passed its gate, and let PostgreSQL serve it too.

    Raises GateRefused if it did not pass, and what `export_postgres` raises, when the release is served from disk.
    override: publish it although its gate refused it; raises SettingsError if it did not refuse it.
    """
    from kpimart.publish.shelf import Shelf

    with writer_lock(settings.home):
        made = _finished_build(settings, build_id)
        # What is published already is not taken from the database again.
        if not Shelf(settings.home).folder(made.build_id).exists():
            _require_there(settings, made)
            if override:
                with open_warehouse(settings.home) as connection, transaction(connection):
                    _record_override(connection, "reporting", [made.build_id], override, clock)
        release = _publish(settings, made, clock=clock, tell=tell, make_current=make_current)
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
            _require_known(connection, made.known_at)
            _ensure_raw_tables(connection, settings)
        try:
            tell("counting raw")
            batches = recount_batches(settings.home, found.manifest)
            transformation = _prepare_scratch(settings, made)
            run_dbt(transformation, lambda node, _: tell(f"building {node}"))
            return replace(found, rebuilt=compare(release.database, made.database, tell), changed_batches=batches)
        finally:
            _remove_scratch(made)


def _require_sound_seeds(settings: Settings, known_at: datetime | None) -> None:
    """Before anything is started; a past moment has the catalogue and the holidays that it had."""
    from kpimart.catalogue import require_sound
    from kpimart.holidays import holiday_years

    if known_at is None:
        require_sound(settings)
        holiday_years(settings)


def _fetch_and_land(
    settings: Settings, *, source: str | None, files: Path | None, clock: Clock, tell: Tell
) -> "list[LandedBatch]":
    from kpimart.extract.landing import held_batches, land
    from kpimart.extract.packages import fetch
    from kpimart.extract.progress import FetchProgress

    with open_warehouse(settings.home) as connection:
        held = held_batches(connection)
    for name in [source] if source else settings.sources:
        tell(f"fetching {name}")
        fetch(settings, name, folder=files, clock=clock, held=held, progress=FetchProgress(name, tell))
    with open_warehouse(settings.home) as connection:
        tell("landing")
        return land(connection, settings, clock=clock)


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
    until = min(clock(), as_of or _configured_moment(settings) or clock())
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
    from kpimart.extract.landing import record_decisions

    recipe = recipe_of(DBT_PROJECT, settings.decisions())
    with open_warehouse(settings.home) as connection:
        started_at = _next_start(connection, clock)
        if known_at is None:
            record_decisions(connection, settings, SEEDS, clock)
        # A clock that jumped back must not hide what was accepted before it did.
        last_verdict = _scalar(connection, "select max(judged_at) from ops.batch_verdict")
        known_by = known_at or max(filter(None, (clock(), last_verdict)))
        _require_known(connection, known_by)
        _ensure_raw_tables(connection, settings)
        moment = as_of or _configured_moment(settings) or known_by
        build_id, place = _place_of(connection, started_at, moment, is_past=known_at is not None)
        made = Build(build_id, moment.astimezone(UTC), known_by, settings.home / place)
        is_other = _is_made_otherwise(connection, recipe)
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, null, ?)",
            [made.build_id, made.as_of, made.known_at, started_at, place],
        )
        connection.execute("insert into ops.recipe values (?, ?)", [made.build_id, recipe])
    if _is_live(made):
        transformation = _live(settings)
        if is_other:
            tell("models or settings are others than the last build's: deriving every deal anew")
    else:
        tell("preparing a scratch database")
        transformation, manifest = _prepare_scratch(settings, made), None
    warnings = run_dbt(
        transformation,
        lambda node, _: tell(f"building {node}"),
        manifest,
        full_refresh=_is_live(made) and (full_refresh or is_other),
    )
    with open_warehouse(settings.home) as connection:
        connection.execute("update ops.build set finished_at = ? where build_id = ?", [clock(), made.build_id])
    return replace(made, warnings=warnings)


def _configured_moment(settings: Settings) -> datetime | None:
    return settings.moment(settings.as_of) if settings.as_of else None


def _next_start(connection: duckdb.DuckDBPyConnection, clock: Clock) -> datetime:
    """Now, and after the start of every build so far, whatever the clock says: the last one is the one being made."""
    now, last = clock(), _scalar(connection, "select max(started_at) from ops.build")
    return max(now, last + timedelta(microseconds=1)) if last else now


def _is_made_otherwise(connection: duckdb.DuckDBPyConnection, recipe: str) -> bool:
    """Whether some table of the warehouse may be of another recipe: the last finished build's, or one begun since."""
    return bool(
        _scalar(
            connection,
            f"""
            with live as (
                select build.*, recipe.recipe
                from ops.build as build
                left join ops.recipe as recipe using (build_id)
                where build.database_path = '{WAREHOUSE_FILE}'
            )

            select count(*)
            from live
            where
                started_at >= coalesce((select max(started_at) from live where finished_at is not null), '-infinity')
                and recipe is distinct from '{recipe}'
            """,
        )
    )


def _validate(settings: Settings, made: Build, judge: Judge, *, clock: Clock, tell: Tell) -> Verdict:
    from kpimart.publish.shelf import Shelf

    tell("reporting gate")
    tables = {table.name: table.relation for table in BUILT if table.relation}
    earlier = Shelf(settings.home).last_before(made.as_of, made.known_at)
    documents = _documents_of(settings, made)
    verdict = judge.judge_reporting(
        made.database,
        tables,
        reporting_parameters(settings, made.as_of),
        Compared(_sources_built(settings.home), made.as_of, earlier),
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


def _sources_built(home: Path) -> tuple[str, ...]:
    """The sources of the builds that are made now, by the settings that raw has: validate may be told others."""
    with open_warehouse(home) as connection:
        rows = connection.execute(
            f"""
            select unnest(cast(payload -> 'sources' as varchar[]))
            from {raw_table("kpimart", "setting")}
            where id = 'company'
            qualify landed_at = max(landed_at) over ()
            """
        ).fetchall()
    return tuple(source for (source,) in rows)


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
    if not _is_live(made):
        _remove_scratch(made)
    remove_outlived(settings.home, settings.retention, settings.zone, tell)
    return release


def _remove_scratch(made: Build) -> None:
    made.database.unlink(missing_ok=True)
    shutil.rmtree(made.database.with_suffix(".project"), ignore_errors=True)


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


def _require_known(connection: duckdb.DuckDBPyConnection, known_at: datetime) -> None:
    """Refuse a moment at which no data, or no seeds, had been accepted, instead of building empty figures."""
    data, seeds = connection.execute(
        """
        select
            min(verdict.judged_at) filter (where batch.source <> 'kpimart'),
            min(verdict.judged_at) filter (
                where batch_id in (select batch_id from ops.batch_object where source = 'kpimart' and object = 'seed')
            )
        from ops.batch_verdict as verdict
        inner join ops.batch as batch using (batch_id)
        where verdict.verdict = 'accepted'
        """
    ).fetchall()[0]
    if data is None:
        raise SettingsError("nothing has been extracted yet; run kpimart extract first")
    if seeds is None:
        raise SettingsError("seeds are recorded by the first build without --known-at; run that one first")
    first = max(data, seeds)
    if known_at < first:
        raise SettingsError(
            f"nothing was known at {known_at:%Y-%m-%d %H:%M:%S %Z}: the first data and seeds were there at "
            f"{first:%Y-%m-%d %H:%M:%S %Z}; give a later --known-at"
        )


def _ensure_raw_tables(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Staging reads every object of a source, also those that this company's does not have."""
    from kpimart.extract.packages import object_names

    for source in settings.sources:
        for name in object_names(source):
            connection.execute(f"create table if not exists {raw_table(source, name)} ({RAW_COLUMNS})")


def _place_of(
    connection: duckdb.DuckDBPyConnection, started_at: datetime, as_of: datetime, *, is_past: bool
) -> tuple[str, str]:
    """Name and file of a build, relative to home: the warehouse only moves forward, an earlier moment gets its own."""
    last = _scalar(
        connection,
        f"select max(as_of) from ops.build where finished_at is not null and database_path = '{WAREHOUSE_FILE}'",
    )
    stamp = f"{started_at:%Y%m%dT%H%M%SZ}"
    same = _scalar(connection, f"select count(*) from ops.build where starts_with(build_id, '{stamp}')")
    build_id = f"{stamp}-{same + 1}" if same else stamp
    return build_id, (f"scratch/{build_id}.duckdb" if is_past or (last and as_of < last) else WAREHOUSE_FILE)


def _live(settings: Settings) -> Transformation:
    folder = settings.home / "dbt"
    project = folder / "project"
    _write_project(project, settings, seed_texts(settings.seeds))
    return Transformation(settings.home / WAREHOUSE_FILE, folder, settings.sources, project=project)


def _is_live(made: Build) -> bool:
    return made.database.name == WAREHOUSE_FILE


def _prepare_scratch(settings: Settings, made: Build) -> Transformation:
    """An empty file for a build of an earlier moment, in which raw is what was accepted by `known_at`."""
    live = settings.home / WAREHOUSE_FILE
    with storage_errors(f"preparing {made.database}"):
        made.database.parent.mkdir(parents=True, exist_ok=True)
        made.database.unlink(missing_ok=True)
    with open_database(made.database, read_only=False) as connection:
        connection.execute(f"attach {literal(live)} as live (read_only)")
        connection.execute("create schema raw; create schema ops")
        connection.execute(
            f"""
            create table ops.batch_verdict as
            select * from live.ops.batch_verdict
            where verdict = 'accepted' and judged_at <= timestamptz '{made.known_at.isoformat()}'
            """
        )
        connection.execute("create table ops.build as select * from live.ops.build limit 0")
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, null, ?)",
            [made.build_id, made.as_of, made.known_at, made.known_at, made.database.name],
        )
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'live' and schema_name = 'raw'"
        ).fetchall()
        for (name,) in tables:
            connection.execute(
                f"""
                create view raw.{name} as
                select * from live.raw.{name}
                where batch_id in (select batch_id from ops.batch_verdict)
                """
            )
        seeds = connection.execute(
            """
            select id, payload
            from raw.kpimart__seed
            qualify row_number() over (partition by id order by landed_at desc) = 1 and not is_deleted
            """
        ).fetchall()
    project = made.database.with_suffix(".project")
    _write_project(project, settings, {name: json.loads(payload)["content"] for name, payload in seeds})
    return Transformation(made.database, settings.home / "dbt", settings.sources, raw_database=live, project=project)


def _write_project(project: Path, settings: Settings, seeds: Mapping[str, str]) -> None:
    """The dbt project, without the CRMs that are not read, over these seeds.

    A seed that was not there yet has its columns, and no rows. What is not there is not parsed: the staging of all CRMs
    takes dbt longer to read than everything else.
    """
    with storage_errors(f"writing {project}"):
        shutil.rmtree(project, ignore_errors=True)
        (project / "seeds").mkdir(parents=True)
        for name in ("dbt_project.yml", "macros", "tests"):
            (project / name).symlink_to((DBT_PROJECT / name).resolve())
        models = (DBT_PROJECT / "models").resolve()
        read = {"kpimart", *settings.sources}
        for path in models.rglob("*"):
            layer, *folders = path.relative_to(models).parts
            if path.is_file() and (layer != "staging" or folders[0] in read):
                # Files one by one: dbt follows no link to a folder within the folder of models.
                place = project / "models" / path.relative_to(models)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
        for path in SEEDS.glob("*.yml"):
            (project / "seeds" / path.name).symlink_to(path.resolve())
        columns = {path.name: path.read_text(encoding="utf-8").partition("\n")[0] for path in SEEDS.glob("*.csv")}
        for name, content in {**columns, **seeds}.items():
            (project / "seeds" / name).write_text(content, encoding="utf-8")


def _finished_build(settings: Settings, build_id: str | None) -> Build:
    which = "build_id = ?" if build_id else "build_id = (select max_by(build_id, started_at) from ops.build)"
    with open_warehouse(settings.home) as connection:
        row = connection.execute(
            f"select build_id, as_of, known_at, database_path, finished_at from ops.build where {which}",
            [build_id] if build_id else [],
        ).fetchone()
    if row is None:
        raise SettingsError(f"there is no build {build_id}" if build_id else "nothing was built yet; run kpimart build")
    if row[4] is None:
        raise BuildFailed(f"build {row[0]} did not finish; run kpimart build again")
    return Build(row[0], row[1], row[2], settings.home / row[3])


def _require_there(settings: Settings, made: Build) -> None:
    """Refuse a build in whose place there is another one by now, which would be judged or published under its name."""
    with open_warehouse(settings.home) as connection:
        later = connection.execute(
            """
            select later.build_id
            from ops.build as build
            inner join ops.build as later
                on build.database_path = later.database_path and build.started_at < later.started_at
            where build.build_id = ?
            order by later.started_at desc
            """,
            [made.build_id],
        ).fetchone()
    if later or not made.database.exists():
        why = f"build {later[0]} was made in its place" if later else f"{made.database} was removed"
        raise BuildFailed(f"build {made.build_id} is not there any more: {why}; run kpimart build again")


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


@contextmanager
def _timed(steps: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    steps[name] = round(time.perf_counter() - started, 3)
