"""Small whole companies, as Hypothesis makes them up, and their records night by night.

Managers move and leave, departments move in their tree, deals are won, lost, reopened, corrected, shared, handed over,
merged, deleted and restored, in two currencies, at moments that lie at the edges of days, months and clock changes; and
something is planned. A record has as many versions as it likes, each told of in some night; where the source's own
moments say otherwise, a version comes late.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from model_calendar import Calendar, Period

NIGHTS = 4
FIRST_DAY = date(2026, 2, 20)
"""When the one deal was created that comes before everything."""
DAYS = [
    *(date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 9), date(2026, 3, 27)),
    # Clocks are put forward in Beirut (at midnight) and Berlin on the 29th, back in Santiago (at midnight) on the 4th.
    *(date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)),
    *(date(2026, 4, 4), date(2026, 4, 5), date(2026, 4, 14), date(2026, 4, 20)),
]
TIMES = [time(0), time(0, 0, 1), time(2, 30), time(9), time(12), time(17, 59, 59), time(23, 30), time(23, 59, 59)]
STAGES = ("New", "Offer", "Won", "Lost")
CLOSED = ("Won", "Lost")
PLANNED = [
    [("month", date(2026, 2, 10))],
    [("month", date(2026, 3, 10))],
    [("month", date(2026, 2, 10)), ("month", date(2026, 3, 10))],
    [("month", date(2026, month, 10)) for month in (4, 5, 6)],
    [("quarter", date(2026, 4, 10))],
    [("quarter", date(2026, month, 10)) for month in (1, 4, 7, 10)],
    [("year", date(2026, 3, 10))],
]
"""Days in periods that are planned together: some together are a quarter, or a year."""
IDS = ("id", "manager", "department", "deal", "lead", "account", "parent", "merged_into", "entity")
"""Columns that name records."""
KEYS = {
    "manager_assignments": ("manager", "valid_from"),
    "deal_splits": ("deal", "manager", "valid_from", "is_overlay"),
    "targets": ("kpi_code", "entity_level", "entity", "period_grain", "period_start"),
}
"""What names a record that has no id."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A version of a record, and the night in which it is told of."""

    night: int
    object_name: str
    row: Row

    @property
    def record(self) -> tuple[str, ...]:
        """Whose version it is."""
        return (self.object_name, *(str(self.row[column]) for column in KEYS.get(self.object_name, ("id",))))


def companies(count: int, *, number: int, zone: ZoneInfo, calendar: Calendar) -> list[list[Told]]:
    """So many companies, no two of the same records; the same ones for the same number."""
    made: dict[frozenset[tuple[str, ...]], list[Told]] = {}

    @seed(number)
    @settings(
        # Most that Hypothesis makes is one before with a value or two changed.
        max_examples=count * 5, phases=[Phase.generate], database=None, derandomize=False, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(company(zone, calendar))
    def make(each: list[Told]) -> None:
        made.setdefault(frozenset(told.record for told in each), each)

    make()
    # It begins with the smallest.
    return list(made.values())[-count:]


def side_by_side(several: Iterable[list[Told]], calendar: Calendar) -> list[Told]:
    """All their records, the ids of each company with its number before them; and what they have in common.

    That is a deal that came before them all, and a plan for the whole.
    """
    told = [
        Told(0, "deals", {**NO_DEAL, "id": "first", "stage": "New", "created_at": f"{FIRST_DAY}T10:00:00+00:00"}),
        *(
            Told(0, "targets", _target("company", "company", calendar.period_of(*period), "250000"))
            for period in PLANNED[2]
        ),
    ]
    for number, each in enumerate(several):
        for one in each:
            row = {
                column: _prefixed(f"c{number:02}-", value) if column in IDS and value is not None else value
                for column, value in one.row.items()
            }
            told.append(Told(one.night, one.object_name, row))
    return told


def _prefixed(prefix: str, names: str) -> str:
    return "|".join(f"{prefix}{name}" for name in names.split("|"))


def _target(level: str, entity: str, period: Period, value: str) -> Row:
    """What is to be won, as it always was."""
    return {
        "kpi_code": "won_amount",
        "entity_level": level,
        "entity": entity,
        "period_grain": period.grain,
        "period_start": f"{period.start}",
        "value": value,
        "set_at": None,
    }


NO_DEAL: Row = dict.fromkeys(
    (
        *("id", "manager", "account", "pipeline", "stage", "product", "source", "amount", "currency", "created_at"),
        *("closed_at", "expected_close_on", "merged_into", "updated_at", "is_deleted"),
    )
) | {"updated_at": f"{FIRST_DAY}T12:00:00+00:00", "is_deleted": False, "manager": "first"}  # fmt: skip


@st.composite
def company(draw: st.DrawFn, zone: ZoneInfo, calendar: Calendar) -> list[Told]:
    """The records of a small company."""
    make = _Maker(draw, zone, calendar)
    make.departments(draw(st.integers(1, 4)))
    make.managers(draw(st.integers(2, 6)))
    make.deals(draw(st.integers(1, 12)))
    make.leads_and_activities()
    make.targets(draw(st.integers(0, 4)))
    return make.told


class _Maker:
    def __init__(self, draw: st.DrawFn, zone: ZoneInfo, calendar: Calendar) -> None:
        self._draw = draw
        self._zone = zone
        self._calendar = calendar
        self._tells_amounts = not self._is(5)
        self._owners: list[str] = []
        self._departments: list[str] = []
        self._deals: dict[str, int] = {}
        self.told: list[Told] = []

    def _one_of(self, *values: Any) -> Any:
        return self._draw(st.sampled_from(values))

    def _is(self, one_in: int) -> bool:
        return bool(self._draw(st.integers(1, one_in)) == one_in)

    def _moment(self) -> str:
        local = datetime.combine(self._one_of(*DAYS), self._one_of(*TIMES), tzinfo=self._zone)
        return local.astimezone(UTC).isoformat()

    def _moments(self, at_most: int) -> list[str]:
        found = {self._moment() for _ in range(self._draw(st.integers(1, at_most)))}
        return sorted(found)

    def _nights(self, count: int) -> list[int]:
        """A night for each version, mostly in their order."""
        nights = self._draw(st.permutations(range(NIGHTS)))[:count]
        return list(nights) if self._is(4) else sorted(nights)

    def _tell(self, object_name: str, versions: list[Row], nights: list[int] | None = None) -> None:
        """Each version in a night of its own."""
        told = zip(nights or self._nights(len(versions)), versions, strict=True)
        self.told += [Told(night, object_name, row) for night, row in told]

    # -------------------------------------------------------------------------------------------------- organisation

    def departments(self, count: int) -> None:
        self._departments = [f"d{number}" for number in range(count)]
        for number, name in enumerate(self._departments):
            above = [None, *self._departments[:number]]
            versions = [
                {"id": name, "name": name, "parent": self._one_of(*above), "updated_at": at} for at in self._moments(3)
            ]
            self._tell("departments", versions)

    def managers(self, count: int) -> None:
        for number in range(count):
            name = f"m{number}"
            self._owners.append(name)
            # Who is not on the list is inferred from the deals.
            if not self._is(8):
                self._tell("managers", [self._manager(name, at) for at in self._moments(3)])
            if self._is(2):
                self._stays(name)

    def _manager(self, name: str, at: str) -> Row:
        return {
            "id": name,
            "name": name,
            "department": self._one_of(None, *self._departments, *self._departments),
            "hired_on": self._one_of(None, None, "2026-03-05"),
            "left_on": self._one_of(None, None, None, "2026-03-31"),
            "updated_at": at,
        }

    def _stays(self, name: str) -> None:
        days = sorted({self._one_of(*DAYS) for _ in range(3)})
        stays = []
        for day in days:
            after = self._one_of(None, None, *(later for later in days if later > day))
            department = self._one_of(*self._departments)
            stays.append(
                {"manager": name, "department": department, "valid_from": f"{day}", "valid_to": after and f"{after}"}
            )
        # The export tells of all stays at once.
        self.told += [Told(0, "manager_assignments", stay) for stay in stays]

    # --------------------------------------------------------------------------------------------------------- deals

    def deals(self, count: int) -> None:
        for number in range(count):
            deal = f"o{number}"
            versions = self._versions(deal)
            nights = self._nights(len(versions))
            # A build refuses to lose what was merged into a deal that nobody has told of.
            known = [each for each, first_night in self._deals.items() if first_night <= nights[-1]]
            if known and self._is(6):
                versions[-1]["merged_into"] = self._one_of(*known)
            self._deals[deal] = min(nights)
            self._tell("deals", versions, nights)
            if self._is(2):
                self._history("stage_changes", "stage", deal, versions)
            if self._is(2):
                self._history("owner_changes", "manager", deal, versions)
            if self._is(4):
                self._splits(deal)

    def _versions(self, deal: str) -> list[Row]:
        moments = self._moments(NIGHTS)
        created_at = self._one_of(None, *[min(moments[0], self._moment())] * 6)
        row: Row = NO_DEAL | {
            "id": deal,
            "manager": self._one_of(*self._owners),
            "account": self._one_of(None, "a0", "a0", "a1"),
            "pipeline": self._one_of("new", "renewals"),
            "stage": self._one_of("New", "New", "Won", *STAGES),
            "product": self._one_of(None, "Pump", "Valve"),
            "source": self._one_of(None, "Web"),
            "amount": self._amount(),
            "currency": self._one_of("USD", "EUR"),
            "created_at": created_at,
            "expected_close_on": self._day_or_none(),
        }
        versions = []
        for at in moments:
            row = row | {"updated_at": at} | (self._edit(row, at) if versions else {})
            row["closed_at"] = self._closed_at(row, at)
            versions.append(row)
        return versions

    def _amount(self) -> str | None:
        if not self._tells_amounts:
            return None
        cents = self._draw(st.one_of(st.sampled_from([0, 100, 33_335]), st.integers(1, 10_000_000)))
        return f"{cents // 100}.{cents % 100:02}"

    def _day_or_none(self) -> str | None:
        day = self._one_of(None, *DAYS)
        return day and f"{day + timedelta(days=20)}"

    def _closed_at(self, row: Row, at: str) -> str | None:
        if row["stage"] not in CLOSED:
            return None
        return str(row["closed_at"] or self._one_of(at, at, self._moment()))

    def _edit(self, row: Row, at: str) -> Row:
        """What a version has otherwise than the one before it: mostly its stage, and perhaps more."""
        edits: dict[str, Callable[[], Row]] = {
            "stage": lambda: {"stage": self._one_of(*STAGES, "Won"), "closed_at": None},
            "closed_at": lambda: {"closed_at": None},
            "amount": lambda: {"amount": self._amount()},
            "currency": lambda: {"currency": self._one_of("USD", "EUR")},
            "manager": lambda: {"manager": self._one_of(*self._owners)},
            "account": lambda: {"account": self._one_of(None, "a0", "a1")},
            "created_at": lambda: {"created_at": min(at, self._moment())},
            "expected_close_on": lambda: {"expected_close_on": self._day_or_none()},
            "product": lambda: {"product": self._one_of(None, "Pump", "Valve")},
            "is_deleted": lambda: {"is_deleted": not row["is_deleted"]},
        }
        kinds = self._draw(
            st.lists(st.sampled_from(["stage", "stage", "amount", "manager", *edits]), min_size=1, max_size=3)
        )
        changed: Row = {}
        for kind in kinds:
            changed |= edits[kind]()
        return changed

    def _history(self, object_name: str, column: str, deal: str, versions: list[Row]) -> None:
        """What changed when, as the CRM keeps it: perhaps without the last change, perhaps corrected later."""
        changes = [
            (row["created_at"] or row["updated_at"] if place == 0 else row["updated_at"], row[column])
            for place, row in enumerate(versions)
            if place == 0 or row[column] != versions[place - 1][column]
        ]
        if self._is(6):
            changes = changes[:-1]
        for place, (at, value) in enumerate(changes):
            row = {"id": f"{deal}-{place}", "deal": deal, column: value, "changed_at": at, "updated_at": at}
            corrected = row | {"changed_at": self._moment(), "updated_at": "2026-04-25T00:00:00+00:00"}
            self._tell(object_name, [row, corrected] if self._is(8) else [row])

    def _splits(self, deal: str) -> None:
        for valid_from in dict.fromkeys(self._one_of(None, *DAYS) for _ in range(2)):
            for manager in dict.fromkeys(self._one_of(*self._owners) for _ in range(3)):
                self._tell(
                    "deal_splits",
                    [
                        {
                            "deal": deal,
                            "manager": manager,
                            "share": self._one_of("0.5", "0.3333", "0.25", "1", "0"),
                            "valid_from": valid_from and f"{valid_from}",
                            "is_overlay": self._is(4),
                            "updated_at": self._moment(),
                        }
                    ],
                )

    # --------------------------------------------------------------------------------------------------- other work

    def leads_and_activities(self) -> None:
        leads = [f"l{number}" for number in range(self._draw(st.integers(0, 3)))]
        for lead in leads:
            self._tell("leads", [self._lead(lead, at) for at in self._moments(2)])
        for number in range(self._draw(st.integers(0, 6))):
            self._tell("activities", [self._activity(f"t{number}", leads, at) for at in self._moments(2)])

    def _lead(self, lead: str, at: str) -> Row:
        return {
            "id": lead,
            "manager": self._one_of(*self._owners),
            "account": None,
            "source": self._one_of(None, "Web", "Fair"),
            "created_at": self._one_of(at, self._moment()),
            "converted_at": self._one_of(None, self._moment()),
            "deal": self._one_of(None, *self._deals),
            "updated_at": at,
            "is_deleted": self._is(10),
        }

    def _activity(self, activity: str, leads: list[str], at: str) -> Row:
        return {
            "id": activity,
            "type": self._one_of("call", "meeting", "email", "task"),
            "manager": self._one_of(*self._owners),
            "deal": self._one_of(None, *self._deals),
            "lead": self._one_of(None, *leads),
            "account": None,
            "created_at": self._one_of(None, self._moment()),
            "due_at": self._one_of(None, self._moment(), "2026-05-20T09:00:00+00:00"),
            "occurred_at": self._one_of(None, self._moment(), self._moment()),
            "updated_at": at,
            "is_deleted": self._is(10),
        }

    # ------------------------------------------------------------------------------------------------------ targets

    def targets(self, count: int) -> None:
        seats = [f"{manager}|{department}" for manager in self._owners for department in self._departments]
        of_level = {"department": self._departments, "manager": self._owners, "manager_in_department": seats}
        planned = set()
        for _ in range(count):
            level = self._one_of("department", "manager", "manager_in_department")
            entity = self._one_of(*of_level[level])
            for grain, day in self._one_of(*PLANNED):
                period = self._calendar.period_of(grain, day)
                if (entity, period) not in planned:
                    planned.add((entity, period))
                    self._tell("targets", self._set(_target(level, entity, period, "0")))

    def _set(self, target: Row) -> list[Row]:
        """What was wanted first, perhaps always, and what later."""
        kpi_code = self._one_of("won_amount", "won_amount", "won_amount", "won_deals")
        versions = [
            target | {"kpi_code": kpi_code, "value": self._one_of("0", "100", "99.99", "25000"), "set_at": at}
            for at in self._moments(3)
        ]
        return [versions[0] | {"set_at": self._one_of(None, versions[0]["set_at"])}, *versions[1:]]
