"""Looks at everything that a run needs, before it is needed at night, and says what is missing.

It also tells whoever repairs a night what they would ask first: who writes, what waits, how old things are. What each
check means, and what to do when it is not well, stands in docs/runbook.md under its name.
"""

import importlib.metadata
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kpimart.clock import Clock, utc_now
from kpimart.doctor import airflow, home, project, serving, sources
from kpimart.doctor.check import Asked, Check, Look
from kpimart.errors import KpiMartError, WarehouseBusy
from kpimart.settings import Settings


def examine(settings: Settings, files: Path | None = None, *, clock: Clock = utc_now) -> list[Check]:
    """Every check, in the order in which a run would stumble. Never raises what a check can say."""
    asked = Asked(settings, files, clock())
    return [found for name, look in _looks(settings) for found in _looked(name, look, asked)]


def _looks(settings: Settings) -> Iterator[tuple[str, Look]]:
    yield "python", project.python
    yield "settings", project.settings
    yield "secrets", project.secrets
    yield "seeds", project.seeds
    yield "profile", project.profile
    yield "catalogue", project.catalogue
    if settings.holidays:
        yield "holidays", project.holidays
    yield "project", project.project
    yield "home", home.home
    if settings.landing:
        yield "landing", sources.landing
    for source in settings.sources:
        yield f"source {source}", partial(sources.source, name=source)
    yield "release", serving.release
    if settings.postgres.url:
        yield "postgres", serving.postgres
    if airflow.is_known():
        yield "airflow", airflow.airflow


def _looked(name: str, look: Look, asked: Asked) -> list[Check]:
    try:
        found = look(asked)
        if isinstance(found, str | Check):
            found = [found if isinstance(found, Check) else Check(name, "ok", found)]
        return list(found)
    except WarehouseBusy as busy:
        return [Check(name, "warning", str(busy))]
    except (KpiMartError, OSError, importlib.metadata.PackageNotFoundError) as error:
        return [Check(name, "failed", str(error))]
