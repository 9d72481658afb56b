"""The budget as an Excel workbook: what was and what is forecast, where finance types, and what it comes to at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from kpimart.finance.budget import Budget, Inputs, read_budget
from kpimart.finance.sheets import audit, budget, drivers, notes, outlook, overview, scenarios
from kpimart.finance.sheets.book import SHEETS, Book
from kpimart.language import Language
from kpimart.publish import contract
from kpimart.publish.files import sha256
from kpimart.publish.manifest import MANIFEST_FILE
from kpimart.publish.release import silently
from kpimart.publish.shelf import Release
from kpimart.publish.workbook import written

FORMAT = "1"


@dataclass(frozen=True)
class WrittenBudget:
    """What was written: the year, and how many KPIs, entities and cells to type in."""

    file: Path
    release_id: str
    year: str
    kpis: int
    entities: int
    input_cells: int


def export_budget(
    release: Release,
    file: Path,
    year: int,
    zone: ZoneInfo,
    language: Language = "en",
    *,
    inputs: Inputs | None = None,
    tell: Callable[[str], None] = silently,
) -> WrittenBudget:
    """Write the budget workbook of a year from a verified release.

    inputs: what is typed already, for who fills it in by program. The file is there whole or as it was before. Raises
    SettingsError for another ending and for a year that the release cannot plan, and StorageFailed.
    """
    with written(file) as packed:
        planned = read_budget(release.database, year, language)
        made = Book(packed, planned, release, language)
        made.book.set_properties(
            {"title": made.say("Budget {year}", year=planned.year.name), "created": release.published_at}
        )
        typed = inputs or {}
        command = f'kpimart import budget {file.name} --by "{made.say("NAME")}"'
        tell("writing notes")
        notes.write(made, zone, facts_of(made), command)
        tell("writing the budget")
        budget.write(made, typed)
        overview.write(made, typed)
        outlook.write(made)
        tell("writing drivers and scenarios")
        if {drivers.LEADS, drivers.DEALS, drivers.AMOUNT} <= {kpi.kpi_code for kpi in planned.kpis}:
            drivers.write(made)
        scenarios.write(made, typed)
        tell("writing where it comes from")
        audit.write(made, zone)
        made.sheets["Budget"].activate()
        made.book.close()
    return WrittenBudget(
        file, release.release_id, planned.year.name, len(planned.kpis), len(planned.entities), _input_cells(planned)
    )


def facts_of(made: Book) -> dict[str, str]:
    """What the import needs to know of a workbook: what it was made from, what its sheets are called, and its rows."""
    release = made.release
    return {
        "format": FORMAT,
        "release_id": release.release_id,
        "as_of": release.as_of.isoformat(),
        "known_at": release.known_at.isoformat(),
        "manifest_sha256": sha256(release.folder / MANIFEST_FILE),
        "contract_version": contract.CONTRACT_VERSION,
        "year": made.budget.year.name,
        "language": made.language,
        **{f"sheet:{name}": made.say(name) for name in SHEETS},
        **{f"row:{place}": "|".join(map(str, key)) for key, place in budget.rows_of(made.budget).items()},
    }


def _input_cells(planned: Budget) -> int:
    open_periods = sum(planned.is_open(period) for period in planned.year.periods)
    return len(planned.kpis) * len(planned.entities) * open_periods
