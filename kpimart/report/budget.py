"""What a person reads of a budget workbook that was written, or read back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from kpimart import render

if TYPE_CHECKING:
    from kpimart.finance.budget_import import ImportedBudget
    from kpimart.finance.budget_workbook import WrittenBudget
    from kpimart.settings import Settings


def of_written(done: "WrittenBudget") -> Iterator[RenderableType]:
    """What is in the workbook, and what to do with it."""
    yield (
        f"budget {done.year} from release {done.release_id}: {done.kpis} KPIs of {done.entities} entities, "
        f"{done.input_cells:,} cells to type in, in {done.file}"
    )
    yield f'when it is filled in:  kpimart import budget {done.file} --by "NAME"'


def of_imported(settings: "Settings", done: "ImportedBudget") -> Iterator[RenderableType]:
    """What was set, KPI by KPI, and from when it counts."""
    for warning in done.warnings:
        yield f"warning: {warning}"
    decided_at = f"{done.decided_at.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"
    if done.is_repeated:
        yield f"budget {done.year}: {done.file} was imported so already, on {decided_at}: nothing was recorded"
        return
    yield f"budget {done.year} is decided by {done.decided_by}: {done.cells:,} cells came to {done.targets:,} targets"
    yield render.rows_table(
        ("KPI", "together", "departments", "managers"),
        [
            (
                f"{total.name} ({total.unit})",
                render.value_text(total.value, total.unit),
                total.departments,
                total.managers,
            )
            for total in done.totals
        ],
    )
    yield f"they count for figures as of {decided_at} and later; the next run has them as plan in budget_input"
