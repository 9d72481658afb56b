"""What the company has written in its CRM. Every change goes through here, so that records and histories agree."""

from dataclasses import dataclass, field
from datetime import date, datetime

from kpimart.demo.world import Department, Pipeline, Product, Stage


@dataclass(eq=False, slots=True)
class Assignment:
    """A manager sat in a department from `valid_from` on, up to but without `valid_to`."""

    id: str
    manager: "Manager"
    department: Department
    valid_from: date
    valid_to: date | None = None


@dataclass(eq=False, slots=True)
class Manager:
    """A person who sells. `left_on` is the last day of employment."""

    id: str
    name: str
    department: Department
    skill: float
    hired_on: date
    updated_at: datetime
    left_on: date | None = None


@dataclass(eq=False, slots=True)
class Account:
    """A company that may buy. `habit` is how it buys, and `manager` who looks after it, since `handed_over_at`."""

    id: str
    name: str
    segment: str
    country: str
    currency: str
    parent: "Account | None"
    manager: Manager
    habit: str
    updated_at: datetime
    is_about_to_buy: bool = False
    handed_over_at: datetime | None = None


@dataclass(eq=False, slots=True)
class Lead:
    """Somebody who asked. It has an account and a deal once it was converted."""

    id: str
    manager: Manager
    source: str
    created_at: datetime
    updated_at: datetime
    account: Account | None = None
    deal: "Deal | None" = None
    converted_at: datetime | None = None
    is_settled: bool = False


@dataclass(eq=False, slots=True)
class Deal:
    """An opportunity. `amount` is in cents of `currency`; `created_at` is unknown for one older than the CRM.

    `duplicate_of` is the deal that this one was entered for a second time; `merged_into` the same, once it was merged.
    """

    id: str
    name: str
    account: Account | None
    manager: Manager
    pipeline: Pipeline
    stage: Stage
    product: Product
    source: str
    amount: int | None
    currency: str
    created_at: datetime | None
    expected_close_on: date | None
    lead: Lead | None
    updated_at: datetime
    closed_at: datetime | None = None
    loss_reason: str | None = None
    deleted_at: datetime | None = None
    duplicate_of: "Deal | None" = None
    merged_into: "Deal | None" = None

    @property
    def is_deleted(self) -> bool:
        """Deleted or merged away."""
        return self.deleted_at is not None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None and not self.is_deleted


@dataclass(frozen=True, slots=True)
class StageChange:
    id: str
    deal: Deal
    stage: Stage
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OwnerChange:
    id: str
    deal: Deal
    manager: Manager
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class AmountChange:
    """`amount` in cents of the deal's currency."""

    deal: Deal
    amount: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class CloseDateChange:
    deal: Deal
    expected_close_on: date
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """A next step with a deal that somebody put on their list; it stays there if the deal is closed before."""

    id: str
    manager: Manager
    deal: Deal
    account: Account | None
    due_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """What somebody did; `plan` is what had been on their list for it."""

    id: str
    kind: str
    manager: Manager
    deal: Deal | None
    lead: Lead | None
    account: Account | None
    occurred_at: datetime
    updated_at: datetime
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class TargetKey:
    kpi_code: str
    entity_level: str
    entity: str
    period_start: date
    period_grain: str = "month"


@dataclass(frozen=True, slots=True)
class Target:
    """What was last agreed for a key; `value` is in whole units of the KPI."""

    value: int
    set_at: datetime


@dataclass(slots=True)
class Crm:
    """The records, each list in the order of its making."""

    managers: list[Manager] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    leads: list[Lead] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    stage_changes: list[StageChange] = field(default_factory=list)
    owner_changes: list[OwnerChange] = field(default_factory=list)
    amount_changes: list[AmountChange] = field(default_factory=list)
    close_date_changes: list[CloseDateChange] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    targets: dict[TargetKey, Target] = field(default_factory=dict)

    def members(self, department: Department) -> list[Manager]:
        """The managers employed now who sit directly in the department."""
        return [manager for manager in self.managers if manager.left_on is None and manager.department is department]

    def hire(self, name: str, department: Department, *, skill: float, hired_on: date, now: datetime) -> Manager:
        manager = Manager(f"M-{len(self.managers) + 1:03}", name, department, skill, hired_on, now)
        self.managers.append(manager)
        self._assign(manager, department, hired_on)
        return manager

    def move(self, manager: Manager, department: Department, *, moved_on: date, now: datetime) -> None:
        self._end_assignment(manager, moved_on)
        self._assign(manager, department, moved_on)
        manager.department, manager.updated_at = department, now

    def leave(self, manager: Manager, *, left_on: date, day_after: date, now: datetime) -> None:
        self._end_assignment(manager, day_after)
        manager.left_on, manager.updated_at = left_on, now

    def _assign(self, manager: Manager, department: Department, valid_from: date) -> None:
        self.assignments.append(Assignment(f"P-{len(self.assignments) + 1:03}", manager, department, valid_from))

    def _end_assignment(self, manager: Manager, valid_to: date) -> None:
        last = next(assignment for assignment in reversed(self.assignments) if assignment.manager is manager)
        last.valid_to = valid_to

    def add_account(
        self,
        name: str,
        *,
        segment: str,
        country: str,
        currency: str,
        parent: Account | None,
        manager: Manager,
        habit: str,
        now: datetime,
    ) -> Account:
        number = f"A-{len(self.accounts) + 1:05}"
        account = Account(number, name, segment, country, currency, parent, manager, habit, now)
        self.accounts.append(account)
        return account

    def entrust(self, account: Account, manager: Manager, *, now: datetime) -> None:
        """Give an account to another manager to look after."""
        account.manager, account.handed_over_at = manager, now

    def add_lead(self, manager: Manager, source: str, *, now: datetime) -> Lead:
        lead = Lead(f"L-{len(self.leads) + 1:05}", manager, source, created_at=now, updated_at=now)
        self.leads.append(lead)
        return lead

    def convert(self, lead: Lead, deal: Deal, *, now: datetime) -> None:
        lead.account, lead.deal, lead.converted_at, lead.updated_at = deal.account, deal, now, now

    def open_deal(
        self,
        manager: Manager,
        account: Account | None,
        pipeline: Pipeline,
        product: Product,
        *,
        source: str,
        currency: str,
        amount: int | None,
        expected_close_on: date | None,
        now: datetime,
        lead: Lead | None = None,
        stage: Stage | None = None,
        is_older_than_crm: bool = False,
        duplicate_of: Deal | None = None,
    ) -> Deal:
        """Write down a new deal; its histories begin now, even where its creation is unknown."""
        deal = Deal(
            id=f"D-{len(self.deals) + 1:05}",
            name=f"{account.name if account else source}: {product.name}",
            account=account,
            manager=manager,
            pipeline=pipeline,
            stage=stage or pipeline.stages[0],
            product=product,
            source=source,
            amount=amount,
            currency=currency,
            created_at=None if is_older_than_crm else now,
            expected_close_on=expected_close_on,
            lead=lead,
            updated_at=now,
            duplicate_of=duplicate_of,
        )
        self.deals.append(deal)
        self.enter_stage(deal, deal.stage, now=now)
        self.hand_over(deal, manager, now=now)
        if amount is not None:
            self.set_amount(deal, amount, now=now)
        if expected_close_on is not None:
            self.move_close_date(deal, expected_close_on, now=now)
        return deal

    def enter_stage(self, deal: Deal, stage: Stage, *, now: datetime, loss_reason: str | None = None) -> None:
        """Move a deal to a stage of its pipeline; the stage's outcome closes or reopens it."""
        deal.stage, deal.updated_at, deal.loss_reason = stage, now, loss_reason
        deal.closed_at = None if stage.outcome == "open" else now
        self.stage_changes.append(StageChange(f"S-{len(self.stage_changes) + 1:06}", deal, stage, now))

    def hand_over(self, deal: Deal, manager: Manager, *, now: datetime) -> None:
        deal.manager, deal.updated_at = manager, now
        self.owner_changes.append(OwnerChange(f"O-{len(self.owner_changes) + 1:05}", deal, manager, now))

    def set_amount(self, deal: Deal, amount: int, *, now: datetime) -> None:
        deal.amount, deal.updated_at = amount, now
        self.amount_changes.append(AmountChange(deal, amount, now))

    def move_close_date(self, deal: Deal, expected_close_on: date, *, now: datetime) -> None:
        deal.expected_close_on, deal.updated_at = expected_close_on, now
        self.close_date_changes.append(CloseDateChange(deal, expected_close_on, now))

    def delete(self, deal: Deal, *, now: datetime) -> None:
        deal.deleted_at = deal.updated_at = now

    def merge_away(self, deal: Deal, *, now: datetime) -> None:
        """Delete a duplicate by merging it into the deal that it repeats, which keeps what it says."""
        deal.merged_into = deal.duplicate_of
        self.delete(deal, now=now)

    def log(
        self,
        kind: str,
        manager: Manager,
        *,
        occurred_at: datetime,
        now: datetime,
        deal: Deal | None = None,
        lead: Lead | None = None,
        plan: Plan | None = None,
    ) -> None:
        account = deal.account if deal else None
        number = f"T-{len(self.activities) + 1:06}"
        self.activities.append(Activity(number, kind, manager, deal, lead, account, occurred_at, now, plan))
        if plan:
            del self.plans[plan.id]

    def plan(self, number: str, deal: Deal, *, due_at: datetime, now: datetime) -> Plan:
        """Put a step on the list of the deal's manager."""
        self.plans[number] = Plan(number, deal.manager, deal, deal.account, due_at, now)
        return self.plans[number]

    def set_target(self, key: TargetKey, value: int, *, now: datetime) -> None:
        self.targets[key] = Target(value, now)
