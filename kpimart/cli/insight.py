"""The commands of `kpimart kpi` that say what moved, why, and where it leaks."""

import dataclasses
from typing import Annotated

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
    from kpimart.publish.release import find
    from kpimart.report.drivers import of_change

    release = find(load_settings(config).home, release_id)
    change = read_change(
        release.database,
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
