"""What a budget comes to while it is filled in: the arithmetic of the sheet `Budget`, in decimals.

What is typed stands. A period whose parts were typed is the sum of its parts, an entity for whose departments something
was typed is theirs, and everything else is as planned before.
"""

from decimal import Decimal

from kpimart.finance.budget import Budget, Entity, Inputs, Key, Kpi, Period


def results(budget: Budget, inputs: Inputs) -> dict[Key, Decimal | None]:
    """Key → the figure that the budget has for it with these inputs; None where it has none."""
    found: dict[Key, Decimal | None] = {}
    for kpi in budget.kpis:
        # Departments before what they are parts of, periods after their parts.
        for entity in reversed(budget.entities):
            for period in budget.year.in_order:
                found[budget.key(kpi, entity, period)] = _result(budget, inputs, found, kpi, entity, period)
    return found


def _result(
    budget: Budget, inputs: Inputs, found: dict[Key, Decimal | None], kpi: Kpi, entity: Entity, period: Period
) -> Decimal | None:
    key = budget.key(kpi, entity, period)
    if key in inputs:
        return inputs[key]
    within = periods_within(budget, period)
    parts = [budget.key(kpi, entity, part) for part in budget.year.parts(period)]
    if any(budget.key(kpi, entity, part) in inputs for part in within):
        return _sum(found, parts)
    below = [budget.key(kpi, each, part) for each in budget.below(entity) for part in (*within, period)]
    if any(each in inputs for each in below):
        return _sum(found, [budget.key(kpi, child, period) for child in budget.children.get(entity.id, ())])
    plan = budget.figures[key].plan if key in budget.figures else None
    return plan if plan is not None or not parts else _sum(found, parts)


def periods_within(budget: Budget, period: Period) -> list[Period]:
    """The shorter periods that lie in one."""
    return [
        each
        for each in budget.year.periods
        if each != period and period.start <= each.start and each.end <= period.end and each.grain != period.grain
    ]


def _sum(found: dict[Key, Decimal | None], keys: list[Key]) -> Decimal | None:
    values = [found[key] for key in keys]
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
