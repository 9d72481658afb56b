"""The settings of a run: the environment, kpimart.toml, and what Airflow keeps in connections and variables.

Airflow asks its secrets backends for both. They stand in for environment variables that are not set:

- the variable `kpimart_settings`, a JSON object of the shape of kpimart.toml;
- the connection `kpimart_<source>` of each source, such as `kpimart_hubspot`, and `kpimart_postgres`: its password is
  the token (of bitrix24 the webhook, of a database its URL), its extra has other settings of that section by name.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk import Connection, Variable, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from kpimart.errors import SettingsError
from kpimart.settings import Settings, load_settings

SETTINGS_VARIABLE = "kpimart_settings"
PASSWORD_IS = {"bitrix24": "webhook", "sql": "url", "postgres": "url"}


def settings_of_run() -> Settings:
    """The settings, with the profile of the run's parameters; raises SettingsError that names the variable."""
    _stand_in(_from_variable())
    for section in (*load_settings().sources, "postgres"):
        _stand_in(_from_connection(section))
    settings = load_settings()
    profile = get_current_context()["params"].get("profile")
    return settings.model_copy(update={"profile": profile}) if profile else settings


def _stand_in(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _from_variable() -> dict[str, str]:
    values = Variable.get(SETTINGS_VARIABLE, default=None, deserialize_json=True)
    if not isinstance(values, dict | None):
        raise SettingsError(f"variable {SETTINGS_VARIABLE}: expected a JSON object, found {type(values).__name__}")
    return dict(_variables((), values or {}))


def _from_connection(section: str) -> dict[str, str]:
    try:
        connection = Connection.get(f"kpimart_{section}")
    except AirflowNotFoundException:
        return {}
    secret = {PASSWORD_IS.get(section, "token"): connection.password} if connection.password else {}
    return dict(_variables((section,), {**connection.extra_dejson, **secret}))


def _variables(place: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
    """The environment variables that say the same as a part of kpimart.toml."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _variables((*place, name), part)
    else:
        name = "__".join(part.upper() for part in place)
        yield f"KPIMART_{name}", value if isinstance(value, str) else json.dumps(value)
