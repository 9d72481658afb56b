"""Tables of customers for people: who came and went, who comes back, what accounts are worth."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kpimart import render
from kpimart.figures import Period
from kpimart.insight.customers import SEGMENTS, SHOWN_PERIODS, Cohort, Counts, CustomerBase, SegmentCounts
from kpimart.language import Language, said
from kpimart.quality.wording import readable

# Column of customer_base → what people call it, and its unit.
COLUMN_NAMES = {
    "opening_customers": ("At the start", "count"),
    "first_time_customers": ("First purchase", "count"),
    "returned_customers": ("Returned", "count"),
    "taken_over_customers": ("Taken over", "count"),
    "handed_over_customers": ("Handed over", "count"),
    "lost_customers": ("Lost", "count"),
    "closing_customers": ("At the end", "count"),
    "active_customers": ("Bought", "count"),
    "repeat_customers": ("Not for the first time", "count"),
    "regular_customers": ("Regular", "count"),
    "potential_customers": ("Potential", "count"),
    "won_amount": ("Won amount", "amount"),
    "top_10_share": ("Share of the ten largest", "ratio"),
}


def of_base(base: CustomerBase, level: str, language: Language) -> Iterator[RenderableType]:
    """One row an entity: who came, who went, who bought; below each how it compares with the period before."""
    table = _table(
        render.period_title(base.period, language),
        level,
        [said(name, language) for name, _ in COLUMN_NAMES.values()],
        language,
    )
    for entity in base.entities:
        cells = [_cell(entity.counts, entity.before, column, base.period, language) for column in COLUMN_NAMES]
        table.add_row(readable(render.entity_title(level, entity.entity_name, language)), *cells)
    yield table
    yield said("at the end = at the start + first purchase + returned + taken over - handed over - lost", language)


def of_cohorts(cohorts: Sequence[Cohort], level: str, language: Language) -> Iterator[RenderableType]:
    """One row a cohort: how many came, what they bought by now, which share of them bought in each period since."""
    columns = (said("First purchase", language), said("Customers", language), said("Bought for, so far", language))
    table = _table(
        said("Share that bought in the period of the first purchase (0) and in those after it", language),
        level,
        [*columns, *map(str, range(SHOWN_PERIODS + 1))],
        language,
    )
    for cohort in cohorts:
        rates: list[Decimal | None] = [*cohort.retention_rates]
        rates += [None] * (SHOWN_PERIODS + 1 - len(rates))
        table.add_row(
            readable(render.entity_title(level, cohort.entity_name, language)),
            cohort.cohort_name,
            render.value_text(Decimal(cohort.cohort_customers), "count"),
            render.value_text(cohort.cumulative_won_amount, "amount"),
            *(render.value_text(rate, "ratio") for rate in rates),
        )
    yield table


def of_segments(segments: Sequence[SegmentCounts], level: str, language: Language) -> Iterator[RenderableType]:
    """One row an entity: how many accounts are in each segment, and how many are not scored, where some are not."""
    named = [*SEGMENTS, *([None] if any(None in each.accounts for each in segments) else [])]
    headings = [_segment_name(segment, language) for segment in named]
    table = _table(said("Accounts by segment", language), level, headings, language)
    for each in segments:
        counts = (render.value_text(Decimal(each.accounts.get(segment, 0)), "count") for segment in named)
        table.add_row(readable(render.entity_title(level, each.entity_name, language)), *counts)
    yield table


def _segment_name(segment: str | None, language: Language) -> str:
    if segment == "lost":
        # An account's word: a deal that is lost has another one.
        return said("Lost", language).lower()
    return said(segment or "not scored", language).replace("_", " ")


def _table(title: str, level: str, columns: Sequence[str], language: Language) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column(said(level.capitalize(), language), no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _cell(now: Counts, before: Counts | None, column: str, period: Period, language: Language) -> RenderableType:
    _, unit = COLUMN_NAMES[column]
    value = _decimal(getattr(now, column))
    was = _decimal(getattr(before, column)) if before else None
    note = render.note_text(value, was, unit, is_complete=period.is_complete, language=language)
    shown = Text(render.value_text(value, unit), justify="right")
    return Group(shown, Text(note, style="dim", justify="right")) if note else shown


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)
