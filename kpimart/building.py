"""Building: from what was accepted to all tables, at two moments; at once, or layer by layer in processes of their own.

A build is begun first: it gets a name, its moments and its place, and is on record as not finished. Where it is made:
in the warehouse, which only moves forward, or in a scratch file of its own. What its models read is then the same
however often a layer is run again. The caller holds `warehouse.writer_lock`.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kpimart.build import Build
from kpimart.clock import Clock
from kpimart.errors import BuildFailed, KpiMartError, SettingsError, StorageFailed
from kpimart.frozen import gather
from kpimart.layers import LAYERS
from kpimart.paths import DBT_PROJECT, SEEDS
from kpimart.seeds import seed_texts, with_later_columns
from kpimart.settings import Settings
from kpimart.transform import NodeRun, Transformation, recipe_of, run_dbt
from kpimart.warehouse import (
    RAW_COLUMNS,
    WAREHOUSE_FILE,
    literal,
    open_database,
    open_warehouse,
    raw_table,
    storage_errors,
    transaction,
)

if TYPE_CHECKING:
    from kpimart.transform import Manifest

Tell = Callable[[str], None]


def begin(
    settings: Settings, *, as_of: datetime | None, known_at: datetime | None, is_apart: bool = False, clock: Clock
) -> Build:
    """Put a build on record, with nothing in it yet.

    as_of, known_at: as in `pipeline.build`. is_apart: make it in a file of its own, whatever moment it speaks of.
    Raises SettingsError for moments that nothing is known of.
    """
    from kpimart.extract.landing import record_decisions

    recipe = recipe_of(DBT_PROJECT, settings.decisions())
    with open_warehouse(settings.home) as connection:
        started_at = _next_start(connection, clock)
        if known_at is None:
            record_decisions(connection, settings, SEEDS, clock)
        # A clock that jumped back must not hide what was accepted before it did, nor make a night less than the last.
        last_verdict = _scalar(connection, "select max(judged_at) from ops.batch_verdict")
        last_build = _scalar(connection, "select max(known_at) from ops.build")
        known_by = known_at or max(filter(None, (clock(), last_verdict, last_build)))
        require_known(connection, known_by)
        ensure_raw_tables(connection, settings)
        moment = as_of or configured_moment(settings) or known_by
        is_apart = is_apart or known_at is not None
        build_id, place = place_of(connection, started_at, moment, is_apart=is_apart)
        made = Build(build_id, moment.astimezone(UTC), known_by, settings.home / place)
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, null, ?)",
            [made.build_id, made.as_of, made.known_at, started_at, place],
        )
        connection.execute("insert into ops.recipe values (?, ?)", [made.build_id, recipe])
    if is_live(made):
        write_live_project(settings)
    else:
        prepare_scratch(settings, made)
    return made


def make(
    settings: Settings,
    made: Build,
    *,
    layer: str | None = None,
    full_refresh: bool = False,
    manifest: "Manifest | None" = None,
    clock: Clock,
    tell: Tell,
    note: Callable[[NodeRun], None],
) -> Build:
    """Make the tables of a build that was begun: all, or those of one layer of `layers.LAYERS`.

    The layers are made in their order; the last one finishes the build. Making one again makes those after it out of
    date, so the build is not finished until the last one is made again too. note: called with each model, seed and
    test that was run; they are put on record in `ops.model_run`, whether all went well or not.
    Raises BuildFailed, also where models or settings are others than those that the build was begun with.
    """
    recipe = recipe_of(DBT_PROJECT, settings.decisions())
    with open_warehouse(settings.home) as connection:
        begun_with = _scalar(connection, f"select recipe from ops.recipe where build_id = '{made.build_id}'")
        if begun_with != recipe:
            raise BuildFailed(
                f"build {made.build_id} was begun with other models or settings than there are now; begin another"
            )
        connection.execute("update ops.build set finished_at = null where build_id = ?", [made.build_id])
        is_other = is_live(made) and _is_made_otherwise(connection, recipe)
    if is_other:
        tell("models or settings are others than the last build's: deriving every deal anew")
    runs: list[NodeRun] = []

    def take(run: NodeRun) -> None:
        runs.append(run)
        note(run)

    try:
        if layer in (None, LAYERS[0]):
            gather(settings.home, made, tell)
        warnings = run_dbt(
            transformation_of(settings, made),
            take,
            manifest,
            layer=layer,
            full_refresh=is_live(made) and (full_refresh or is_other),
        )
        if layer in (None, LAYERS[-1]):
            _take_statistics(made, tell)
    except KpiMartError:
        # A disk that is full takes no record either; what filled it is to be told.
        with suppress(StorageFailed):
            _record_runs(settings.home, made, runs)
        raise
    _record_runs(settings.home, made, runs)
    if layer in (None, LAYERS[-1]):
        with open_warehouse(settings.home) as connection:
            connection.execute("update ops.build set finished_at = ? where build_id = ?", [clock(), made.build_id])
    return replace(made, warnings=warnings)


def make_again(settings: Settings, made: Build, tell: Tell) -> None:
    """Make the tables of a build that is on record elsewhere, in a file of its own; raises BuildFailed."""
    prepare_scratch(settings, made)
    gather(settings.home, made, tell)
    run_dbt(transformation_of(settings, made), lambda run: tell(f"building {run.name}"))
    _take_statistics(made, tell)


def _take_statistics(made: Build, tell: Tell) -> None:
    """Write the tables that are computed from the models of a build, which are all made."""
    # Its libraries take seconds to import; who only looks at figures must not wait for them.
    from kpimart.insight.statistics.steps import take_all

    take_all(made.database, tell)


def finished(settings: Settings, build_id: str | None) -> Build:
    """A build that came to its end, by default the last one; raises SettingsError and BuildFailed."""
    made, is_finished = _on_record(settings, build_id)
    if not is_finished:
        raise BuildFailed(f"build {made.build_id} did not finish; run kpimart build again")
    return made


def begun(settings: Settings, build_id: str) -> Build:
    """A build that was begun and is still in its place; raises SettingsError and BuildFailed."""
    made, _ = _on_record(settings, build_id)
    require_there(settings, made)
    return made


def _on_record(settings: Settings, build_id: str | None) -> tuple[Build, bool]:
    which = "build_id = ?" if build_id else "build_id = (select max_by(build_id, started_at) from ops.build)"
    with open_warehouse(settings.home) as connection:
        row = connection.execute(
            f"select build_id, as_of, known_at, database_path, finished_at is not null from ops.build where {which}",
            [build_id] if build_id else [],
        ).fetchone()
    if row is None:
        raise SettingsError(f"there is no build {build_id}" if build_id else "nothing was built yet; run kpimart build")
    return Build(row[0], row[1], row[2], settings.home / row[3]), row[4]


def require_there(settings: Settings, made: Build) -> None:
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


def configured_moment(settings: Settings) -> datetime | None:
    """The moment of the setting `as_of`."""
    return settings.moment(settings.as_of) if settings.as_of else None


def require_known(connection: duckdb.DuckDBPyConnection, known_at: datetime) -> None:
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


def ensure_raw_tables(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Staging reads every object of a source, also those that this company's does not have."""
    from kpimart.extract.packages import object_names

    for source in settings.sources:
        for name in object_names(source):
            connection.execute(f"create table if not exists {raw_table(source, name)} ({RAW_COLUMNS})")


def place_of(
    connection: duckdb.DuckDBPyConnection, started_at: datetime, as_of: datetime, *, is_apart: bool
) -> tuple[str, str]:
    """Name and file of a build, relative to home: the warehouse only moves forward, an earlier moment gets its own."""
    last = _scalar(
        connection,
        f"select max(as_of) from ops.build where finished_at is not null and database_path = '{WAREHOUSE_FILE}'",
    )
    stamp = f"{started_at:%Y%m%dT%H%M%SZ}"
    same = _scalar(connection, f"select count(*) from ops.build where starts_with(build_id, '{stamp}')")
    build_id = f"{stamp}-{same + 1}" if same else stamp
    return build_id, (f"scratch/{build_id}.duckdb" if is_apart or (last and as_of < last) else WAREHOUSE_FILE)


def transformation_of(settings: Settings, made: Build) -> Transformation:
    """What dbt works on for a build that was begun."""
    if is_live(made):
        return live_transformation(settings)
    return Transformation(
        made.database,
        settings.home / "dbt",
        settings.sources,
        raw_database=settings.home / WAREHOUSE_FILE,
        project=_scratch_project(made),
    )


def live_transformation(settings: Settings) -> Transformation:
    """What dbt works on for a build in the warehouse."""
    folder = settings.home / "dbt"
    return Transformation(settings.home / WAREHOUSE_FILE, folder, settings.sources, project=folder / "project")


def write_live_project(settings: Settings) -> None:
    """The dbt project of a build in the warehouse, over the seeds of now."""
    _write_project(live_transformation(settings).project, settings, seed_texts(settings.seeds))


def is_live(made: Build) -> bool:
    """Whether a build is made in the warehouse."""
    return made.database.name == WAREHOUSE_FILE


def prepare_scratch(settings: Settings, made: Build) -> None:
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
    recorded = {name: with_later_columns(name, json.loads(payload)["content"]) for name, payload in seeds}
    _write_project(_scratch_project(made), settings, recorded)


def remove_scratch(made: Build) -> None:
    """Remove the file of a build that was made apart, and its project."""
    made.database.unlink(missing_ok=True)
    shutil.rmtree(_scratch_project(made), ignore_errors=True)


def _scratch_project(made: Build) -> Path:
    return made.database.with_suffix(".project")


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


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _record_runs(home: Path, made: Build, runs: Sequence[NodeRun]) -> None:
    with open_warehouse(home) as connection, transaction(connection):
        for run in runs:
            connection.execute(
                "insert into ops.model_run values (?, ?, ?, ?, ?, ?, ?)",
                [made.build_id, run.name, run.kind, run.status, run.started_at, run.seconds, run.message],
            )
