"""The commands of `kpimart kpi` that say what moved, why, and where it leaks."""

import dataclasses
from typing import Annotated, Any, Literal

import typer

from kpimart import figures
from kpimart.cli.shared import AsJson, Config, Lang, Level, ReleaseId, show, show_json
from kpimart.settings import load_settings

commands = typer.Typer()


@commands.command("trend")
def trend(
    by: Annotated[Level, typer.Option("--by", help="Whose figures.")] = "company",
    period: Annotated[
        str,
        typer.Option("--period", help="A grain, for its last complete period, or 2017, 2017-Q2, 2017-04, 2017-W14."),
    ] = "month",
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
    from kpimart.publish.release import find
    from kpimart.report.trend import of_trends

    settings = load_settings(config)
    release = find(settings.home, release_id)
    chosen = codes or figures.profile_kpis(settings.profile, settings.seeds)
    found = read_trends(release.database, level=by, period=period, kpi_codes=chosen, language=lang)
    if as_json:
        show_json(dataclasses.asdict(found))
    else:
        show(*of_trends(found, by, lang))


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
            help="month, quarter or year, for the last complete one, or 2026, 2026-Q3, 2026-04; cohorts up to it.",
        ),
    ] = "month",
    lang: Lang = "en",
    release_id: ReleaseId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the customers of a period: who came, who went, who bought, who comes back."""
    from kpimart.insight.customers import read_base, read_cohorts, read_segments
    from kpimart.publish.release import find
    from kpimart.report import customers as report

    database = find(load_settings(config).home, release_id).database
    content: Any
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
