"""What a company's CRM told, as the model of its KPIs reads it: records in their versions, and what was decided.

`company_of` makes a company of canonical records, in the order in which they arrived. A record that was told of again
is one with several versions, in the order of the moments that the source names.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any
from zoneinfo import ZoneInfo

from model_calendar import ONE_DAY, Calendar

SOURCE = "files"
UNASSIGNED = f"{SOURCE}:(unassigned)"
BEGINNING, END = date.min, date(9999, 12, 31)
SATURDAY = 5

Row = Mapping[str, Any]
Records = Mapping[str, Iterable[Row]]
"""Canonical object → its records as they arrived, under the canonical names of their columns."""


@dataclass(frozen=True)
class Stage:
    """What being in a stage means; `probability` weighs what is open there."""

    outcome: str
    probability: Decimal | None = None


@dataclass(frozen=True)
class Decisions:
    """What people decided. `stages` go by (pipeline, name); `rates` are (currency, first day, rate), by day.

    `holidays`: days → whether they are worked, where that is not what their weekday says.
    """

    zone: ZoneInfo
    base_currency: str
    stages: Mapping[tuple[str, str], Stage]
    rates: tuple[tuple[str, date, Decimal], ...]
    holidays: Mapping[date, bool] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)
    max_rate_age: timedelta = timedelta(days=31)
    regular_window: timedelta = timedelta(days=365)
    regular_purchases: int = 3
    lost_after: timedelta = timedelta(days=365)
    stale_after: timedelta = timedelta(days=30)

    def day(self, moment: datetime) -> date:
        """The business day of a moment."""
        return moment.astimezone(self.zone).date()

    def moment(self, day: date, hour: int = 0) -> datetime:
        """The moment at which a business day, or an hour of it, begins."""
        return datetime(day.year, day.month, day.day, hour, tzinfo=self.zone).astimezone(UTC)

    def is_working_day(self, day: date) -> bool:
        """It is one from Monday to Friday and no holiday, or one that is worked in exchange for another."""
        return self.holidays.get(day, day.weekday() < SATURDAY)

    @cached_property
    def _rates_of(self) -> dict[str, list[tuple[date, Decimal]]]:
        found = defaultdict(list)
        for currency, day, rate in sorted(self.rates):
            found[currency].append((day, rate))
        return found

    def rate(self, currency: str, day: date) -> Decimal:
        """Units of the base currency for one of this: the latest on or before the day, unless that is too old."""
        if currency == self.base_currency:
            return Decimal(1)
        known = self._rates_of[currency]
        last, rate = known[bisect_right(known, (day, Decimal("Infinity"))) - 1]
        if not last <= day <= last + self.max_rate_age:
            raise LookupError(f"no rate of {currency} on {day}")
        return rate

    def latest_rate(self, currency: str, day: date) -> Decimal:
        """The latest rate on or before the day, however old."""
        if currency == self.base_currency:
            return Decimal(1)
        return [rate for first, rate in self._rates_of[currency] if first <= day][-1]


@dataclass(frozen=True)
class DealVersion:
    """A deal as the CRM showed it from `effective_at` on. Amounts are in cents of the deal's currency."""

    effective_at: datetime
    manager: str | None
    account: str | None
    pipeline: str
    stage: str
    product: str | None
    source: str | None
    amount: int | None
    currency: str
    created_at: datetime | None
    closed_at: datetime | None
    expected_close_on: date | None
    is_deleted: bool


@dataclass(frozen=True, order=True)
class Change:
    """From `at` on, the deal is in another stage, or another manager's."""

    at: datetime
    change_id: str
    value: str


@dataclass(frozen=True)
class Split:
    """A manager's stated part of a deal, from a day on."""

    manager: str
    share: Decimal
    is_overlay: bool
    valid_from: date


@dataclass(frozen=True)
class Deal:
    """A deal in all its versions, with its histories of stages and owners as far as there are any."""

    deal_id: str
    versions: tuple[DealVersion, ...]
    stage_changes: tuple[Change, ...]
    owner_changes: tuple[Change, ...]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Lead:
    lead_id: str
    manager: str
    source: str | None
    deal: str | None
    created_at: datetime | None
    converted_at: datetime | None


@dataclass(frozen=True)
class Activity:
    kind: str
    manager: str
    deal: str | None
    lead: str | None
    occurred_at: datetime


@dataclass(frozen=True)
class NextStep:
    """An activity for a deal is planned from the moment at which it was entered, until it is due, done or deleted."""

    deal: str
    planned_from: datetime
    planned_until: datetime


@dataclass(frozen=True)
class Target:
    """What an entity is to win in a period, as it was set at a moment; without one, always."""

    grain: str
    start: date
    level: str
    key: str
    set_at: datetime | None
    value: Decimal


@dataclass(frozen=True)
class Employment:
    """A manager that the CRM lists: employed from the first day to the last, both included."""

    hired_on: date = BEGINNING
    left_on: date = END


@dataclass(frozen=True)
class Company:
    """All that is known of a company.

    `seats`: manager → (first day, department), by day; what is known of nobody is UNASSIGNED. `places`: department →
    (since when, department above), in order; the first since always.
    """

    decisions: Decisions
    deals: tuple[Deal, ...]
    leads: tuple[Lead, ...]
    activities: tuple[Activity, ...]
    next_steps: tuple[NextStep, ...]
    targets: tuple[Target, ...]
    employments: Mapping[str, Employment]
    seats: Mapping[str, list[tuple[date, str]]]
    places: Mapping[str, list[tuple[datetime | None, str | None]]]

    def department(self, manager: str, day: date) -> str:
        """Where a manager sits on a day."""
        stays = self.seats.get(manager)
        return _on(stays, day) if stays else UNASSIGNED


class Trees:
    """The tree of departments on each day.

    A change counts from its day on: on the last day that is spoken of, only what came before the moment that ends it.
    """

    def __init__(self, company: Company, as_of: datetime, last_day: date) -> None:
        def first_day(at: datetime | None) -> date:
            if at is None:
                return BEGINNING
            day = company.decisions.day(at)
            return day if at < as_of else max(day, last_day + ONE_DAY)

        self._places: dict[str, list[tuple[date, str | None]]] = {
            department: sorted({first_day(at): above for at, above in told}.items())
            for department, told in company.places.items()
        }
        self.reorganisations = sorted({BEGINNING} | {day for places in self._places.values() for day, _ in places})
        """The days on which some department has another one above it than before, the beginning first."""
        self._above: dict[tuple[str, int], tuple[str, ...]] = {}

    def number(self, day: date) -> int:
        """Which tree holds on a day."""
        return bisect_right(self.reorganisations, day) - 1

    def departments_above(self, department: str, tree: int) -> tuple[str, ...]:
        """The department and all above it, from below."""
        found = self._above.get((department, tree))
        if found is None:
            places = self._places.get(department)
            above = _on(places, self.reorganisations[tree]) if places else None
            found = (department, *(self.departments_above(above, tree) if above else ()))
            self._above[department, tree] = found
        return found


def _on(stretches: list[tuple[date, Any]], day: date) -> Any:
    """What holds on a day, of (first day, value)."""
    return [value for first, value in stretches if first <= day][-1]


# ---------------------------------------------------------------------------------------------------- making of it


def company_of(records: Records, decisions: Decisions) -> Company:
    """The company that all these records tell of."""
    read = _Reader(records, decisions)
    return Company(
        decisions=decisions,
        deals=read.deals(),
        leads=tuple(read.leads()),
        activities=tuple(read.activities()),
        next_steps=tuple(read.next_steps()),
        targets=tuple(read.targets()),
        employments=read.employments(),
        seats=read.seats(),
        places=read.places(),
    )


class _Reader:
    def __init__(self, records: Records, decisions: Decisions) -> None:
        self._records = records
        self._decisions = decisions

    def versions(self, name: str, *key: str) -> dict[str, list[Row]]:
        """Id → the record's versions, by the source's time; of equal ones the first, of undated ones as they came."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self._records.get(name, ()):
            versions = found["|".join(str(row[column]) for column in key or ("id",))]
            if row not in versions:
                versions.append(row)
        for versions in found.values():
            versions.sort(key=lambda row: moment_of(row.get("updated_at")) or datetime.min.replace(tzinfo=UTC))
        return found

    def latest(self, name: str, *key: str) -> dict[str, Row]:
        """Id → the version that stands, of what is not deleted."""
        last = {row_id: versions[-1] for row_id, versions in self.versions(name, *key).items()}
        return {row_id: row for row_id, row in last.items() if not row.get("is_deleted")}

    def changes(self, name: str, value: str) -> dict[str, list[Change]]:
        by_deal: dict[str, list[Change]] = defaultdict(list)
        for change_id, row in self.latest(name).items():
            at = moment_of(row["changed_at"])
            by_deal[row["deal"]].append(Change(at, named(change_id), row[value]))  # type: ignore[arg-type]
        return by_deal

    def deals(self) -> tuple[Deal, ...]:
        stages = self.changes("stage_changes", "stage")
        owners = self.changes("owner_changes", "manager")
        splits: dict[str, list[Split]] = defaultdict(list)
        for row in self.latest("deal_splits", "deal", "manager", "valid_from", "is_overlay").values():
            valid_from = date.fromisoformat(row["valid_from"]) if row["valid_from"] else BEGINNING
            splits[row["deal"]].append(
                Split(named(row["manager"]), Decimal(row["share"]), bool(row["is_overlay"]), valid_from)
            )
        return tuple(
            Deal(
                deal_id=named(deal_id),
                versions=self._deal_versions(deal_id, versions),
                stage_changes=tuple(sorted(stages[deal_id])),
                owner_changes=tuple(
                    sorted(Change(each.at, each.change_id, named(each.value)) for each in owners[deal_id])
                ),
                splits=tuple(splits[deal_id]),
            )
            for deal_id, versions in self.versions("deals").items()
        )

    def _deal_versions(self, deal_id: str, rows: list[Row]) -> tuple[DealVersion, ...]:
        return tuple(
            DealVersion(
                effective_at=moment_of(row["updated_at"]),  # type: ignore[arg-type]
                manager=named(row["manager"]),
                account=named(row["account"]),
                pipeline=named(row.get("pipeline") or "default"),
                stage=row["stage"],
                product=row["product"],
                source=row["source"],
                amount=None if row["amount"] is None else int(Decimal(row["amount"]) * 100),
                currency=row["currency"] or self._decisions.base_currency,
                created_at=moment_of(row["created_at"]),
                closed_at=moment_of(row["closed_at"]),
                expected_close_on=day_of(row["expected_close_on"]),
                # What is a part of another deal is there no more, whatever its own record says.
                is_deleted=bool(row["is_deleted"])
                or (place == len(rows) and row.get("merged_into") not in (None, deal_id)),
            )
            for place, row in enumerate(rows, start=1)
        )

    def leads(self) -> Iterable[Lead]:
        for lead_id, row in self.latest("leads").items():
            yield Lead(
                named(lead_id),
                named(row["manager"]) or UNASSIGNED,
                row["source"],
                named(row["deal"]),
                moment_of(row["created_at"]),
                moment_of(row["converted_at"]),
            )

    def activities(self) -> Iterable[Activity]:
        for row in self.latest("activities").values():
            occurred_at = moment_of(row["occurred_at"])
            if occurred_at:
                manager = named(row["manager"]) or UNASSIGNED
                yield Activity(row["type"], manager, named(row["deal"]), named(row["lead"]), occurred_at)

    def next_steps(self) -> Iterable[NextStep]:
        """What is neither due nor done is a wish, and no step."""
        for versions in self.versions("activities").values():
            row = versions[-1]
            planned_from = moment_of(row.get("created_at"))
            planned = [at for at in (moment_of(row.get("due_at")), moment_of(row["occurred_at"])) if at]
            deleted_at = moment_of(row["updated_at"]) if row.get("is_deleted") else None
            if row["deal"] and planned_from and planned:
                planned_until = min([*planned, *([deleted_at] if deleted_at else [])])
                if planned_from < planned_until:
                    yield NextStep(named(row["deal"]), planned_from, planned_until)

    def targets(self) -> Iterable[Target]:
        """What is to be won, in the order in which it was set."""
        rows = [row for row in self._records.get("targets", ()) if row["kpi_code"] == "won_amount"]
        for row in sorted(rows, key=lambda row: row["set_at"] or ""):
            start, set_at = date.fromisoformat(row["period_start"]), moment_of(row["set_at"])
            parts = (row["entity"] or "").split("|")
            key = "company" if row["entity_level"] == "company" else "|".join(named(part) for part in parts)
            yield Target(row["period_grain"], start, row["entity_level"], key, set_at, Decimal(row["value"]))

    def employments(self) -> dict[str, Employment]:
        return {
            named(manager): Employment(day_of(row["hired_on"]) or BEGINNING, day_of(row["left_on"]) or END)
            for manager, row in self.latest("managers").items()
        }

    def seats(self) -> dict[str, list[tuple[date, str]]]:
        """As the CRM states the stays; of managers that it states none of, as their records showed them."""
        stays: dict[str, list[tuple[date, date, str]]] = defaultdict(list)
        for row in self.latest("manager_assignments", "manager", "valid_from").values():
            stay = (day_of(row["valid_from"]) or BEGINNING, day_of(row["valid_to"]) or END, named(row["department"]))
            stays[named(row["manager"])].append(stay)
        seats = {manager: _without_gaps(sorted(known)) for manager, known in stays.items()}
        for manager, rows in self.versions("managers").items():
            if named(manager) not in seats:
                seats[named(manager)] = self._seen(rows)
        return seats

    def places(self) -> dict[str, list[tuple[datetime | None, str | None]]]:
        return {
            named(department): [
                (moment_of(row["updated_at"]) if place else None, named(row["parent"]))
                for place, row in enumerate(rows)
            ]
            for department, rows in self.versions("departments").items()
        }

    def _seen(self, rows: list[Row]) -> list[tuple[date, str]]:
        """What versions showed: the first since always, the others from the day of their change on."""
        days = [BEGINNING, *(self._decisions.day(moment_of(row["updated_at"])) for row in rows[1:])]  # type: ignore[arg-type]
        last_of_the_day = {day: named(row["department"]) or UNASSIGNED for day, row in zip(days, rows, strict=True)}
        return sorted(last_of_the_day.items())


def _without_gaps(stays: list[tuple[date, date, str]]) -> list[tuple[date, str]]:
    """The later of two stays holds where both do; between them nothing is known."""
    seats = [(BEGINNING, UNASSIGNED)]
    for place, (first, after, department) in enumerate(stays):
        next_first = stays[place + 1][0] if place + 1 < len(stays) else END
        seats.append((first, department))
        if after < min(next_first, END):
            seats.append((max(first, after), UNASSIGNED))
    return sorted(dict(seats).items())


def named(record_id: Any) -> Any:
    """The id of a record in the warehouse."""
    return None if record_id is None else f"{SOURCE}:{record_id}"


@cache
def moment_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def day_of(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text[:10])
