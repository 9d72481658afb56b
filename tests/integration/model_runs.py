"""The product's side of a comparison with the model: an export taken in, and what a build says of every KPI."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

from model import KPIS, MAIN, Cell, Cut, Figure

from kpimart.clock import utc_now
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.settings import Settings
from kpimart.warehouse import open_database, open_warehouse

EIGHT_DECIMALS = Decimal("1e-8")
SHOWN = 12
CELL = "period_grain, period_start, entity_level, entity_key"
FIGURE = "period_end, is_complete, numerator, denominator, value, sample_size"


def take_in(settings: Settings, export: Path) -> None:
    """What an extraction does, without the gate, which is others' matter."""
    fetch(settings, "files", folder=export, clock=utc_now)
    with open_warehouse(settings.home) as connection:
        land(connection, settings, clock=utc_now)
        judge(connection, pending_batches(connection), "accepted", None, utc_now)


def published(database: Path) -> dict[Cell, Figure]:
    """What a build says of every KPI, in every cut."""
    with open_database(database) as connection:
        main = connection.execute(f"select kpi_code, {CELL}, {FIGURE} from kpi.kpi_value").fetchall()
        by_cut = connection.execute(
            f"select kpi_code, {CELL}, {FIGURE}, credit_lens, amount_basis, cut_by, cut_value from kpi.kpi_value_by_cut"
        ).fetchall()
    figures = {Cell(row[0], MAIN, *row[1:5]): Figure(*row[5:]) for row in main}
    return figures | {Cell(row[0], Cut(*row[11:]), *row[1:5]): Figure(*row[5:11]) for row in by_cut}


def differences(expected: dict[Cell, Figure], found: dict[Cell, Figure]) -> str:
    """The cells that one side lacks or that differ, as text; empty when there are none.

    A quotient may differ by one in its eighth decimal, where it lies on the edge of rounding and the product divides in
    floating point.
    """
    wrong = [cell for cell in expected.keys() | found.keys() if not _agree(cell, expected.get(cell), found.get(cell))]
    if not wrong:
        return ""
    wrong.sort(key=lambda cell: (cell.level != "manager_in_department", cell.grain, cell))
    shown = [f"{cell}\n  expected {expected.get(cell)}\n  found    {found.get(cell)}" for cell in wrong[:SHOWN]]
    by_kpi = Counter((cell.kpi, cell.cut.lens) for cell in wrong)
    return "\n".join([f"{len(wrong)} cells, the first of them:", *shown, f"by KPI and lens: {by_kpi.most_common()}"])


def _agree(cell: Cell, expected: Figure | None, found: Figure | None) -> bool:
    if expected is None or found is None:
        return False
    tolerance = EIGHT_DECIMALS if KPIS[cell.kpi].under else Decimal(0)
    values = expected.value, found.value
    is_near = values[0] == values[1] or (None not in values and abs(values[0] - values[1]) <= tolerance)  # type: ignore[operator]
    return is_near and expected._replace(value=None) == found._replace(value=None)
