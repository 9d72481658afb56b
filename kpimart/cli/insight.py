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
