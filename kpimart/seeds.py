"""The seeds: what people decide, as `*.csv` files: those of the project, and a company's own in their place."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.paths import SEEDS

LATER_COLUMNS: Mapping[str, Mapping[str, str]] = {"kpi_profile.csv": {"threshold": "0.5", "cap": "1.5"}}
"""Columns that seeds have not always had, with what holds for rows from before: file name → column → value."""


def seed_file(name: str, own: Path | None) -> Path:
    """Where a seed lies, such as `kpi_profile.csv`. own: the company's folder, as the setting `seeds` names it."""
    return own / name if own and (own / name).exists() else SEEDS / name


def own_seeds(own: Path | None, shipped: Path = SEEDS) -> dict[str, Path]:
    """File name → file, of the seeds that a company has of its own.

    Raises SettingsError if there is no such folder, or if a file in it stands in for no seed of the project.
    """
    if own is None:
        return {}
    if not own.is_dir():
        raise SettingsError(f"seeds: {own}: there is no such folder; it holds the company's own seeds")
    known = sorted(path.name for path in shipped.glob("*.csv"))
    found = {path.name: path for path in sorted(own.glob("*.csv"))}
    for name in sorted(found.keys() - set(known)):
        raise SettingsError(f"seeds: {own / name}: stands in for no seed; there are {', '.join(known)}")
    return found


def seed_texts(own: Path | None, shipped: Path = SEEDS) -> dict[str, str]:
    """File name → content, of every seed. Raises SettingsError for a folder that is not there, and as `own_seeds`."""
    if not shipped.is_dir():
        raise SettingsError(f"{shipped}: there is no such folder of seeds; it holds what people decide, as *.csv")
    files = {path.name: path for path in sorted(shipped.glob("*.csv"))} | own_seeds(own, shipped)
    return {name: path.read_text(encoding="utf-8-sig") for name, path in files.items()}


def with_later_columns(name: str, content: str) -> str:
    """A seed as it was recorded once, with the columns that it has now, so that models can read it."""
    reader = csv.DictReader(io.StringIO(content))
    columns = reader.fieldnames or []
    missing = {column: value for column, value in LATER_COLUMNS.get(name, {}).items() if column not in columns}
    if not missing:
        return content
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *missing], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **missing} for row in reader)
    return text.getvalue()
