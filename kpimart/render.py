"""How things look in a terminal: figures with separators, units and arrows, `–` for what is undefined."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kpimart.figures import Figure, Figures, Kpi, Period
from kpimart.language import Language, said
from kpimart.quality.wording import readable

UNDEFINED = "–"
# Wider than any table: nobody folds the lines of a log by hand.
PIPE_WIDTH = 10_000

_STYLES = {"better": "green", "worse": "red", "same": "dim"}


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


def interval_text(low: Decimal | None, high: Decimal | None, unit: str) -> str:
    """An interval as people write it: 54.0 % … 66.2 %."""
    return UNDEFINED if low is None or high is None else f"{value_text(low, unit)} … {value_text(high, unit)}"


def change_text(now: Decimal | None, before: Decimal | None, unit: str, language: Language = "en") -> str:
    """The change with its sign and an arrow: points for rates, per cent for the rest; empty where there is none.

    The arrow is that of the change as it is shown: what is rounded to nothing does not point anywhere.
    """
    if now is None or before is None:
        return ""
    change = now - before
    if unit != "ratio" and before == 0:
        return f"{arrow(change)} {said('from 0', language)}" if change else arrow(change)
    shown = round((change if unit == "ratio" else change / abs(before)) * 100, 1)
    return f"{arrow(shown)} {shown:+z,.1f} {said('pp', language) if unit == 'ratio' else '%'}"


def note_text(
    now: Decimal | None, before: Decimal | None, unit: str, *, is_complete: bool, language: Language = "en"
) -> str:
    """What stands below a value: its change; while the period goes on, the value of the one before.

    A period that is still going on is not compared with a whole one.
    """
    if is_complete:
        return change_text(now, before, unit, language)
    return f"{said('before', language)} {value_text(before, unit)}"


def direction(note: str, better: str) -> Literal["better", "worse", "same"]:
    """What a note as `note_text` gives it means for a KPI of which more, or less, is better ("higher" or "lower")."""
    if not note.startswith(("▲", "▼")):
        return "same"
    return "better" if note.startswith("▲") == (better == "higher") else "worse"


def period_title(period: Period, language: Language = "en") -> str:
    """The first and the last day of a period, and whether it goes on."""
    days = f"{period.start} … {period.end}"
    return days if period.is_complete else f"{days}, {said('going on', language)}"


def entity_title(level: str, name: str, language: Language = "en") -> str:
    """What an entity is called; the company has no name of its own."""
    return said("Company", language) if level == "company" else name


def arrow(change: Decimal) -> str:
    """Where a change points."""
    return "→" if change == 0 else "▲" if change > 0 else "▼"


def figures_table(figures: Figures, level: str, language: Language = "en") -> Table:
    """One row an entity, one column a KPI: its value, and below it how that compares with the period before."""
    table = Table(title=period_title(figures.period, language), title_justify="left", header_style="bold")
    table.add_column(said(level.capitalize(), language), no_wrap=True)
    for kpi in figures.kpis:
        unit = next((figure.unit for figure in figures.figures if figure.kpi_code == kpi.kpi_code), None)
        table.add_column(heading(kpi, unit), justify="right")
    for _, name, cells in by_entity(figures):
        shown = readable(entity_title(level, name, language))
        table.add_row(shown, *(_cell(cells.get(kpi.kpi_code), kpi, figures, language) for kpi in figures.kpis))
    return table


def facts(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and what is to be said of them, aligned."""
    table = Table.grid(padding=(0, 2))
    for name, told in pairs:
        table.add_row(Text(name, style="dim"), readable(told) if isinstance(told, str) else told)
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
            *(
                f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else readable(str(cell))
                for cell in row
            )
        )
    return table


def console(*, to_stderr: bool = False) -> Console:
    """Where people read; a pipe gets plain text of the width that it needs."""
    # Names are people's: `[North]` is a department and no markup, `:key:` an account and no picture.
    made = Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def heading(kpi: Kpi, unit: str | None) -> str:
    """The KPI's name, with the currency where it is an amount; `unit` is that of its values, None where it has none."""
    is_amount = unit not in (None, "ratio", "count", "days", "hours")
    return f"{kpi.name}, {unit.replace('_per_day', '/day')}" if unit and is_amount else kpi.name


def by_entity(figures: Figures) -> list[tuple[str, str, dict[str, Figure]]]:
    """Key and name of each entity, with its figures by KPI."""
    entities: dict[str, tuple[str, str, dict[str, Figure]]] = {}
    for figure in figures.figures:
        entity = entities.setdefault(figure.entity_key, (figure.entity_key, figure.entity_name, {}))
        entity[2][figure.kpi_code] = figure
    return list(entities.values())


def _cell(figure: Figure | None, kpi: Kpi, figures: Figures, language: Language) -> RenderableType:
    if figure is None:
        return UNDEFINED
    value = Text(value_text(figure.value, figure.unit), justify="right")
    is_complete = figures.period.is_complete
    note = note_text(figure.value, figure.value_before, figure.unit, is_complete=is_complete, language=language)
    style = _STYLES[direction(note, kpi.better)]
    return Group(value, Text(note, style=style, justify="right")) if note else value
