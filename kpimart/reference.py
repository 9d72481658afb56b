"""The reference pages in docs/reference/, made from what they describe: `python -m kpimart.reference`, or `make docs`.

A page that is not what this module makes of the code is stale, and a test refuses it.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kpimart import errors
from kpimart.catalogue import read_catalogue
from kpimart.errors import KpiMartError
from kpimart.extract.canonical import OBJECTS, CanonicalColumn, CanonicalObject
from kpimart.extract.packages import API_SOURCES, api_source
from kpimart.extract.source import ApiObject
from kpimart.language import Language
from kpimart.measures import Measure, parse_formula, read_measures
from kpimart.paths import EXPECTATIONS, PROJECT
from kpimart.publish.contract import CONTRACT_VERSION, ENTITY_LEVELS, GRAINS, PUBLISHED, Column, Table, wide_view
from kpimart.quality import wording
from kpimart.quality.suites import Expectation, filled, read_suite, suite_files
from kpimart.settings import NAMED_BY_VARIABLE, ApiSettings, OAuthSettings, Settings
from kpimart.staging_contract import staging_files

DAGS = PROJECT / "dags"
DECISIONS = PROJECT / "docs" / "adr"
PAGES = PROJECT / "docs" / "reference"

HEAD = "# {title}\n\n<!-- Made by `make docs` from {source}. Edit that, not this page. -->\n\n{introduction}\n"

Row = Iterable[object]


def main() -> None:
    """Write every page, and every contract of a staging model, that is not up to date."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in {**{PAGES / name: text for name, text in pages().items()}, **staging_files()}.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File name → text of every page, as the code stands."""
    made: dict[str, Callable[[], str]] = {
        "tables.md": tables_page,
        "kpis.md": lambda: kpis_page("en"),
        "kpis.ru.md": lambda: kpis_page("ru"),
        "measures.md": measures_page,
        "settings.md": settings_page,
        "objects.md": objects_page,
        "sources.md": sources_page,
        "cli.md": cli_page,
        "exit-codes.md": exit_codes_page,
        "expectations.md": expectations_page,
        "dags.md": dags_page,
        "decisions.md": decisions_page,
    }
    return {name: make() for name, make in made.items()}


# ------------------------------------------------------------------------------------------------------------- tables


def tables_page() -> str:
    """Every published table, and the wide views."""
    return _page(
        "Published tables",
        "`kpimart/publish/contract/`",
        f"Contract version {CONTRACT_VERSION}. Every release holds these tables in its DuckDB file, and each of them "
        "as `parquet/<table>.parquet`. Columns may be added; a change to one that is listed is a new major version. "
        "How to open a release: [Read the figures](../how-to/read-the-figures.md).",
        [_contents(table.name for table in PUBLISHED), *map(_table_section, PUBLISHED), _wide_section()],
    )


def _table_section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    order = "Key" if table.relation != "ops.quality_result" else "Order"
    columns = _table(("column", "type", "null", "what it holds"), map(_column_row, table.columns))
    return f"## {table.name}\n\n{table.description} {order}: {key}.\n\n{columns}"


def _column_row(column: Column) -> Row:
    return f"`{column.name}`", column.type, "yes" if column.nullable else "no", column.description


def _wide_section() -> str:
    rows = [
        (f"`{wide_view(level, grain)}`", f"One row per {_one_row(level)}{grain}.")
        for level in ENTITY_LEVELS
        for grain in GRAINS
    ]
    return (
        "## Wide views\n\n"
        "For people and spreadsheets: `kpi_value` turned on its side, one column a KPI. The columns come from the "
        "catalogue, so they are no part of the contract; a KPI has a column from its finest grain up. Before them "
        "stand `period_start`, `period_end`, the ids of the entity, `entity_name`, and `is_complete` (the period is "
        "over).\n\n" + _table(("view", "rows"), rows)
    )


def _one_row(level: str) -> str:
    return "" if level == "company" else f"{level.replace('_', ' ')} and "


# --------------------------------------------------------------------------------------------------------------- KPIs


_KPI_INTRODUCTION: dict[Language, str] = {
    "en": (
        "Formulas are arithmetic over [measures](measures.md), evaluated after the measures were added up for the "
        "period and the entity: a rate is a quotient of sums, never a mean of rates. Where a denominator is not above "
        "zero the value is NULL. `currency` stands for the base currency. A new KPI is a new row: "
        "[Add a KPI](../how-to/add-a-kpi.md). [По-русски](kpis.ru.md)."
    ),
    "ru": (
        "Формула — арифметика над [измерениями](measures.md), которая вычисляется после того, как измерения сложены за "
        "период и по сотруднику, отделу или компании: доля — это частное сумм, а не среднее долей. Если знаменатель не "
        "больше нуля, значение не определено (NULL). «Валюта» — базовая валюта компании. Новый показатель — это новая "
        "строка каталога: [Add a KPI](../how-to/add-a-kpi.md). [In English](kpis.md)."
    ),
}

_KPI_RUSSIAN = {
    "KPIs": "Показатели",
    "KPI": "показатель",
    "name": "название",
    "formula": "формула",
    "unit": "единица",
    # Units, and how a value is judged.
    "currency": "валюта",
    "count": "количество",
    "ratio": "доля",
    "days": "дни",
    "hours": "часы",
    "currency_per_day": "валюта в день",
    "higher is better": "чем больше, тем лучше",
    "lower is better": "чем меньше, тем лучше",
    "for managers": "для менеджеров",
    "for departments": "для отделов",
    "for managers and departments": "для менеджеров и отделов",
    "from day up": "от дня и крупнее",
    "from week up": "от недели и крупнее",
    "from month up": "от месяца и крупнее",
    # Owners.
    "head of sales": "руководитель продаж",
    "head of marketing": "руководитель маркетинга",
    "sales operations": "отдел сопровождения продаж",
    # Parts of selling.
    "volume": "объём",
    "pipeline": "воронка",
    "conversion": "конверсия",
    "speed": "скорость",
    "customers": "клиенты",
    "discipline": "дисциплина",
    "activity": "активность",
    "plan": "план",
}


def kpis_page(language: Language) -> str:
    """Every KPI of the catalogue in one language, by the part of selling it belongs to."""
    kpis = read_catalogue()
    groups = {name: list(members) for name, members in groupby(sorted(kpis, key=_place_of(kpis)), itemgetter("group"))}
    overview = _table(
        (_of_kpis(head, language) for head in ("KPI", "name", "formula", "unit")),
        [
            (
                f"[`{kpi['kpi_code']}`](#{kpi['kpi_code']})",
                kpi[f"name_{language}"],
                f"`{kpi['formula']}`",
                _of_kpis(kpi["unit"], language),
            )
            for kpi in kpis
        ],
    )
    return _page(
        _of_kpis("KPIs", language),
        "`seeds/kpi_catalogue.csv`",
        _KPI_INTRODUCTION[language],
        [overview, *(_group_section(name, members, language) for name, members in groups.items())],
    )


def _of_kpis(english: str, language: Language) -> str:
    """A word of the pages of KPIs; owners and groups of a company's own catalogue stay as they are."""
    return english if language == "en" else _KPI_RUSSIAN.get(english, english)


def _place_of(kpis: list[dict[str, str]]) -> Callable[[dict[str, str]], int]:
    """The groups in the order in which the catalogue first names them."""
    order = list(dict.fromkeys(kpi["group"] for kpi in kpis))
    return lambda kpi: order.index(kpi["group"])


def _group_section(name: str, kpis: list[dict[str, str]], language: Language) -> str:
    heading = _of_kpis(name, language).capitalize()
    return "\n".join([f"## {heading}\n", *(_kpi_section(kpi, language) for kpi in kpis)])


def _kpi_section(kpi: dict[str, str], language: Language) -> str:
    facts = (
        kpi["unit"],
        f"{kpi['better']} is better",
        _judges(kpi["level"]),
        f"from {kpi['finest_grain']} up",
        kpi["owner"],
    )
    told = " · ".join([f"`{kpi['formula']}`", *(_of_kpis(fact, language) for fact in facts)])
    return f"### {kpi['kpi_code']}\n\n{told}\n\n**{kpi[f'name_{language}']}.** {kpi[f'description_{language}']}\n"


def _judges(level: str) -> str:
    return {"personal": "for managers", "department": "for departments"}.get(level, "for managers and departments")


# ----------------------------------------------------------------------------------------------------------- measures

_ADDITIVITY = {
    "additive": "A sum over events: any grain is the sum of its days, any department the sum of its managers.",
    "snapshot": "A state at the end of the period, or at `as_of` while the period goes on.",
    "distinct": "Counted anew for each period and entity, never added up.",
    "distribution": "A median, computed anew for each period and entity.",
    "target": "What was set for the period and the entity, for the part of it in which they were there.",
}


def measures_page() -> str:
    """Every measure, by how it adds up, with the KPIs that are made of it."""
    measures = list(read_measures().values())
    sections = [
        f"## {additivity.capitalize()}\n\n{meaning}\n\n{_measures_table(measures, additivity)}"
        for additivity, meaning in _ADDITIVITY.items()
    ]
    return _page(
        "Measures",
        "`dbt_project/macros/measures.sql`",
        "What KPIs are made of. A measure counts or sums the rows of a relation that pass its filter; `sign` is −1 "
        "where an event is taken back. *None*: what it is over no rows at all. *Unknown*: when it is NULL because "
        "amounts are not known.",
        sections,
    )


def _measures_table(measures: list[Measure], additivity: str) -> str:
    formulas = {kpi["kpi_code"]: parse_formula(kpi["formula"]).measures for kpi in read_catalogue()}
    return _table(
        ("measure", "relation", "clock", "value of a row", "filter", "none", "unknown", "KPIs"),
        [
            (
                f"`{measure.name}`",
                measure.relation,
                f"`{measure.clock}`",
                f"`{measure.sql}`",
                f"`{measure.filter}`" if measure.filter else "",
                "NULL" if additivity in ("distribution", "target") else "0",
                _unknown(measure),
                _used_by(measure.name, measures, formulas),
            )
            for measure in measures
            if measure.additivity == additivity
        ],
    )


def _used_by(name: str, measures: list[Measure], formulas: Mapping[str, tuple[str, ...]]) -> str:
    """The KPIs that mention a measure; else the measures that it is counted for."""
    kpis = [code for code, names in formulas.items() if name in names]
    counted_for = [each.name for each in measures if name in each.counted_with]
    return _listed(kpis) or f"counted for {_listed(counted_for)}"


def _unknown(measure: Measure) -> str:
    if measure.unknown:
        return "NULL as soon as one is"
    if measure.known or measure.is_amount:
        return "NULL if all are"
    return ""


# ----------------------------------------------------------------------------------------------------------- settings

SETTINGS: dict[str, str] = {
    "home": "The folder of the warehouse and the releases.",
    "landing": "Where load packages lie: a folder, or a bucket such as `s3://bucket/path`.",
    "sources": "The sources that a run reads.",
    "time_zone": "The business time zone: it decides on which day, and so in which month, something happened.",
    "base_currency": "The currency of all amounts that are published; others are converted by seeds/exchange_rate.csv.",
    "constant_rates_on": "The day whose exchange rates make amounts of all days comparable; unless said, the latest.",
    "calendar": "`months`, or years of whole weeks: the weeks of the three months of each quarter.",
    "fiscal_year_start": "The month in which the company's year begins; quarters and years follow it.",
    "fiscal_year_first_week": "Of a year of weeks: that which begins `nearest` to the 1st, or the one `containing` it.",
    "fiscal_year_named_after": "A fiscal year is named after the calendar year of its `start`, or of its `end`.",
    "week_starts_on": "The first day of the week in a year of weeks; otherwise weeks are those of ISO 8601.",
    "working_days": "The days of the week that are worked.",
    "working_hours.start": "When work begins, in business time.",
    "working_hours.end": "When work ends; `00:00:00` is the midnight at the end of the day.",
    "holidays": "The calendar of seeds/holiday.csv whose days are off; none unless named.",
    "as_of": "The moment that the figures speak of where a run is not given one; a bare date is its local midnight.",
    "profile": "The strategy profile of seeds/kpi_profile.csv, whose KPIs are shown where none are named.",
    "seeds": "A folder whose `*.csv` stand in for the seeds of the same names: the company's own parameters.",
    "thresholds.max_quarantined_share": "The share of an object's rows that may be set aside before its batch is held.",
    "thresholds.max_vanished_share": "The share of an object's known records that may be missing from a full export.",
    "thresholds.max_quiet_days": "After how many days without a change in a source the raw gate warns.",
    "thresholds.max_rate_age_days": "How many days old an exchange rate may be on the day it is used for.",
    "retention.releases": "How many releases are kept, the last published ones.",
    "retention.month_ends": "Whether the release at each month's end is kept for good.",
    "retention.landed_days": "For how many days upkeep leaves landed packages their records, and raw what was held.",
    "backup.place": "Where backups go: a folder on another disk, or a bucket such as `s3://bucket/path`.",
    "backup.keep": "How many backups are kept there; unless said, all.",
    "closing.after_working_days": "How many working days after its end a month is to be closed; the monthly DAG waits.",
    "alarms.max_run_age_hours": "`kpimart doctor` warns when the last release was published longer ago.",
    "alarms.max_backup_age_days": "`kpimart doctor` warns when the last backup is older.",
    "definitions.regular_window_days": "A regular customer bought often enough within this many days.",
    "definitions.regular_min_purchases": "How many purchases within the window make a customer a regular one.",
    "definitions.lost_after_days": "A customer who has not bought for this many days is lost.",
    "definitions.stale_after_days": "An open deal that has been in its stage for longer is stale.",
    "definitions.idle_after_days": "An open deal on which nothing happened for this many days is a loser never closed.",
    "definitions.min_leaderboard_sample": "A leaderboard hides a figure that rests on fewer deals, leads or customers.",
    "definitions.min_comparison_sample": "Weak spots and regularities say nothing of fewer deals.",
    "files.folder": "Where the export lies; `--files` comes before it.",
    "files.stages": "The stages of the pipelines, each with its outcome.",
    "files.stages[].name": "The stage as the export writes it.",
    "files.stages[].outcome": "What it means for a deal to be in it.",
    "files.stages[].position": "Its place in the pipeline, from 1.",
    "files.stages[].pipeline": "The pipeline it is a step of.",
    "files.stages[].probability": "How likely an open deal in it will be won; it weighs `weighted_open_amount`.",
    "files.*[].columns": "Canonical column → where it comes from: a column's name, or a table of the keys below.",
    "files.*[].columns.*.column": "The column of the file.",
    "files.*[].columns.*.constant": "One value for all rows, instead of a column.",
    "files.*[].columns.*.format": "How its dates or times are written, as a strptime pattern.",
    "files.*[].columns.*.values": "Replacements after trimming: value of the export → value that counts.",
    "files.*[].file": "The file, below the folder of the export.",
    "files.*[].format": "How the file is written, where its name does not tell.",
    "files.*[].extent": "`full`: a record that is not in it is gone. `delta`: it only brings news.",
    "files.*[].distinct": "Equal rows count once: for an object whose rows repeat in a file about something else.",
    "files.*[].delimiter": "What separates the fields of a CSV file.",
    "files.*[].encoding": "The text encoding of the file.",
    "files.*[].decimal_mark": "What stands before the cents.",
    "files.*[].date_format": "How the dates and times of the file are written, as a strptime pattern.",
    "files.*[].time_zone": "The zone of times that do not name their offset.",
    "files.*[].currency": "The currency of deals that do not name theirs.",
    "sql.url": "The database, as `dialect://user:password@host/name`.",
    "sql.overlap_minutes": "How far a delta goes back behind the last change that was seen.",
    "http.attempts": "How often a request is made before its source counts as unreachable.",
    "http.timeout_seconds": "How long to wait for an answer.",
    "http.backoff_seconds": "The first pause before a request is made again; each further one is longer.",
    "http.longest_wait_seconds": "The longest pause, even where the server asks for a longer one.",
    "crm.token": "The token, API key or password, as the CRM's page says.",
    "crm.requests_per_second": "Obeyed instead of the limits that the CRM documents: lower, to leave some to others. "
    "One process then reads all objects.",
    "crm.overlap_minutes": "How far a night goes back behind the beginning of the last one.",
    "crm.personal_data": "Whether names, addresses and numbers of customers' people are kept.",
    "crm.fields": "The CRM's property for `product`, `source` or `loss_reason`, where it has none of its own.",
    "crm.properties": "Further properties to keep in raw: object → list of names.",
    "crm.client_id": "OAuth instead of a token: the app.",
    "crm.client_secret": "OAuth: the app's secret.",
    "crm.refresh_token": "OAuth: what new access tokens are got with; a rotated one is kept in `home`/tokens.",
    "hubspot.url": "The API.",
    "salesforce.url": "Where to log in: the org's own domain, or that of a sandbox.",
    "salesforce.username": "A user with a password, instead of OAuth or client credentials.",
    "salesforce.password": "The user's password.",
    "salesforce.security_token": "The user's security token, where the org asks for one.",
    "salesforce.api_version": "The version of the API.",
    "salesforce.bulk_from": "The first load of an object with as many records comes by Bulk API 2.0.",
    "pipedrive.url": "The company's address, such as `https://company.pipedrive.com`; by OAuth it is told.",
    "pipedrive.token_url": "OAuth: where tokens are given.",
    "pipedrive.changelog": "Whether the history of each deal is read too, one request a deal that changed.",
    "bitrix24.webhook": "The address of an incoming webhook, with its key.",
    "bitrix24.url": "OAuth: the portal, such as `https://company.bitrix24.com`.",
    "bitrix24.token_url": "OAuth: where tokens are given.",
    "amocrm.url": "The account, such as `https://company.amocrm.ru` or `https://company.kommo.com`.",
    "amocrm.redirect_uri": "OAuth: the address that the integration was registered with.",
    "odoo.url": "The server.",
    "odoo.database": "The database.",
    "odoo.user": "The login of the user who reads.",
    "tryton.url": "The server.",
    "tryton.database": "The database.",
    "tryton.user": "The login of the user who reads.",
    "postgres.url": "The database, as `postgresql://user:password@host/name`.",
    "postgres.access": "A CSV file of who may see what: login, person, manager_id, department_id.",
    "dashboard.url": "The address at which people open the dashboard; to it the sign-in leads back.",
    "dashboard.oidc_metadata_url": "OIDC: the issuer's address that ends with `/.well-known/openid-configuration`.",
    "dashboard.oidc_client_id": "OIDC: what the dashboard is registered as.",
    "dashboard.oidc_client_secret": "OIDC: the secret it is registered with.",
    "dashboard.oidc_claim": "OIDC: the claim that is the login.",
    "dashboard.cookie_secret": "What cookies of those who are signed in are sealed with: 32 random characters or more.",
    "dashboard.header": "The header in which a proxy says whose request it is; the proxy must drop it from requests.",
    "dashboard.sees_all": "The logins of analysts and finance, who see all; others see what `postgres.access` gives.",
    "dashboard.open_to_all": "Whether all who can reach the port see every figure, with no sign-in.",
    "sql.*[].table": "The table or view, with its schema if it is not the user's own.",
    "sql.*[].query": "A `select`, instead of a table.",
}
"""Key → what it is for. `files.*` stands for a mapping of any object, `columns.*` for any of its columns.

What `sql` has in common with `files` is not said again.
"""

_DERIVED_DEFAULTS = {
    "files.*[].format": "by the file's name",
    "files.*[].date_format": "ISO 8601",
    "files.*[].columns.*.format": "the file's",
    "files.*[].time_zone": "the company's",
    "files.*[].currency": "the base currency",
    "as_of": "now",
    "landing": "`landing` in `home`",
    "sources": '`["files"]`',
}


def settings_page() -> str:
    """Every key of a kpimart.toml, with its type, its default and what it is for."""
    fields = dict(setting_fields())
    crms = {
        key: field for key, field in fields.items() if key.startswith(("crm.", *(f"{api}." for api in API_SOURCES)))
    }
    target = {key: field for key, field in fields.items() if key.startswith("postgres.")}
    company = {
        key: field
        for key, field in fields.items()
        if not key.startswith(("files", "sql")) and key not in crms and key not in target
    }
    database = {key: field for key, field in fields.items() if key.startswith("sql")}
    mapping = {key: field for key, field in fields.items() if key.startswith("files.*")}
    others = company | database | mapping | crms | target
    export = {key: field for key, field in fields.items() if key not in others}
    objects = ", ".join(f"`files.{name}`" for name in OBJECTS)
    return _page(
        "Settings",
        "`kpimart/settings.py`",
        "Read from the environment, then from `.env`, then from the folder that `KPIMART_SECRETS_DIR` names, if any, "
        "then from the `kpimart.toml` that `--config` or `KPIMART_CONFIG` names (else the one in the current folder); "
        "the first that names a setting wins. An unknown key is an error. As a variable, a setting is called "
        "`KPIMART_` and its key in capitals, with `__` for each dot: `KPIMART_THRESHOLDS__MAX_QUARANTINED_SHARE=0.02`. "
        "In the folder, a file of that name holds the value: so a container is given its secrets.",
        [
            f"## The company\n\n{_settings_table(company)}",
            f"## A CRM\n\nOne table a CRM that is read over its API: {', '.join(f'`[{api}]`' for api in API_SOURCES)}. "
            f"What all of them have is said once, of `crm`. What is read of each: [Sources](sources.md).\n\n"
            f"{_settings_table(crms)}",
            f"## The export\n\n`[files]`, and one `[[files.stages]]` a stage.\n\n{_settings_table(export)}",
            f"## A mapping\n\nOne table in double brackets for each file of an object: {objects}. "
            f"The objects and their columns: [Objects](objects.md). With examples: "
            f"[Describe an export](../how-to/describe-an-export.md).\n\n{_settings_table(mapping, 'files.*[].')}",
            f"## A database\n\n`[sql]`, with stages and mappings as `[files]` has them, but for what tells how a file "
            f"is written: an object is in a table, or in what a query gives. "
            f"[Connect a database](../how-to/connect-a-database.md).\n\n{_settings_table(database)}",
            f"## PostgreSQL\n\n`[postgres]`: a database that serves the releases too. "
            f"[Serve from PostgreSQL](../how-to/serve-from-postgresql.md).\n\n{_settings_table(target)}",
        ],
    )


def _settings_table(fields: Mapping[str, FieldInfo], prefix: str = "") -> str:
    return _table(
        ("key", "type", "default", "what it is for"),
        [
            (f"`{key.removeprefix(prefix)}`", _type_words(field), _default(key, field), SETTINGS[key])
            for key, field in fields.items()
        ],
    )


def setting_fields() -> Iterator[tuple[str, FieldInfo]]:
    """Key → field of everything that a kpimart.toml may say, the mapping of an object once for all objects."""
    named = {name: field for name, field in Settings.model_fields.items() if name not in NAMED_BY_VARIABLE}
    leaves = [leaf for name, field in named.items() for leaf in _leaves(name, field)]
    of_files = {key.removeprefix("files.") for key, _ in leaves if key.startswith("files.")}
    yield from (
        leaf for leaf in leaves if not (leaf[0].startswith("sql.") and leaf[0].removeprefix("sql.") in of_files)
    )


def _leaves(key: str, field: FieldInfo) -> Iterator[tuple[str, FieldInfo]]:
    model, brackets = _model_in(field.annotation)
    source, _, name = key.partition(".")
    if source in ("files", "sql") and name in OBJECTS:
        if name != next(iter(OBJECTS)):
            return
        key = f"{source}.*"
    elif model is None or brackets:
        yield key, field
    if model is not None:
        for name, inner in model.model_fields.items():
            is_every_crms = issubclass(model, ApiSettings) and name in OAuthSettings.model_fields
            yield from _leaves(f"crm.{name}" if is_every_crms else f"{key}{brackets}.{name}", inner)


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The settings model of a field, and how its key goes on: `[]` in a list, `.*` in a table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    models = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return (models[0], ".*" if get_origin(annotation) is dict else "[]") if models else (None, "")


_TYPE_WORDS = {
    "bool": "true or false",
    "date": "a date",
    "datetime": "a time",
    "float": "a number",
    "int": "a whole number",
    "Path": "a path",
    "SecretStr": "a secret, from a variable or a file of its own",
    "str": "text",
}


def _type_words(field: FieldInfo) -> str:
    model, brackets = _model_in(field.annotation)
    if model is not None:
        return "a table" if brackets == ".*" else "a list of tables"
    return " or ".join(dict.fromkeys(_words(field.annotation))) + _bounds(field)


def _words(annotation: Any) -> Iterator[str]:
    """A type in words; `None` is told by the default."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from (f"`{argument}`" for argument in arguments)
    elif origin is tuple:
        yield f"a list of {' or '.join(_words(arguments[0]))}"
    elif origin is dict:
        yield "a table of text"
    elif arguments:
        for argument in arguments:
            yield from _words(argument)
    elif isinstance(annotation, type) and annotation.__name__ in _TYPE_WORDS:
        yield _TYPE_WORDS[annotation.__name__]


def _bounds(field: FieldInfo) -> str:
    """What else pydantic checks of a value, in words."""
    annotations = [*field.metadata, *(each for part in get_args(field.annotation) for each in get_args(part)[1:])]
    constraints = [constraint for each in annotations for constraint in getattr(each, "metadata", [each])]
    found = {
        name: value
        for each in constraints
        for name in ("ge", "gt", "le")
        if (value := getattr(each, name, None)) is not None
    }
    if "le" in found:
        return f" from {found['ge']} to {found['le']}"
    if "gt" in found:
        return f", more than {found['gt']}"
    return f", at least {found['ge']}" if "ge" in found else ""


def _default(key: str, field: FieldInfo) -> str:
    if key in _DERIVED_DEFAULTS:
        return _DERIVED_DEFAULTS[key]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# ------------------------------------------------------------------------------------------------------------ objects

_KINDS = {
    "text": "text",
    "stage": "a stage of the settings",
    "moment": "a time, or a date",
    "date": "a date",
    "amount": "an amount",
    "number": "a number",
    "share": "0 to 1, or a percentage with its sign",
    "boolean": "true or false",
}


def sources_page() -> str:
    """What is read of each CRM, what it takes, and what is kept."""
    return _page(
        "Sources",
        "the modules of `kpimart/extract/`",
        "What is read of each CRM that has an API, and what is kept of it: nothing else reaches the landing area, raw, "
        "or a log. What lies under a path is kept whole. Personal data are kept with `personal_data = true` only. "
        "A field that staging needs stops the run when it vanishes or changes its type; any other change of a field is "
        "recorded in `ops.schema_change`.",
        [_source_section(name) for name in API_SOURCES],
    )


def _source_section(name: str) -> str:
    about = inspect.cleandoc(importlib.import_module(f"kpimart.extract.{name}").__doc__ or "").replace("<", "&lt;")
    # A new line begins with one of these words; any other goes on with the one before it.
    listed = re.sub(r"\n *(?!\n|Reads:|Limits:|Cannot tell:|Source:)", " ", about.replace("\n\n", "\n\n\n"))
    listed = re.sub(r"^(Reads|Limits|Cannot tell|Source):", r"- **\1:**", listed, flags=re.MULTILINE)
    listed = re.sub(r"\n{2,} ?", "\n\n", listed)
    rows = [_source_row(each) for each in api_source(name).objects]
    table = _table(("object", "right", "needed", "kept", "personal"), rows)
    return f"## {name}\n\n{listed}\n\n{table}"


def _source_row(each: ApiObject[Any]) -> Row:
    needed, keep, personal = (
        ", ".join(f"`{path}`" for path in sorted(paths)) or "–" for paths in (each.needed, each.keep, each.personal)
    )
    return f"`{each.name}`", each.right or "–", needed, keep, personal


def objects_page() -> str:
    """The canonical objects that a mapping may fill, and their columns."""
    return _page(
        "Objects",
        "`kpimart/extract/canonical.py`",
        "What an export can hold. A mapping says which column of a file is which of these; a column that is not there "
        "is left out. *Required*: it must be mapped, and filled in every record.",
        map(_object_section, OBJECTS.values()),
    )


def _object_section(each: CanonicalObject) -> str:
    key = "" if each.key == ("id",) else f"Without an `id`, a record is identified by {_listed(each.key)}. "
    version = f"`{each.version}` orders the versions of a record.\n\n" if each.version in each.by_name else "\n\n"
    rows = [(f"`{column.name}`", _kind(column), _need(column)) for column in each.columns]
    return f"## {each.name}\n\n{key}{version}".rstrip() + f"\n\n{_table(('column', 'holds', ''), rows)}"


def _need(column: CanonicalColumn) -> str:
    if not column.required:
        return ""
    return f"required; where `{column.unless}` is mapped too, it may be empty" if column.unless else "required"


def _kind(column: CanonicalColumn) -> str:
    return " or ".join(f"`{choice}`" for choice in column.choices) if column.choices else _KINDS[column.kind]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# ------------------------------------------------------------------------------------------------------- command line


def cli_page() -> str:
    """Every command with its options, as the installed program has them."""
    # By its entry point, because it is an edge: nothing in the package imports it.
    (entry_point,) = metadata.entry_points(group="console_scripts", name="kpimart")
    command: Any = typer.main.get_command(importlib.import_module(entry_point.module).app)
    return _page(
        "Command line",
        "`kpimart/cli/`",
        "What a command ends with: [Exit codes](exit-codes.md). What to do then: [Runbook](../runbook.md).",
        _command_sections(command, command.make_context("kpimart", [], resilient_parsing=True)),
    )


def _command_sections(command: Any, context: Any) -> Iterator[str]:
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        with context.scope():
            inner_context = inner.make_context(name, [], parent=context, resilient_parsing=True)
        is_group = hasattr(inner, "list_commands")
        if not is_group or inner.invoke_without_command:
            yield _command_section(inner, inner_context)
        if is_group:
            yield from _command_sections(inner, inner_context)


def _command_section(command: Any, context: Any) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [(f"`{record[0]}`", *_help_and_default(record[1])) for record in records if record]
    options = _table(("option", "what it does", "default"), [row for row in rows if row[0] != "`--help`"])
    return f"## {context.command_path}\n\n{command.help}\n\n```text\n{usage}\n```\n\n{options}"


def _help_and_default(told: str) -> tuple[str, str]:
    """`The build.  [default: (the last one)]` in its two parts."""
    text, _, rest = told.partition("  [")
    extra = rest.removesuffix("]").removeprefix("default: ")
    return text, extra.removeprefix("(").removesuffix(")") if extra.startswith("(") else extra


# --------------------------------------------------------------------------------------------------------- exit codes

EXIT_CODES = {
    0: "Done.",
    1: "Anything that is none of the others.",
    2: "Wrong usage or settings, no right, or another version of the program is needed. Nothing was started.",
    3: "A gate refused a batch or a build. What was published before stays.",
    4: "The source or PostgreSQL could not be reached. What was published before stays.",
}


def exit_codes_page() -> str:
    """Every exit code, with the errors that end with it."""
    return _page(
        "Exit codes",
        "`kpimart/errors.py`",
        "What a command ends with, and the names of the errors behind it, as they stand in Airflow's logs and in "
        "notices. *May pass*: another try can help, and Airflow tries by itself. What to do: "
        "[Runbook](../runbook.md#by-error).",
        (_exit_code_section(code, meaning) for code, meaning in EXIT_CODES.items()),
    )


def _exit_code_section(code: int, meaning: str) -> str:
    rows = [
        (f"`{each.__name__}`", "yes" if each.is_retryable else "no", inspect.cleandoc(each.__doc__ or ""))
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, KpiMartError) and each is not KpiMartError
        if each.exit_code == code
    ]
    return f"## {code}\n\n{meaning}\n\n{_table(('error', 'may pass', 'what happened'), rows) if rows else ''}"


# ------------------------------------------------------------------------------------------------------- expectations

_PARAMETERS = {
    "max_quarantined_share": "`thresholds.max_quarantined_share`",
    "max_vanished_share": "`thresholds.max_vanished_share`",
    "fresh_since": "`as_of` less `thresholds.max_quiet_days`",
    "last_day": "the last day before `as_of`",
}

_BOUNDARIES = {
    "raw": "**Raw**: judges what a fetch brought, before anything is built on it. If it refuses, the batch is held.",
    "reporting": "**Reporting**: judges a build, before anybody reads it. If it refuses, the last release stays.",
}


def expectations_page() -> str:
    """What both gates ask, table by table, and why."""
    sections = [
        section
        for boundary, meaning in _BOUNDARIES.items()
        for section in [f"## {boundary.capitalize()} gate\n\n{meaning}\n", *_suite_sections(EXPECTATIONS / boundary)]
    ]
    return _page(
        "Expectations",
        "`expectations/`",
        "What the two gates ask of the data. `critical` closes the gate, `warning` and `info` are told and leave it "
        "open; an expectation that could not be judged closes it whatever its severity.",
        sections,
    )


def _suite_sections(folder: Path) -> Iterator[str]:
    """A section for each suite; tables that are asked the same share one."""
    alike: dict[str, list[str]] = {}
    for table, path in suite_files(folder).items():
        rows = [_expectation_row(expectation) for expectation in read_suite(path).expectations]
        alike.setdefault(_table(("what is expected", "severity", "why"), rows), []).append(table)
    for expected, tables in alike.items():
        yield f"### {', '.join(tables)}\n\n{expected}"


def _expectation_row(expectation: Expectation) -> Row:
    kind = expectation["type"]
    asked = str(expectation.get("description") or f"{_subject(expectation)}: {_asked(expectation)}")
    notes = (expectation.get("meta") or {}).get("notes", "")
    return asked[0].upper() + asked[1:] if kind == wording.ROWS_QUERY else asked, expectation["severity"], notes


def _subject(expectation: Expectation) -> str:
    """What an expectation is about: columns, and the condition that rows must meet."""
    about = wording.label(expectation).removeprefix(expectation["type"])
    columns, _, condition = about.partition(" where ")
    names = _listed(columns.strip("()").split(", ")) if columns else "rows"
    of = next((words for part, words in _ASKED_OF.items() if part in expectation["type"]), "")
    return f"{of}{names}{f' where {condition}' if condition else ''}"


_ASKED_OF = {"value_lengths": "length of ", "column_max": "last ", "column_min": "first "}


def _asked(expectation: Expectation) -> str:
    asked = wording.expected(expectation["type"], filled(expectation, _PARAMETERS)).removeprefix("value = ")
    low, _, high = asked.partition(" … ")
    if "distinct_values_to_equal" in expectation["type"]:
        return asked.replace("one of", "each of")
    return low if low == high else asked.replace("not be null", "not NULL")


# --------------------------------------------------------------------------------------------------- DAGs and decisions


def dags_page() -> str:
    """Every DAG by what its file says of it. The files are parsed and not run, which would load Airflow."""
    return _page(
        "DAGs",
        "`dags/`",
        "What Airflow runs, and when: five fields of cron, in the business time zone that `KPIMART_TIME_ZONE` names, "
        "else in UTC. How to set it up: [Run every night](../how-to/run-every-night.md).",
        (_dag_section(path) for path in sorted(DAGS.glob("*.py"))),
    )


def _dag_section(path: Path) -> str:
    module = ast.parse(path.read_text(encoding="utf-8"))
    (cron,) = (
        ast.literal_eval(node.args[0])
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "in_business_time"
    )
    return f"## {path.stem}\n\nSchedule: `{cron}`\n\n{ast.get_docstring(module)}"


def decisions_page() -> str:
    """Every decision by its number and title."""
    titles = {path.name: path.read_text(encoding="utf-8").partition("\n")[0] for path in sorted(DECISIONS.glob("*.md"))}
    return _page(
        "Decisions",
        "`docs/adr/`",
        "Why it is as it is: what had to be decided, what was, and what follows. They are in the order in which they "
        "were taken, and the later one holds.",
        ["\n".join(f"- [{title.removeprefix('# ')}](../adr/{name})" for name, title in titles.items())],
    )


# ----------------------------------------------------------------------------------------------------------- Markdown


def _page(title: str, source: str, introduction: str, sections: Iterable[str]) -> str:
    head = HEAD.format(source=source, title=title, introduction=introduction)
    return "\n".join([head, *(section.rstrip("\n") + "\n" for section in sections)])


def _table(heads: Iterable[str], rows: Iterable[Row]) -> str:
    listed = [list(heads), *([str(cell) for cell in row] for row in rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in listed]
    return "\n".join([lines[0], "|" + " --- |" * len(listed[0]), *lines[1:]]) + "\n"


def _contents(names: Iterable[str]) -> str:
    return " · ".join(f"[{name}](#{name})" for name in names) + " · [wide views](#wide-views)"


if __name__ == "__main__":
    main()
