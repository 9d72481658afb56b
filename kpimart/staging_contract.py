"""The contracts of the staging models: one declaration for all CRMs, a `_contract.yml` and `_sources.yml` each.

dbt enforces a contract where it is written down beside the model, and every CRM's models have the same one. So it is
declared once, in dbt_project/staging_contract.yml, and written from there for every model that is there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kpimart.extract.packages import object_names
from kpimart.paths import DBT_PROJECT

DECLARED = DBT_PROJECT / "staging_contract.yml"
STAGING = DBT_PROJECT / "models" / "staging"

# What tells the versions of a record apart.
VERSION_COLUMNS = frozenset({"version_number", "is_latest", "has_source_time", "effective_at", "recorded_at"})

_HEAD = (
    "# Written by `make docs` from dbt_project/staging_contract.yml and the list of the CRM's objects: edit those.\n"
)


class _Dumper(yaml.SafeDumper):
    """Indents lists, as the rest of the project does."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - the parent's
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the parent's
        """Write a column that stands in two models twice."""
        return True


def staging_files() -> dict[Path, str]:
    """The text of every generated file of models/staging/, by its path. Raises KeyError for an undeclared model."""
    declared: dict[str, Any] = yaml.safe_load(DECLARED.read_text(encoding="utf-8"))
    return {path: text for folder in _folders() for path, text in _files_of(folder, declared)}


def _folders() -> list[Path]:
    """The folders of the CRMs: what `kpimart` itself keeps is no CRM's."""
    return sorted(path for path in STAGING.iterdir() if path.is_dir() and path.name != "kpimart")


def _files_of(folder: Path, declared: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    crm = folder.name
    models = [_model(path.stem, declared) for path in sorted(folder.glob(f"stg_{crm}__*.sql"))]
    yield folder / "_contract.yml", _written({"models": models})
    tables = [{"name": f"{crm}__{name}"} for name in object_names(crm)]
    raw = {"name": "raw", "description": "Records as the sources gave them, in versions.", "tables": tables}
    yield folder / "_sources.yml", _written({"sources": [raw]})


def _model(name: str, declared: dict[str, Any]) -> dict[str, Any]:
    contract = declared[name.split("__")[1]]
    columns = contract.get("columns")
    if columns is None:
        versions = declared[contract["latest_of"]]["columns"]
        columns = [column for column in versions if column["name"] not in VERSION_COLUMNS]
    model = {"name": name, "description": contract["description"], "columns": columns}
    return {**model, **({"data_tests": contract["data_tests"]} if "data_tests" in contract else {})}


def _written(content: dict[str, Any]) -> str:
    dumped: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HEAD + dumped
