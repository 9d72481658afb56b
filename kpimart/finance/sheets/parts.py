"""What the company is made of, each sale once: its departments, and whoever sits above departments of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from kpimart.finance.budget import Budget, Entity, Figures, Kpi, Period

Take = Callable[[Figures], Decimal | None]


@dataclass(frozen=True)
class Part:
    """An entity, less those that are told apart from it: what remains is who sits in it directly."""

    entity: Entity
    less: tuple[Entity, ...] = ()

    def figure(self, budget: Budget, kpi: Kpi, period: Period, take: Take) -> Decimal | None:
        """What is known of it, None where it is not of all that it is reckoned from."""
        whole = take(budget.at(kpi, self.entity, period))
        others = [take(budget.at(kpi, each, period)) for each in self.less]
        known = [each for each in others if each is not None]
        return whole - sum(known, Decimal(0)) if whole is not None and len(known) == len(others) else None

    def managers(self, budget: Budget) -> int:
        """How many people sell there now."""
        return budget.managers[self.entity.id] - sum(budget.managers[each.id] for each in self.less)


def parts_of(budget: Budget) -> list[Part]:
    """The parts, in the order of the tree; what remains of an entity is one if it has people or sold anything."""
    kpi = budget.kpis[0]
    periods = [budget.year.year, budget.running.year]
    found = []
    for entity in budget.entities:
        below = tuple(budget.children.get(entity.id, ()))
        part = Part(entity, below)
        sold = [
            part.figure(budget, kpi, period, take)
            for period in periods
            for take in (lambda known: known.outlook, lambda known: known.last_year)
        ]
        if not below or part.managers(budget) or any(sold):
            found.append(part)
    return found
