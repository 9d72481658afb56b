"""The command line: reads options, calls the package, prints. Exit codes are those of `kpimart.errors`."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpimart import figures, pipeline, render, report
from kpimart.cli import insight
from kpimart.cli.shared import AsJson, Config, Lang, Level, Period, ReleaseId, show, show_json
from kpimart.clock import utc_now
from kpimart.errors import KpiMartError, SettingsError
from kpimart.quality.override import Override
from kpimart.quality.wording import readable
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import storage_errors

if TYPE_CHECKING:
    from kpimart.closing import Decision

app = typer.Typer(
    help="Sales KPIs from a CRM: extracted, modelled, judged, published.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
demo = typer.Typer(help="A small company that lives, to try everything on.", no_args_is_help=True)
app.add_typer(demo, name="demo")
kpi = typer.Typer()
kpi.add_typer(insight.commands)
app.add_typer(kpi, name="kpi")
releases = typer.Typer()
app.add_typer(releases, name="releases")
export = typer.Typer(help="Bring a release to where others work with it.", no_args_is_help=True)
app.add_typer(export, name="export")
imports = typer.Typer(help="Read back what people filled in.", no_args_is_help=True)
app.add_typer(imports, name="import")

Files = Annotated[Path | None, typer.Option("--files", help="Folder of the export, for the source 'files'.")]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.")]
Objects = Annotated[list[str] | None, typer.Option("--object", help="Only this object of the source; repeat it.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Count only what occurred before this date or time.")]
KnownAt = Annotated[str | None, typer.Option("--known-at", help="Read only what was accepted by this date or time.")]
FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Derive every deal anew, also those that nothing new is known of.")
]
BuildId = Annotated[str | None, typer.Argument(help="The build.", show_default="the last one")]


def main() -> None:
    """Run the command line; every expected failure ends in its message and its exit code."""
    try:
        app()
    except KpiMartError as error:
        print(f"kpimart: {readable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.command()
def run(
    config: Config = None,
    source: Source = None,
    files: Files = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    full_refresh: FullRefresh = False,
    as_json: AsJson = False,
) -> None:
    """Extract, build, validate and publish."""
    settings = load_settings(config)
    codes = figures.profile_kpis(settings.profile, settings.seeds)
    with _progress() as tell:
        done = pipeline.run(
            settings,
            source=source,
            files=files,
            as_of=_moment(settings, "--as-of", as_of),
            known_at=_moment(settings, "--known-at", known_at),
            full_refresh=full_refresh,
            tell=tell,
        )
    if as_json:
        show_json(
            {
                "batches": [dataclasses.asdict(batch) for batch in done.extraction.batches],
                "build": done.build.build_id,
                "warnings": done.build.warnings,
                "gate": report.gate_counts(done),
                "release": dataclasses.asdict(done.release),
                "steps": done.steps,
            }
        )
    else:
        show(*report.of_run(settings, done, codes))


@app.command()
def extract(
    config: Config = None,
    source: Source = None,
    objects: Objects = None,
    files: Files = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the sources, land what is new in raw, let the raw gate judge it."""
    settings = load_settings(config)
    with _progress() as tell:
        extraction = pipeline.extract(settings, source=source, objects=objects, files=files, tell=tell)
    if as_json:
        show_json([dataclasses.asdict(batch) for batch in extraction.batches])
    else:
        show(*report.of_batches(extraction))


@app.command()
def watch(
    config: Config = None,
    files: Files = None,
    settle: Annotated[
        float, typer.Option("--settle", min=0, help="For how many seconds no file may have changed.")
    ] = 10,
) -> None:
    """Run whenever a complete new export lies in its folder, until interrupted."""
    from kpimart.watching import watch as watch_folder

    settings = load_settings(config)
    codes = figures.profile_kpis(settings.profile, settings.seeds)

    def take() -> None:
        with _progress() as tell:
            done = pipeline.run(settings, source="files", files=files, tell=tell)
        show(*report.of_run(settings, done, codes))

    watch_folder(settings, files, take, settle_seconds=settle, say=show)


@app.command()
def build(
    config: Config = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    full_refresh: FullRefresh = False,
    as_json: AsJson = False,
) -> None:
    """Build the models from what was accepted."""
    settings = load_settings(config)
    with _progress() as tell:
        made = pipeline.build(
            settings,
            as_of=_moment(settings, "--as-of", as_of),
            known_at=_moment(settings, "--known-at", known_at),
            full_refresh=full_refresh,
            tell=tell,
        )
    if as_json:
        show_json(dataclasses.asdict(made))
    else:
        show(*report.of_warnings(made.warnings), f"build {made.build_id} is ready for its gate: kpimart validate")


@app.command()
def validate(build_id: BuildId = None, config: Config = None, as_json: AsJson = False) -> None:
    """Let the reporting gate judge a build."""
    with _progress() as tell:
        verdict = pipeline.validate(load_settings(config), build_id, tell=tell)
    if as_json:
        show_json([dataclasses.asdict(result) for result in verdict.results])
    else:
        show(*report.of_gate_warnings(verdict), f"{verdict.count('passed')} expectations passed: kpimart publish")


@app.command()
def publish(
    build_id: BuildId = None,
    config: Config = None,
    make_current: Annotated[
        bool, typer.Option("--make-current", help="Serve it even if its as_of is before the current one's.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--override", help="Why to publish it although the gate refused it.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who overrides the gate.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a release of a build that passed its gate."""
    override = None if reason is None and by is None else Override(by or "", reason or "")
    with _progress() as tell:
        release = pipeline.publish(
            load_settings(config), build_id, override=override, make_current=make_current, tell=tell
        )
    if as_json:
        show_json(dataclasses.asdict(release))
    else:
        show(report.of_release(release))


@app.command()
def accept(
    batch_id: Annotated[str | None, typer.Argument(help="The batch.", show_default="the last one held")] = None,
    by: Annotated[str, typer.Option("--by", help="Who overrides the gate.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Accept a batch that the raw gate held; the next build reads it."""
    accepted = pipeline.accept(load_settings(config), Override(by, reason), batch_id)
    if as_json:
        show_json(accepted)
    else:
        show(f"accepted: {', '.join(accepted)}", "build on it: kpimart run")


@kpi.callback(invoke_without_command=True)
def kpi_table(
    context: typer.Context,
    by: Annotated[Level, typer.Option("--by", help="Whose figures.")] = "department",
    period: Period = "month",
    codes: Annotated[
        list[str] | None, typer.Option("--kpi", help="A KPI's code; repeat it.", show_default="those of the profile")
    ] = None,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the figures of a period, with their change on the period before."""
    from kpimart.publish.release import find

    if context.invoked_subcommand:
        _refuse_options_before(context)
        return
    settings = load_settings(config)
    release = find(settings.home, release_id)
    chosen = codes or figures.profile_kpis(settings.profile, settings.seeds)
    found = figures.read_figures(release.database, level=by, period=period, kpi_codes=chosen, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(render.figures_table(found, by, lang))


@kpi.command()
def explain(
    code: Annotated[str, typer.Argument(help="The KPI's code.")],
    manager: Annotated[str | None, typer.Option("--manager", help="A manager's id or name.")] = None,
    department: Annotated[str | None, typer.Option("--department", help="A department's id or name.")] = None,
    period: Annotated[
        str, typer.Option("--period", help="A grain, for its last complete period, or a period, as in kpimart kpi.")
    ] = "month",
    list_all: Annotated[bool, typer.Option("--all", help="List every contribution.")] = False,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what a figure is made of: its formula, its measures, and what contributes how much."""
    from kpimart.explain import SHOWN_ROWS
    from kpimart.explain import explain as find_contributions
    from kpimart.publish.release import find

    release = find(load_settings(config).home, release_id)
    explained = find_contributions(
        release.database,
        code,
        period=period,
        manager=manager,
        department=department,
        language=lang,
        shown_rows=None if list_all else SHOWN_ROWS,
    )
    if as_json:
        show_json({**dataclasses.asdict(explained), "differences": explained.differences})
    else:
        show(*report.of_explanation(explained))
    if explained.differences:
        raise typer.Exit(KpiMartError.exit_code)


@kpi.command()
def simulate(
    profile: Annotated[str, typer.Option("--profile", help="The strategy profile to score by.")],
    period: Annotated[
        str,
        typer.Option("--period", help="month, quarter or year, for the last complete one, or 2026, 2026-Q3, 2026-04."),
    ] = "quarter",
    by: Annotated[Level, typer.Option("--by", help="Whose scorecards.")] = "manager",
    like_last_year: Annotated[
        bool, typer.Option("--like-last-year", help="Where there is no target, ask for the figure of the year before.")
    ] = False,
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Score a past period by another profile, beside what was published."""
    from kpimart.publish.release import find
    from kpimart.simulation import simulate as score_anew

    settings = load_settings(config)
    release = find(settings.home, release_id)
    simulation = score_anew(
        release.database,
        profile=profile,
        period=period,
        level=by,
        seeds=settings.seeds,
        like_last_year=like_last_year,
    )
    if as_json:
        show_json(dataclasses.asdict(simulation))
    else:
        show(*report.of_simulation(simulation, by))


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Say whether what is served is fresh and right, and how the last runs ended."""
    from kpimart.status import read_status

    settings = load_settings(config)
    now = read_status(settings.home, utc_now)
    if as_json:
        show_json({**dataclasses.asdict(now), "gate": now.gate.model_dump() if now.gate else None})
        return
    show(*report.of_status(settings, now))


@app.command()
def quarantine(config: Config = None, as_json: AsJson = False) -> None:
    """List the records that the last batches set aside, and why."""
    from kpimart.status import read_quarantine

    records = read_quarantine(load_settings(config).home)
    if as_json:
        show_json([dataclasses.asdict(record) for record in records])
    else:
        show(*report.of_quarantine(records))


@app.command()
def reconcile(config: Config = None, source: Source = None, as_json: AsJson = False) -> None:
    """Compare raw with the CRM's own counts and sums; explain what differs."""
    from kpimart.reconcile import reconcile as compare

    settings = load_settings(config)
    with _progress() as tell:
        compared = [
            compare(settings, name, clock=utc_now, tell=tell) for name in ([source] if source else settings.sources)
        ]
    if as_json:
        show_json([dataclasses.asdict(each) for each in compared])
    else:
        show(*(part for each in compared for part in report.of_reconciliation(each)))
    if any(each.unexplained for each in compared):
        raise typer.Exit(KpiMartError.exit_code)


@app.command()
def forget(
    record: Annotated[str, typer.Argument(help="The record, as <crm>:<object>:<id>, such as hubspot:contacts:501.")],
    by: Annotated[str, typer.Option("--by", help="Who decided it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further text that tells who it is; repeat it.")
    ] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person from all that is kept, and record that it was done."""
    from kpimart.extract.forgetting import parse_record
    from kpimart.forget import forget as erase
    from kpimart.forget import look

    settings, name, texts = load_settings(config), parse_record(record), tuple(also or ())
    if as_json and not is_sure:
        raise SettingsError("--json asks nobody; add --yes to erase, or leave it out to look first")
    if not is_sure:
        found = look(settings, name, texts)
        show(*report.of_finding(found))
        if found.is_done:
            return
        typer.confirm("Erase this for good?", abort=True)
    with _progress() as tell:
        finding = erase(settings, name, by=by, reason=reason, also=texts, clock=utc_now, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(finding))
    else:
        show(*report.of_finding(finding), f"{record} is forgotten")


@releases.callback(invoke_without_command=True)
def releases_table(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """List the releases that are kept, the last published first."""
    from kpimart.publish.release import damaged_releases
    from kpimart.publish.release import releases as all_releases

    if context.invoked_subcommand:
        _refuse_options_before(context)
        return
    settings = load_settings(config)
    listed = all_releases(settings.home)
    if as_json:
        show_json([{**dataclasses.asdict(release), "path": release.database} for release in listed])
        return
    show(*report.of_releases(settings, listed), *damaged_releases(settings.home).values())


@releases.command("diff")
def releases_diff(
    before: Annotated[str, typer.Argument(help="The release to compare with.")],
    after: Annotated[str | None, typer.Argument(help="The other one.", show_default="the current one")] = None,
    codes: Annotated[
        list[str] | None, typer.Option("--kpi", help="A KPI's code; repeat it.", show_default="all")
    ] = None,
    by: Annotated[Level | None, typer.Option("--by", help="Whose figures.", show_default="everybody's")] = None,
    list_all: Annotated[bool, typer.Option("--all", help="List every figure that changed.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show which figures changed between two releases, and because of what."""
    from kpimart.publish.diff import SHOWN_CELLS
    from kpimart.publish.diff import diff as compare
    from kpimart.publish.release import find

    home = load_settings(config).home
    found = compare(
        find(home, before),
        find(home, after),
        kpi_codes=codes or (),
        level=by,
        limit=None if list_all else SHOWN_CELLS,
    )
    if as_json:
        show_json({**dataclasses.asdict(found), "cell_count": found.cell_count})
    else:
        show(*report.of_difference(found))


@app.command()
def verify(
    release_id: Annotated[str | None, typer.Argument(help="The release.", show_default="the current one")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also build it again from raw, at its two moments, and compare all rows.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check that a release is what was published, down to every row."""
    with _progress() as tell:
        found = pipeline.verify(load_settings(config), release_id, rebuild=rebuild, tell=tell)
    if as_json:
        show_json(
            {
                "release": dataclasses.asdict(found.release),
                "chain": found.chain,
                "rebuilt": None if found.rebuilt is None else [dataclasses.asdict(each) for each in found.rebuilt],
                "changed_batches": found.changed_batches,
            }
        )
    else:
        show(*report.of_verification(found))
    if not found.is_right:
        raise typer.Exit(KpiMartError.exit_code)


@export.command("workbook")
def export_workbook(
    file: Annotated[Path, typer.Argument(help="The .xlsx to write.")],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="A published table; repeat it.", show_default="figures, scorecards, dimensions"),
    ] = None,
    release_id: ReleaseId = None,
    config: Config = None,
) -> None:
    """Write a release as an Excel workbook, a sheet a table."""
    from kpimart.publish.release import find, verify_release
    from kpimart.publish.workbook import export_workbook as write

    settings = load_settings(config)
    release = verify_release(settings.home, find(settings.home, release_id).release_id)
    with _progress() as tell:
        sheets = write(release, file, settings.zone, tables or (), tell)
    rows = sum(sheet.rows for sheet in sheets)
    show(f"release {release.release_id}: {len(sheets)} tables, {rows:,} rows in {file}")


@export.command("budget")
def export_budget(
    file: Annotated[Path, typer.Argument(help="The .xlsx to write.")],
    year: Annotated[int, typer.Option("--year", help="The year to plan: this one or the next, as 2027.")],
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the workbook that a year is planned in."""
    from kpimart.finance.budget_workbook import export_budget as write
    from kpimart.publish.release import find, verify_release
    from kpimart.report.budget import of_written

    settings = load_settings(config)
    release = verify_release(settings.home, find(settings.home, release_id).release_id)
    with _progress() as tell:
        done = write(release, file, year, settings.zone, lang, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*of_written(done))


@imports.command("budget")
def import_budget(
    file: Annotated[Path, typer.Argument(help="The filled-in .xlsx.")],
    by: Annotated[str, typer.Option("--by", help="Who decides these targets.")],
    note: Annotated[str, typer.Option("--note", help="Why, or which version it is.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make targets of a budget workbook: all that is typed in it, or nothing."""
    from kpimart.finance.budget_import import import_budget as read_back
    from kpimart.report.budget import of_imported

    settings = load_settings(config)
    done = read_back(settings, file, by=by, note=note)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*of_imported(settings, done))


@export.command("parquet")
def export_parquet(
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
    release_id: ReleaseId = None,
    config: Config = None,
) -> None:
    """Write a release as a folder of Parquet files, one a table."""
    from kpimart.publish.folder import export_parquet as write
    from kpimart.publish.release import find, verify_release

    home = load_settings(config).home
    release = verify_release(home, find(home, release_id).release_id)
    show(f"release {release.release_id}: {len(write(release, folder))} tables in {folder}")


@export.command("postgres")
def export_postgres(
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let PostgreSQL serve a release, to those whom the access file names."""
    with _progress() as tell:
        done = pipeline.export_postgres(load_settings(config), release_id, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*report.of_export(done))


@export.command("postgres-roles")
def export_postgres_roles() -> None:
    """Print the SQL by which an administrator prepares a PostgreSQL database."""
    from kpimart.publish.postgres.roles import ROLES_SQL

    print(ROLES_SQL, end="")


@app.command()
def rollback(
    release_id: Annotated[str | None, typer.Argument(help="The release.", show_default="the one before")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Serve another release, after its checksums were found right."""
    release = pipeline.rollback(load_settings(config), release_id)
    if as_json:
        show_json(dataclasses.asdict(release))
    else:
        show(report.of_release(release))


@app.command("close")
def close_month(
    month: Annotated[str, typer.Argument(help="The month, such as 2026-10; FY2026-P10 in a year of weeks.")],
    by: Annotated[str, typer.Option("--by", help="Who closes it.")],
    note: Annotated[str, typer.Option("--note", help="Why now, or what was looked at.")],
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Freeze a month's figures as a release has them."""
    from kpimart.closing import close

    settings = load_settings(config)
    decision = close(settings, month, by=by, note=note, release_id=release_id)
    _print_decision(settings, decision, as_json=as_json)


@app.command("reopen")
def reopen_month(
    month: Annotated[str, typer.Argument(help="The month, as kpimart closes lists it.")],
    by: Annotated[str, typer.Option("--by", help="Who reopens it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take back that a month is closed."""
    from kpimart.closing import reopen

    settings = load_settings(config)
    _print_decision(settings, reopen(settings, month, by=by, reason=reason), as_json=as_json)


@app.command()
def closes(config: Config = None, as_json: AsJson = False) -> None:
    """List which months were closed and reopened, by whom and why."""
    from kpimart.closing import decisions

    settings = load_settings(config)
    decided = decisions(settings.home)
    if as_json:
        show_json([dataclasses.asdict(decision) for decision in decided])
    else:
        show(*report.of_decisions(settings, decided))


@app.command()
def backup(
    place: Annotated[
        str | None,
        typer.Argument(
            help="A folder, or a URL such as s3://bucket/path, of this home's alone.",
            show_default="setting backup.place",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Keep so many backups there.", show_default="setting backup.keep, else all"),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Back up raw, the releases, settings and seeds, sending what is new."""
    from kpimart.backup import backup as save

    settings = load_settings(config)
    place = place or settings.backup.place
    if place is None:
        raise SettingsError("backup: expected a PLACE, or the setting backup.place, found neither")
    with _progress() as tell:
        done = save(settings, place, keep=keep or settings.backup.keep, clock=utc_now, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*report.of_backup(done))


@app.command()
def restore(
    place: Annotated[str, typer.Argument(help="The folder or URL of the backups.")],
    backup_id: Annotated[
        str | None, typer.Option("--backup", help="A backup there.", show_default="the last one")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is in the home aside, into its folder backups.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty home."""
    from kpimart.backup import restore as bring_back

    settings = load_settings(config)
    with _progress() as tell:
        done = bring_back(settings.home, place, backup_id, replace=replace, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*report.of_restoration(settings, done))


@app.command()
def upkeep(config: Config = None, as_json: AsJson = False) -> None:
    """Remove what the settings do not keep, and make the warehouse small."""
    from kpimart.upkeep import keep_up

    with _progress() as tell:
        done = keep_up(load_settings(config), clock=utc_now, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(done))
    else:
        show(*report.of_upkeep(done))


@app.command()
def upgrade(
    only_look: Annotated[
        bool, typer.Option("--check", help="Only tell; ends with 1 if there is something to do.")
    ] = False,
    place: Annotated[
        str | None,
        typer.Option("--backup", help="Back up to this folder or URL first.", show_default="setting backup.place"),
    ] = None,
    without_backup: Annotated[bool, typer.Option("--no-backup", help="Do it without a backup.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring an older program's warehouse to this one; tell what readers must know."""
    from kpimart.upgrade import look
    from kpimart.upgrade import upgrade as bring_up

    settings = load_settings(config)
    found = look(settings)
    if found.older and not only_look:
        place = place or (None if without_backup else settings.backup.place)
        if (place is None) != without_backup:
            raise SettingsError("give --backup PLACE to back up first, or --no-backup; --check only tells what is new")
        with _progress() as tell:
            found = bring_up(settings, place, clock=utc_now, tell=tell)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*report.of_upgrade(settings, found, is_done=bool(found.older) and not only_look))
    if found.older and only_look:
        raise typer.Exit(KpiMartError.exit_code)


@app.command()
def doctor(config: Config = None, files: Files = None, as_json: AsJson = False) -> None:
    """Check everything that a run needs, and say what is missing."""
    from kpimart.doctor import examine

    checks = examine(load_settings(config), files)
    if as_json:
        show_json([dataclasses.asdict(check) for check in checks])
    else:
        show(render.rows_table(("check", "", "found"), [dataclasses.astuple(check) for check in checks]))
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(KpiMartError.exit_code)


@app.command()
def dashboard(
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 is every one that this machine has.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = 8501,
    config: Config = None,
) -> None:
    """Serve web pages of what was published, until interrupted."""
    from kpimart.dashboard.serve import serve

    settings = load_settings(config)
    # A profile that is not there is told here, not to everybody who opens a page.
    figures.profile_kpis(settings.profile, settings.seeds)
    serve(settings, host, port, show)


@demo.command("export")
def demo_export(folder: Annotated[Path, typer.Argument(help="Where to write the files.")]) -> None:
    """Write the demo company's CRM as an export in NDJSON."""
    from kpimart.demo import export

    with storage_errors(f"writing the demo company into {folder}"):
        export(folder)
    show(f"the demo company's export lies in {folder}")


@demo.command("serve")
def demo_serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0: any.")] = 8765,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=["%Y-%m-%d"], help="The day on which the company stands.", show_default="2026-10-16"
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Let its days pass by themselves, up to today.")] = False,
    years: Annotated[int, typer.Option("--years", min=1, help="For how many years it has used its CRM by then.")] = 3,
    limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Whether to keep the CRMs' limits.")] = True,
) -> None:
    """Serve the demo company's CRM over HTTP, as several CRMs would, until interrupted."""
    from kpimart.demo import UNTIL
    from kpimart.demo.clock import years_before
    from kpimart.demo.server import Served, World
    from kpimart.demo.server.app import access, listening, run_until_interrupted

    day = until.date() if until else UNTIL
    with listening(port, host) as listener:
        world = World(until=day, opened_on=years_before(day, years))
        served = Served(world, limits=limits, live=live)
        show(render.rows_table(("api", "", ""), access(listener)))
        run_until_interrupted(served, listener)


@demo.command("run")
def demo_run(
    config: Config = None,
    nights: Annotated[int, typer.Option("--nights", min=1, help="How many nights, the first load included.")] = 2,
) -> None:
    """Serve the demo company on loopback and run the pipeline on it, night after night."""
    from kpimart.demo.nights import served_company

    settings = load_settings(config)
    codes = figures.profile_kpis(settings.profile, settings.seeds)
    with served_company(settings) as company:
        for number, night in enumerate(company.nights(nights), start=1):
            show(f"night {number} of {nights}, {night.astimezone(settings.zone):%Y-%m-%d %H:%M}")
            with _progress() as tell:
                done = pipeline.run(company.settings, as_of=night, tell=tell)
            told = report.of_run(settings, done, codes) if number == nights else report.of_batches(done.extraction)
            show(*told, "")


def _print_decision(settings: Settings, decision: "Decision", *, as_json: bool) -> None:
    if as_json:
        show_json(dataclasses.asdict(decision))
    else:
        show(*report.of_decision(settings, decision))


def _refuse_options_before(context: typer.Context) -> None:
    """An option that stands before the command would be read and forgotten."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            raise SettingsError(f"give {parameter.opts[0]} after {context.invoked_subcommand}, not before it")


def _moment(settings: Settings, option: str, text: str | None) -> datetime | None:
    """A date (its beginning in the business time zone) or a time, as an option gives it."""
    if text is None:
        return None
    try:
        is_day = len(text) == len("2018-01-01")
        return settings.moment(date.fromisoformat(text) if is_day else datetime.fromisoformat(text))
    except ValueError:
        expected = "a date or a time in ISO 8601, as 2018-01-01 or 2018-01-01T02:00"
        raise SettingsError(f"{option} {text!r}: give {expected}") from None


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """One line that says what is going on, for a person; a log gets none of it."""
    console = render.console(to_stderr=True)
    with console.status("starting") as line:
        yield line.update
