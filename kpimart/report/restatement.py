"""What a person sees of a closed month: each figure as closed, what changed it since, and as it is known now."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from rich.console import RenderableType

from kpimart import render
from kpimart.insight.restatement import Bridge, Entry, Restatement
from kpimart.language import RUSSIAN, Language, said

SHOWN_ROWS = 20

CAUSE_NAMES = {
    "definition_changed": "definition changed",
    "merged": "merged into another deal",
    "deleted": "deleted or restored",
    "late_entry": "entered late",
    "date_moved": "date moved",
    "reopened": "reopened, or decided otherwise",
    "reassigned": "reassigned",
    "amount_edit": "amount edited",
    "rate": "another exchange rate",
    "customer_history": "the customer's other purchases",
    "matured": "what became of it later",
    "details": "other details",
    "target_changed": "target changed",
    "not_split": "not split by causes",
}
_RELATIONS = {"open": "open at the month's end", "purchases": "purchase", "lapses": "customer lost"}


def of_restatement(
    found: Restatement, language: Language, *, shown_rows: int | None = SHOWN_ROWS
) -> Iterator[RenderableType]:
    """Who closed the month, a table a KPI that is another one now, the others, and what is behind the causes."""
    closing = found.closing
    told = "{period}, closed on release {release} by {name}: {note}"
    yield said(
        told,
        language,
        period=render.period_title(found.period, language),
        release=closing.release_id,
        name=closing.decided_by,
        note=closing.note,
    )
    yield render.entity_title(found.entity.level, found.entity.name, language)
    for bridge in found.bridges:
        if bridge.steps:
            yield ""
            yield render.heading(bridge.kpi, bridge.unit)
            yield _table(bridge, language)
    unchanged = ", ".join(each.kpi.name for each in found.bridges if not each.steps)
    if unchanged:
        yield said("as closed: {kpis}", language, kpis=unchanged)
    if found.entries:
        yield ""
        yield from _of_entries(found, language, shown_rows)


def _table(bridge: Bridge, language: Language) -> RenderableType:
    is_quotient = bridge.as_closed.denominator is not None or bridge.known_now.denominator is not None
    columns = ["step", "change", "figure", *(["above the line", "below the line"] if is_quotient else [])]
    sides = (bridge.as_closed, bridge.known_now)
    ends = [
        (
            said(name, language),
            "",
            render.value_text(side.value, bridge.unit),
            *_sides(side.numerator, side.denominator),
        )
        for name, side in zip(("as closed", "as known now"), sides, strict=True)
    ]
    steps = [
        (
            said(CAUSE_NAMES[step.cause], language),
            _signed(step.change, bridge.unit, language),
            render.value_text(step.value, bridge.unit),
            _plain(step.numerator_change, is_signed=True),
            _plain(step.denominator_change, is_signed=True),
        )
        for step in bridge.steps
    ]
    rows = [row[: len(columns)] for row in (ends[0], *steps, ends[1])]
    return render.rows_table([said(column, language) for column in columns], rows)


def _sides(numerator: Decimal | None, denominator: Decimal | None) -> tuple[str, str]:
    return _plain(numerator), _plain(denominator)


def _plain(number: Decimal | None, *, is_signed: bool = False) -> str:
    """A sum with all its digits and no more."""
    if number is None:
        return render.UNDEFINED
    short = number.normalize()
    places = max(0, -int(short.as_tuple().exponent))
    return f"{short:+,.{places}f}" if is_signed and number else f"{short:,.{places}f}"


def _signed(change: Decimal | None, unit: str, language: Language) -> str:
    if change is None:
        return render.UNDEFINED
    if unit == "ratio":
        return f"{change * 100:+z,.1f} {said('pp', language)}"
    return f"{'+' if change > 0 else ''}{render.value_text(change, unit)}"


def _of_entries(found: Restatement, language: Language, shown_rows: int | None) -> Iterator[RenderableType]:
    yield said("what is behind it: {count}", language, count=f"{len(found.entries):,}")
    shown = found.entries[:shown_rows]
    columns = ("cause", "id", "name", "what", "day", "credited to", "counted", "amount")
    heads = [said(column, language) for column in columns]
    heads[-1] += f", {found.currency}"
    yield render.rows_table(heads, [_entry(each, language) for each in shown])
    left = len(found.entries) - len(shown)
    if left:
        yield said("and {count} more: --all", language, count=f"{left:,}")


def _entry(each: Entry, language: Language) -> tuple[str, ...]:
    what = _RELATIONS.get(each.relation, each.what.replace("_", " "))
    return (
        said(CAUSE_NAMES[each.cause], language),
        each.subject_id,
        each.subject_name or "",
        said(what, language) if what in RUSSIAN else what,
        _turn(_day(each.occurred_on_before), _day(each.occurred_on_after)),
        _turn(each.manager_before, each.manager_after),
        _turn(str(each.count_before), str(each.count_after)),
        _turn(_amount(each.amount_before), _amount(each.amount_after)),
    )


def _day(day: date | None) -> str | None:
    return None if day is None else f"{day}"


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else render.value_text(amount, "")


def _turn(before: str | None, after: str | None) -> str:
    """What it was and what it is; once where that is the same, or only one of them is there."""
    both = [each for each in (before, after) if each is not None]
    return " → ".join(dict.fromkeys(both))
