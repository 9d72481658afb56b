"""How things look in a terminal: figures with separators, units and arrows, `–` for what is undefined."""

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kpimart.figures import Figure, Figures, Kpi
from kpimart.language import Language, said

UNDEFINED = "–"
# Wider than any table: nobody folds the lines of a log by hand.
PIPE_WIDTH = 10_000


def value_text(value: Decimal | None, unit: str) -> str:
    """A value as people write it: 3,086,111.00 (amounts), 1,254 (counts), 61.7 % (rates), 51.8 (days, hours)."""
    if value is None:
        return UNDEFINED
    match unit:
        case "ratio":
            return f"{value * 100:z,.1f} %"
        case "count":
            return f"{value:z,.0f}"
        case "days" | "hours":
            return f"{value:z,.1f}"
        case _:
            return f"{value:z,.2f}"


def change_text(now: Decimal | None, before: Decimal | None, unit: str) -> str:
    """The change with its sign and an arrow: points for rates, per cent for the rest; empty where there is none.

    The arrow is that of the change as it is shown: what is rounded to nothing does not point anywhere.
    """
    if now is None or before is None:
        return ""
    change = now - before
    if unit != "ratio" and before == 0:
        return f"{_arrow(change)} from 0" if change else _arrow(change)
    shown = round((change if unit == "ratio" else change / abs(before)) * 100, 1)
    return f"{_arrow(shown)} {shown:+z,.1f} {'pp' if unit == 'ratio' else '%'}"


def _arrow(change: Decimal) -> str:
    return "→" if change == 0 else "▲" if change > 0 else "▼"


def figures_table(figures: Figures, level: str, language: Language = "en") -> Table:
    """One row an entity, one column a KPI: its value, and below it the change on the period before.

    A period that is still going on is not compared with a whole one: below its value stands that of the period before.
    """
    whose = said(level.capitalize(), language)
    period = figures.period
    title = f"{period.start} … {period.end}"
    if not period.is_complete:
        title += f", {said('going on', language)}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column(whose, no_wrap=True)
    for kpi in figures.kpis:
        table.add_column(_heading(kpi, figures), justify="right")
    for name, cells in _by_entity(figures):
        # the company has no name of its own
        shown = whose if level == "company" else name
        table.add_row(shown, *(_cell(cells.get(kpi.kpi_code), kpi, figures, language) for kpi in figures.kpis))
    return table


def facts(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and what is to be said of them, aligned."""
    table = Table.grid(padding=(0, 2))
    for name, told in pairs:
        table.add_row(Text(name, style="dim"), told)
    return table


def rows_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A plain table; numbers stand to the right."""
    table = Table(header_style="bold")
    listed = [list(row) for row in rows]
    for position, column in enumerate(columns):
        is_number = bool(listed) and all(
            isinstance(row[position], int | Decimal) and not isinstance(row[position], bool) for row in listed
        )
        table.add_column(column, justify="right" if is_number else "left")
    for row in listed:
        table.add_row(
            *(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell) for cell in row)
        )
    return table


def console(*, to_stderr: bool = False) -> Console:
    """Where people read; a pipe gets plain text of the width that it needs."""
    # Names are people's: `[North]` is a department and no markup, `:key:` an account and no picture.
    made = Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def _heading(kpi: Kpi, figures: Figures) -> str:
    unit = next((figure.unit for figure in figures.figures if figure.kpi_code == kpi.kpi_code), "")
    is_amount = unit not in ("", "ratio", "count", "days", "hours")
    return f"{kpi.name}, {unit.replace('_per_day', '/day')}" if is_amount else kpi.name


def _by_entity(figures: Figures) -> list[tuple[str, dict[str, Figure]]]:
    entities: dict[str, tuple[str, dict[str, Figure]]] = {}
    for figure in figures.figures:
        entities.setdefault(figure.entity_key, (figure.entity_name, {}))[1][figure.kpi_code] = figure
    return list(entities.values())


def _cell(figure: Figure | None, kpi: Kpi, figures: Figures, language: Language) -> RenderableType:
    if figure is None:
        return UNDEFINED
    value = Text(value_text(figure.value, figure.unit), justify="right")
    if not figures.period.is_complete:
        before = f"{said('before', language)} {value_text(figure.value_before, figure.unit)}"
        return Group(value, Text(before, style="dim", justify="right"))
    change = change_text(figure.value, figure.value_before, figure.unit)
    is_good = change.startswith("▲") == (kpi.better == "higher")
    style = "dim" if not change or change.startswith("→") else "green" if is_good else "red"
    return Group(value, Text(change, style=style, justify="right")) if change else value
