"""What a run is made with: libraries, settings, seeds, models and suites."""

import importlib.metadata
import sys
from datetime import timedelta

from kpimart.catalogue import problems, read_catalogue
from kpimart.doctor.check import Asked, Check
from kpimart.figures import profile_kpis
from kpimart.holidays import holiday_years
from kpimart.measures import read_measures
from kpimart.paths import CHANGELOG, DBT_PROJECT, EXPECTATIONS, SEEDS
from kpimart.publish.contract import BUILT
from kpimart.seeds import own_seeds
from kpimart.settings import exposed_secrets, secret_files

LIBRARIES = ("duckdb", "dbt-core", "dbt-duckdb", "great-expectations", "dlt", "apache-airflow")


def python(_: Asked) -> str:
    """The interpreter, and the libraries that figures depend on."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return f"{sys.version.split()[0]}, {', '.join(versions)}"


def settings(asked: Asked) -> str:
    """Where they come from; that they are right is known, or there were none to ask by."""
    where = asked.settings.config or "no kpimart.toml, only defaults and the environment"
    return f"{where}; time zone {asked.settings.time_zone}, base currency {asked.settings.base_currency}"


def secrets(asked: Asked) -> Check | str:
    """Whether files with secrets are for their owner only."""
    if exposed := exposed_secrets(asked.settings):
        return Check("secrets", "warning", exposed)
    there = ", ".join(map(str, secret_files(asked.settings)))
    return f"{there or 'no file'} holds secrets; others come from the environment"


def seeds(asked: Asked) -> str:
    """Which are the company's own."""
    own = asked.settings.seeds
    names = ", ".join(own_seeds(own))
    return f"{own}: {names or 'none'}; all others are the project's" if own else "the project's"


def profile(asked: Asked) -> str:
    """The KPIs of the strategy."""
    name = asked.settings.profile
    return f"{name}: {', '.join(profile_kpis(name, asked.settings.seeds))}"


def catalogue(asked: Asked) -> list[Check] | str:
    """What a linter says of the KPIs, a check a problem."""
    found = problems(asked.settings.seeds)
    if found:
        return [Check("catalogue", "failed", str(problem)) for problem in found]
    kpis, measures = len(read_catalogue(asked.settings.seeds)), len(read_measures())
    return f"{kpis} KPIs of {measures} measures, their profiles, assignments and targets are sound"


def holidays(asked: Asked) -> Check | str:
    """Whether the calendar goes as far as the figures."""
    settings = asked.settings
    years = holiday_years(settings)
    found = f"{settings.holidays}: {min(years)} to {max(years)}"
    as_of = settings.moment(settings.as_of) if settings.as_of else asked.now
    year = (as_of - timedelta(microseconds=1)).astimezone(settings.zone).year
    if year not in years:
        advice = "they count as working days; add them to holiday.csv"
        return Check("holidays", "warning", f"{found}, without the holidays of {year}: {advice}")
    return found


def project(_: Asked) -> Check | str:
    """Whether all is there that lies beside the package."""
    needed = (*(DBT_PROJECT / name for name in ("models", "seeds", "tests")), SEEDS / "kpi_catalogue.csv", CHANGELOG)
    missing = [path.name for path in needed if not path.exists()]
    missing += [
        f"expectations/reporting/{table.name}.json"
        for table in BUILT
        if not (EXPECTATIONS / "reporting" / f"{table.name}.json").exists()
    ]
    if missing:
        return Check("project", "failed", f"missing: {', '.join(missing)}; check the project out again")
    return f"{len(list(EXPECTATIONS.rglob('*.json')))} suites of expectations, {len(BUILT)} tables to publish"
