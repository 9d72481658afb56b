"""What a person sees of the pipeline and of how the CRM is kept."""

from collections.abc import Iterator
from itertools import groupby

from rich.console import RenderableType

from kpimart import render
from kpimart.insight.pipeline import TAKEN_AWAY, Discipline, Finding, Step, Waterfall, Waterfalls
from kpimart.language import Language, said

STEP_NAMES = {
    "opening": "opening",
    "created": "created",
    "transferred_in": "transferred in",
    "pulled_in": "pulled in",
    "increased": "increased",
    "reopened": "reopened",
    "won": "won",
    "lost": "lost",
    "pushed_out": "pushed out",
    "decreased": "decreased",
    "transferred_out": "transferred out",
    "deleted": "deleted",
    "closing": "closing",
    "won_within": "not in it before, and won",
    "lost_within": "not in it before, and lost",
}
_CHANGES_AMOUNTS = frozenset({"increased", "decreased"})
_RULES = {
    "pushed_close_date": "deals whose close date was pushed",
    "stale_deal": "deals in their stage for more than {days} days",
    "loser_never_closed": "deals idle for {days} days",
    "missing_next_step": "deals without a next step",
    "overdue_close_date": "deals past their close date",
    "backdated_win": "wins recorded after the period",
}
_MOVES = {
    "win_rate": "{kpi} {before} → {after} if {concerned} counted as lost",
    "open_amount": "{kpi} {before} → {after} without {concerned}",
    "won_amount": "{kpi} {before} → {after} without {concerned}",
}


def of_waterfalls(found: Waterfalls, level: str, language: Language) -> Iterator[RenderableType]:
    """A table an entity: each step of its waterfall with its deals and its amount."""
    scope = "open deals" if found.scope == "open" else "deals expected to close by the end of the quarter"
    if found.scope == "due" and found.period.grain == "year":
        scope = "deals expected to close by the end of the year"
    yield f"{render.period_title(found.period, language)}: {said(scope, language)}"
    for each in found.waterfalls:
        yield render.entity_title(level, each.entity_name, language)
        yield render.rows_table(
            [said("step", language), said("deals", language), f"{said('amount', language)}, {found.unit}"],
            _rows(each, found, language),
        )
        if found.scope == "due":
            told = "open deals without an expected close date, in no due pipeline: {count}"
            yield said(told, language, count=f"{each.closing_undated_deals:,}")


def _rows(each: Waterfall, found: Waterfalls, language: Language) -> Iterator[tuple[str, ...]]:
    for step in (*each.steps, *each.within):
        if step.deals or step.name in ("opening", "closing"):
            sign = "−" if step.name in TAKEN_AWAY else "" if step in (each.steps[0], each.steps[-1]) else "+"
            yield _row(step, "" if step in each.within else sign, found.unit, language)


def _row(step: Step, sign: str, unit: str, language: Language) -> tuple[str, ...]:
    deals = f"({step.deals:,})" if step.name in _CHANGES_AMOUNTS else f"{sign}{step.deals:,}"
    amount = render.value_text(step.amount, unit)
    # What comes to nothing goes neither up nor down.
    has_sign = step.amount is not None and round(step.amount, 2) != 0
    return said(STEP_NAMES[step.name], language), deals, f"{sign}{amount}" if has_sign else amount


def of_discipline(found: Discipline, level: str, language: Language) -> Iterator[RenderableType]:
    """Sentences of how far a KPI would move, and what cannot be known; the rules that nobody breaks say so.

    Of whoever has no deal nothing is said.
    """
    yield render.period_title(found.period, language)
    for (_, name), findings in groupby(found.findings, key=lambda each: (each.entity_key, each.entity_name)):
        of_entity = tuple(findings)
        if any(each.deals for each in of_entity):
            yield render.entity_title(level, name, language)
            for each in of_entity:
                yield f"  {_sentence(each, language)}"


def _sentence(each: Finding, language: Language) -> str:
    concerned = said(_RULES[each.rule], language, days=each.after_days)
    if each.deals_concerned is None:
        return said("{concerned}: not known, the source does not tell", language, concerned=concerned)
    counted = said(
        "{concerned}: {count} of {of}",
        language,
        concerned=concerned,
        count=f"{each.deals_concerned:,}",
        of=f"{each.deals_looked_at:,}",
    )
    if not each.strict_deals or each.kpi_value is None or each.strict_kpi_value is None:
        return counted
    moved = said(
        _MOVES[each.kpi_code],
        language,
        kpi=each.kpi_name,
        before=render.value_text(each.kpi_value, each.unit),
        after=render.value_text(each.strict_kpi_value, each.unit),
        concerned=said("the {count} of the period", language, count=f"{each.strict_deals:,}")
        if each.rule == "loser_never_closed"
        else said("they" if each.kpi_code == "win_rate" else "them", language),
    )
    return f"{counted}; {moved}"
