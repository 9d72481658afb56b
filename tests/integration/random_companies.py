"""Small whole companies, as Hypothesis makes them up, and their records night by night.

Managers move and leave, departments move in their tree, deals are won, lost, reopened, corrected, shared, handed over,
merged, deleted and restored, in two currencies, at moments that lie at the edges of days, months and clock changes. A
record has as many versions as it likes, each told of in some night; where the source's own moments say otherwise, a
version comes late.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

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
IDS = ("id", "manager", "department", "deal", "lead", "account", "parent", "merged_into")
"""Columns that name records."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A version of a record, and the night in which it is told of."""

    night: int
    object_name: str
    row: Row


def companies(count: int, *, number: int, zone: ZoneInfo) -> list[list[Told]]:
    """So many companies; the same ones for the same number."""
    made: list[list[Told]] = []

    @seed(number)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, derandomize=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(company(zone))
    def make(each: list[Told]) -> None:
        made.append(each)

    make()
    return made


def side_by_side(several: Iterable[list[Told]]) -> list[Told]:
    """All their records, the ids of each company with its number before them; and a deal that came before them all."""
    told = [Told(0, "deals", {**NO_DEAL, "id": "first", "stage": "New", "created_at": f"{FIRST_DAY}T12:00:00+00:00"})]
    for number, each in enumerate(several):
        prefix = f"c{number:02}-"
        for one in each:
            row = {
                column: f"{prefix}{value}" if column in IDS and value is not None else value
                for column, value in one.row.items()
            }
            told.append(Told(one.night, one.object_name, row))
    return told


NO_DEAL: Row = dict.fromkeys(
    (
        *("id", "manager", "account", "pipeline", "stage", "product", "source", "amount", "currency", "created_at"),
        *("closed_at", "expected_close_on", "merged_into", "updated_at", "is_deleted"),
    )
) | {"updated_at": f"{FIRST_DAY}T12:00:00+00:00", "is_deleted": False, "manager": "first"}  # fmt: skip


@st.composite
def company(draw: st.DrawFn, zone: ZoneInfo) -> list[Told]:
    """The records of a small company."""
    make = _Maker(draw, zone)
    make.departments(draw(st.integers(1, 4)))
    make.managers(draw(st.integers(2, 6)))
    make.deals(draw(st.integers(1, 12)))
    make.leads_and_activities()
    return make.told


class _Maker:
    def __init__(self, draw: st.DrawFn, zone: ZoneInfo) -> None:
        self._draw = draw
        self._zone = zone
        self._tells_amounts = not self._is(5)
        self._owners: list[str] = []
        self._departments: list[str] = []
        self._deals: list[str] = []
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

    def _tell(self, object_name: str, versions: list[Row]) -> None:
        """Each version in a night of its own, in whatever order."""
        nights = self._draw(st.permutations(range(NIGHTS)))[: len(versions)]
        if not self._is(4):
            nights = sorted(nights)
        self.told += [Told(night, object_name, row) for night, row in zip(nights, versions, strict=True)]

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
            if self._deals and self._is(8):
                versions[-1]["merged_into"] = self._one_of(*self._deals)
            self._deals.append(deal)
            self._tell("deals", versions)
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
            "account": self._one_of(None, "a0", "a1", "a2", "a2"),
            "pipeline": self._one_of("new", "renewals"),
            "stage": self._one_of("New", "New", "New", *STAGES),
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
            "due_at": self._one_of(None, self._moment()),
            "occurred_at": self._one_of(None, self._moment(), self._moment()),
            "updated_at": at,
            "is_deleted": self._is(10),
        }


def in_order(told: Iterable[Told]) -> Iterator[tuple[int, list[Told]]]:
    """Night by night."""
    several = list(told)
    for night in range(NIGHTS):
        yield night, [each for each in several if each.night == night]
