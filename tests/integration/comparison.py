"""What was published beside what was recomputed, cell by cell."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from oracle import EIGHT_DECIMALS, KEY, KPIS, recompute
from product import Release

FIGURES = ["numerator", "denominator", "value", "sample_size"]
PERIOD = ["period_end", "is_complete"]
SHOWN = 20


def compare(release: Release, export: Path, as_of: date, *, first_export: Path | None = None) -> pd.DataFrame:
    """One row a cell that either side has: KEY, `_merge`, and each figure as `<name>_expected` and `<name>_found`."""
    found = release.query(f"select {', '.join([*KEY, *PERIOD, *FIGURES])} from reporting.kpi_value")
    expected = recompute(export, as_of, first_export=first_export)
    return expected.merge(found, on=KEY, how="outer", suffixes=("_expected", "_found"), indicator=True)


def unmatched_rows(compared: pd.DataFrame) -> str:
    """The rows that one side lacks, as text; empty when there are none."""
    return explain(compared[compared["_merge"] != "both"], ["_merge"])


def wrong_figures(compared: pd.DataFrame, column: str) -> str:
    """The cells in which the column differs, as text; empty when there are none.

    Amounts and counts must be equal. A quotient may differ by one in its eighth decimal, where it lies on the edge of
    rounding and one side divides in floating point.
    """
    both = compared[compared["_merge"] == "both"]
    sides = [f"{column}_expected", f"{column}_found"]
    quotients = {code for code, kpi in KPIS.items() if kpi.under is not None} if column == "value" else set()
    is_wrong = [
        differs(expected, found, EIGHT_DECIMALS if code in quotients else Decimal(0))
        for code, expected, found in both[["kpi_code", *sides]].itertuples(index=False)
    ]
    return explain(both[is_wrong], sides)


def differs(expected: Any, found: Any, tolerance: Decimal) -> bool:
    if isinstance(expected, Decimal) and isinstance(found, Decimal):
        return abs(expected - found) > tolerance
    both_missing = pd.isna(expected) and pd.isna(found)
    return not both_missing and bool(expected != found)


def explain(rows: pd.DataFrame, columns: list[str]) -> str:
    if rows.empty:
        return ""
    per_kpi = rows.groupby(["kpi_code", "period_grain"]).size()
    shown = rows[[*KEY, *columns]].head(SHOWN)
    return f"{len(rows)} cells, the first of them:\n{shown.to_string()}\nby KPI and grain:\n{per_kpi.to_string()}"
