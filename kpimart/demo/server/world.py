"""The company that is served: its records as they stand, a clock that others move, and what every CRM tells of it."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from threading import RLock
from typing import TypeVar

from kpimart.demo.clock import DAY, midnight, years_before
from kpimart.demo.company import Company
from kpimart.demo.crm import Crm, Lead
from kpimart.demo.export import SEED, UNTIL, YEARS
from kpimart.demo.world import COUNTRIES, DEPARTMENTS, PEOPLE, Department

T = TypeVar("T")

FAMILIES = tuple(family for country in COUNTRIES.values() for family in country.families)


def number(record_id: str) -> int:
    """The number in an id of the company's: 123 of `D-00123`. Counts from 1 in the order of making, without gaps."""
    return int(record_id.rpartition("-")[2])


@dataclass(frozen=True)
class User:
    """Somebody with a login: the heads of the departments, then the managers. `updated_at` changes on a move, too."""

    number: int
    first_name: str
    last_name: str
    email: str
    department: Department
    is_head: bool
    created_at: datetime
    updated_at: datetime
    left_on: date | None = None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True)
class Person:
    """Who asked: personal data, invented."""

    first_name: str
    last_name: str
    email: str
    phone: str


def person_of(lead: Lead) -> Person:
    """The person behind a lead, always the same one."""
    of = number(lead.id)
    first_name = PEOPLE[of * 7 % len(PEOPLE)].split(" ")[0]
    last_name = FAMILIES[of * 11 % len(FAMILIES)]
    email = f"{_ascii(first_name)}.{_ascii(last_name)}.{of}@example.org"
    return Person(first_name, last_name, email, f"+49 30 5550 {of:05}")


def department_number(department: Department) -> int:
    """1 for the first of DEPARTMENTS."""
    return DEPARTMENTS.index(department) + 1


class World:
    """The company from `opened_on` (three years before `until`) to the present of the clock; thread-safe.

    The clock stands still until it is moved, day by day: `now` is always a midnight of the company's, and all that
    happened before it is written. Whoever reads several records that must agree holds `lock` meanwhile.
    """

    def __init__(self, *, seed: int = SEED, until: date = UNTIL, opened_on: date | None = None) -> None:
        self.lock = RLock()
        self.opened_on = opened_on or years_before(until, YEARS)
        self._company = Company(seed=seed, opened_on=self.opened_on)
        self._company.advance(until)
        self._today = until
        self._derived: dict[str, object] = {}

    @property
    def today(self) -> date:
        """The company's day that begins now."""
        return self._today

    @property
    def now(self) -> datetime:
        """The present moment, in UTC."""
        return midnight(self._today)

    @property
    def crm(self) -> Crm:
        """What is written; treat it as read-only."""
        return self._company.crm

    def advance(self, days: int) -> None:
        """Let so many days pass."""
        self.move_to(self._today + days * DAY)

    def move_to(self, day: date) -> None:
        """Live on until the beginning of `day`. A day that is over changes nothing: time does not run backwards."""
        with self.lock:
            if day > self._today:
                self._company.advance(day)
                self._today = day
                self._derived.clear()

    def derive(self, name: str, build: Callable[[], T]) -> T:
        """What `build` makes of the records, kept under `name` until the clock moves: indexes, sorted lists."""
        with self.lock:
            if name not in self._derived:
                self._derived[name] = build()
            return self._derived[name]  # type: ignore[return-value]  # whoever built it under this name knows its type

    @cached_property
    def heads(self) -> tuple[User, ...]:
        """The heads in the order of their departments, numbered from 1."""
        opened_at = midnight(self.opened_on)
        return tuple(
            User(at, *_names(department.head), department, is_head=True, created_at=opened_at, updated_at=opened_at)
            for at, department in enumerate(DEPARTMENTS, start=1)
        )

    @property
    def users(self) -> list[User]:
        """Heads and managers, those who left too, in the order of their numbers (see `user_number`)."""
        return self.derive("users", self._users)

    def _users(self) -> list[User]:
        managers = [
            User(
                user_number(manager.id),
                *_names(manager.name),
                manager.department,
                is_head=False,
                created_at=max(midnight(manager.hired_on), midnight(self.opened_on)),
                updated_at=manager.updated_at,
                left_on=manager.left_on,
            )
            for manager in self.crm.managers
        ]
        return [*self.heads, *managers]


def user_number(manager_id: str) -> int:
    """The number of a manager among the users, after the heads."""
    return len(DEPARTMENTS) + number(manager_id)


def _names(name: str) -> tuple[str, str, str]:
    """First name, last name and e-mail address."""
    first_name, _, last_name = name.partition(" ")
    return first_name, last_name, f"{_ascii(first_name)}.{_ascii(last_name)}@lumenwerk.example"


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z]+", "-", plain).strip("-")
