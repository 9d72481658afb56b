"""The commands of `kpimart kpi` that say what moved, why, and where it leaks."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import typer

from kpimart import figures
from kpimart.cli.shared import AsJson, Config, Lang, Level, Period, ReleaseId, show, show_json
from kpimart.errors import SettingsError
from kpimart.settings import load_settings

commands = typer.Typer()


@contextmanager
def _published(home: Path, release_id: str | None) -> Iterator[Path]:
    """The file of a release; raises SettingsError where it was published before it could have what is read of it."""
    from kpimart.publish.release import find

    release = find(home, release_id)
    try:
        yield release.database
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise SettingsError(
            f"release {release.release_id} is of an older contract: {str(error).splitlines()[0]}; publish one of this "
            "program with kpimart run, or name another with --release"
        ) from error


Kind = Literal["stage_conversion", "win_rate", "loss_reason", "stage_time"]


@commands.command("trend")
def trend(
    by: Annotated[Level, typer.Option("--by", help="Whose figures.")] = "company",
    period: Period = "month",
    codes: Annotated[
        list[str] | None, typer.Option("--kpi", help="A KPI's code; repeat it.", show_default="those of the profile")
    ] = None,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show how figures move: on the period before, on last year, over the years, and what stands out."""
    from kpimart.insight.trend import read_trends
    from kpimart.report.trend import of_trends

    settings = load_settings(config)
    chosen = codes or figures.profile_kpis(settings.profile, settings.seeds)
    with _published(settings.home, release_id) as database:
        found = read_trends(database, level=by, period=period, kpi_codes=chosen, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_trends(found, by, lang))


@commands.command("weak-spots")
def weak_spots(
    by: Annotated[Literal["manager", "department"], typer.Option("--by", help="Whose weak spots.")] = "manager",
    period: Annotated[
        str, typer.Option("--period", help="quarter or year, for the last complete one, or 2026, 2026-Q3.")
    ] = "year",
    kind: Annotated[Kind | None, typer.Option("--kind", help="One kind of weak spot.", show_default="all")] = None,
    list_all: Annotated[bool, typer.Option("--all", help="List every spot.")] = False,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show where somebody is worse than peers with the same mix of deals, and what that costs."""
    from kpimart.insight.weak_spot import KINDS, read_weak_spots
    from kpimart.report.weak_spot import SHOWN_ROWS, of_weak_spots

    with _published(load_settings(config).home, release_id) as database:
        found = read_weak_spots(database, level=by, period=period, kinds=(kind,) if kind else KINDS)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_weak_spots(found, by, lang, shown_rows=None if list_all else SHOWN_ROWS))


@commands.command("regularities")
def regularities(
    by: Annotated[Level, typer.Option("--by", help="Whose wins of the period.")] = "company",
    period: Annotated[
        str, typer.Option("--period", help="month or quarter, for the last complete one, or 2026-Q3, 2026-04.")
    ] = "quarter",
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what comes back: wins at the end of a period, cycles, early signs, seasons, purchases."""
    from kpimart.insight.regularity import read_regularities
    from kpimart.report.regularity import of_regularities

    with _published(load_settings(config).home, release_id) as database:
        found = read_regularities(database, level=by, period=period)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_regularities(found, by, lang))


@commands.command("waterfall")
def waterfall(
    by: Annotated[Level, typer.Option("--by", help="Whose pipeline.")] = "company",
    period: Period = "month",
    is_due: Annotated[
        bool, typer.Option("--due", help="Only deals expected to close by the end of the quarter, of a year: the year.")
    ] = False,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what moved the pipeline, from its opening to its closing."""
    from kpimart.insight.pipeline import read_waterfalls
    from kpimart.report.pipeline import of_waterfalls

    with _published(load_settings(config).home, release_id) as database:
        found = read_waterfalls(database, level=by, period=period, scope="due" if is_due else "open")
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_waterfalls(found, by, lang))


@commands.command("discipline")
def discipline(
    by: Annotated[Level, typer.Option("--by", help="Whose deals.")] = "company",
    period: Annotated[
        str,
        typer.Option("--period", help="month, quarter or year, for the last complete one, or 2017, 2017-Q2, 2017-04."),
    ] = "month",
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show how the CRM is kept, and how far KPIs would move if it were kept strictly."""
    from kpimart.insight.pipeline import read_discipline
    from kpimart.report.pipeline import of_discipline

    with _published(load_settings(config).home, release_id) as database:
        found = read_discipline(database, level=by, period=period, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_discipline(found, by, lang))


@commands.command("drivers")
def drivers(
    code: Annotated[str, typer.Argument(help="The KPI's code.")] = "won_amount",
    period: Annotated[
        str,
        typer.Option("--period", help="month, quarter or year, for the last complete one, or 2026, 2026-Q3, 2026-04."),
    ] = "month",
    compared_with: Annotated[
        str, typer.Option("--from", help="Another such period, or previous, last-year, plan.")
    ] = "previous",
    manager: Annotated[str | None, typer.Option("--manager", help="A manager's id or name.")] = None,
    department: Annotated[str | None, typer.Option("--department", help="A department's id or name.")] = None,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Split the change of a KPI between two periods, or against the plan, among what drove it."""
    from kpimart.insight.drivers import read_change
    from kpimart.report.drivers import of_change

    with _published(load_settings(config).home, release_id) as database:
        change = read_change(
            database,
            code,
            period=period,
            compared_with=compared_with,
            manager=manager,
            department=department,
            language=lang,
        )
    if as_json:
        show_json(dataclasses.asdict(change))
    else:
        show(*of_change(change, lang))


@commands.command("customers")
def customers(
    view: Annotated[
        Literal["base", "cohorts", "segments"],
        typer.Option("--view", help="Who came and went, who comes back, or which account is worth what."),
    ] = "base",
    by: Annotated[Level, typer.Option("--by", help="Whose customers.")] = "company",
    period: Annotated[
        str,
        typer.Option(
            "--period",
            help="month, quarter or year, for the last complete one, or 2026, 2026-Q3, 2026-04; cohorts up to it, "
            "segments always of the release's last day.",
        ),
    ] = "month",
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the customers of a period: who came, who went, who bought, who comes back."""
    from kpimart.insight.customers import read_base, read_cohorts, read_segments
    from kpimart.report import customers as report

    content: Any
    with _published(load_settings(config).home, release_id) as database:
        if view == "base":
            base = read_base(database, level=by, period=period)
            told, content = report.of_base(base, by, lang), dataclasses.asdict(base)
        elif view == "cohorts":
            cohorts = read_cohorts(database, level=by, period=period)
            told, content = report.of_cohorts(cohorts, by, lang), [dataclasses.asdict(each) for each in cohorts]
        else:
            segments = read_segments(database, level=by)
            told, content = report.of_segments(segments, by, lang), [dataclasses.asdict(each) for each in segments]
    if as_json:
        show_json(content)
    else:
        show(*told)


@commands.command("summary")
def summary(
    by: Annotated[Level, typer.Option("--by", help="About whom.")] = "company",
    period: Annotated[
        str,
        typer.Option("--period", help="month, quarter or year: the last complete one."),
    ] = "month",
    with_proof: Annotated[bool, typer.Option("--proof", help="Show the query that proves each sentence.")] = False,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what moved, why, where it leaks and what is unusual."""
    from kpimart.insight.summary import read_summaries
    from kpimart.report.summary import of_summaries

    with _published(load_settings(config).home, release_id) as database:
        found = read_summaries(database, level=by, period=period, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_summaries(found, with_proof=with_proof))


@commands.command("restatement")
def restatement(
    period: Annotated[
        str, typer.Option("--period", help="month, for the last closed one, or a closed one: 2026-03.")
    ] = "month",
    codes: Annotated[
        list[str] | None, typer.Option("--kpi", help="A KPI's code; repeat it.", show_default="those of the profile")
    ] = None,
    manager: Annotated[str | None, typer.Option("--manager", help="A manager's id or name.")] = None,
    department: Annotated[str | None, typer.Option("--department", help="A department's id or name.")] = None,
    list_all: Annotated[bool, typer.Option("--all", help="List everything behind the causes.")] = False,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what has become of a closed month: as closed, what each cause changed, as known now."""
    from kpimart.insight.restatement import read_restatement
    from kpimart.report.restatement import SHOWN_ROWS, of_restatement

    settings = load_settings(config)
    chosen = codes or figures.profile_kpis(settings.profile, settings.seeds)
    with _published(settings.home, release_id) as database:
        found = read_restatement(database, chosen, period=period, manager=manager, department=department, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_restatement(found, lang, shown_rows=None if list_all else SHOWN_ROWS))


@commands.command("forecast")
def forecast(
    view: Annotated[
        Literal["sums", "months", "accuracy"],
        typer.Option("--view", help="What the next months come to, each of them, or how near earlier forecasts came."),
    ] = "sums",
    by: Annotated[Level, typer.Option("--by", help="Whose figures.")] = "company",
    codes: Annotated[
        list[str] | None,
        typer.Option("--kpi", help="A KPI's code; repeat it.", show_default="all that are forecast"),
    ] = None,
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what is to be expected of the months to come, with intervals that earlier forecasts bear out."""
    from kpimart.insight.forecast import forecast_kpis, read_accuracy, read_forecasts
    from kpimart.report import forecast as report

    content: Any
    with _published(load_settings(config).home, release_id) as database:
        chosen = codes or forecast_kpis(database)
        if view == "accuracy":
            accuracy = read_accuracy(database, level=by, kpi_codes=chosen, language=lang)
            told, content = report.of_accuracy(accuracy, lang), dataclasses.asdict(accuracy)
        else:
            found = read_forecasts(database, level=by, kpi_codes=chosen, language=lang)
            of_view = report.of_sums if view == "sums" else report.of_months
            told, content = of_view(found, by, lang), dataclasses.asdict(found)
    if as_json:
        show_json(content)
    else:
        show(*told)
