"""What may be asked of amoCRM's lists: filters, orders and the length of a page; anything else is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kpimart.demo.server.nested import values_of
from kpimart.demo.server.table import By, Compared, Predicate

USUAL_PAGE = 50
LONGEST_PAGE = 250
LONGEST_EVENTS_PAGE = 100


class Refused(Exception):
    """What the API refuses to do, in its own words."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        told = {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": detail}
        self.answer = {**more, **told}


def invalid(path: str, detail: str) -> Refused:
    error = {"code": "NotSupportedChoice", "path": path, "detail": detail}
    return Refused(
        400,
        "Bad Request",
        "Request validation failed",
        **{"validation-errors": [{"request_id": "0", "errors": [error]}]},
    )


BY_ID = By("id")


@dataclass(frozen=True)
class List:
    """A list: its name in answers, how long a page may be, and what may be filtered and sorted by.

    `exact` fields are compared with one value or several, `ranges` with a time or number, or from … to.
    """

    name: str
    exact: Mapping[str, str] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    orders: tuple[str, ...] = ("id",)
    usual_order: By = BY_ID
    longest: int = LONGEST_PAGE

    def conditions(self, given: Any) -> list[Predicate]:
        found: list[Predicate] = []
        for name, value in given.items() if isinstance(given, dict) else ():
            if name in self.ranges:
                found.extend(_range(name, value))
            elif name == "statuses" and "status_id" in self.exact:
                found.append(_in_statuses(values_of(value)))
            elif name in self.exact:
                found.append(_among(self.exact[name], value))
            else:
                raise invalid(f"filter.{name}", "The value you selected is not a valid choice.")
        return found

    def order(self, given: Any) -> list[By]:
        chosen = given if isinstance(given, dict) else {}
        for name, direction in chosen.items():
            if name not in self.orders or direction not in ("asc", "desc"):
                raise invalid(f"order.{name}", "The value you selected is not a valid choice.")
        return [By(name, direction == "desc") for name, direction in chosen.items()] or [self.usual_order]

    def limit(self, given: str | None) -> int:
        limit = positive("limit", given, USUAL_PAGE)
        if limit > self.longest:
            raise Refused(422, "Unprocessable Entity", f"The limit is {self.longest} per page")
        return limit


def positive(name: str, given: Any, usual: int) -> int:
    """A number from 1 on."""
    if given is None:
        return usual
    if not str(given).isdecimal() or int(given) < 1:
        raise invalid(name, "This value should be a positive number.")
    return int(given)


def _range(name: str, given: Any) -> list[Predicate]:
    """`{from, to}`, both inclusive; or `from,to`; or only from when."""
    bounds = given if isinstance(given, dict) else dict(zip(("from", "to"), str(given).split(","), strict=False))
    found: list[Predicate] = []
    for bound, operator in (("from", ">="), ("to", "<=")):
        if bounds.get(bound, "") != "":
            found.append(Compared(name, operator, _number(name, bounds[bound])))
    return found


def _number(name: str, given: Any) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        raise invalid(f"filter.{name}", "This value should be of type int.") from None


def _among(name: str, given: Any) -> Predicate:
    """One value (which may have commas in it), several with commas between them, or a list."""
    wanted = {part for value in values_of(given) for part in (str(value), *str(value).split(","))}
    return lambda row: _as_text(row[name]) in wanted


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _in_statuses(given: Sequence[Any]) -> Predicate:
    wanted = {(str(each.get("pipeline_id")), str(each.get("status_id"))) for each in given if isinstance(each, dict)}
    return lambda row: (str(row["pipeline_id"]), str(row["status_id"])) in wanted


_PEOPLE = {"created_by": "created_by", "updated_by": "updated_by", "responsible_user_id": "responsible_user_id"}
_TIMES = ("created_at", "updated_at")

LEADS = List(
    "leads",
    {"id": "id", "name": "name", "pipeline_id": "pipeline_id", "status_id": "status_id", **_PEOPLE},
    (*_TIMES, "closed_at", "price"),
    ("id", *_TIMES),
)
DELETED_LEADS = List("leads", {"id": "id", "updated_by": "updated_by"}, _TIMES, ("id", *_TIMES))
COMPANIES = List("companies", {"id": "id", "name": "name", **_PEOPLE}, _TIMES, ("id", *_TIMES))
CONTACTS = List("contacts", {"id": "id", "name": "name", **_PEOPLE}, _TIMES, ("id", *_TIMES))
UNSORTED = List(
    "unsorted",
    {"uid": "uid", "category": "category", "pipeline_id": "pipeline_id"},
    orders=("created_at",),
    usual_order=By("created_at"),
)
TASKS = List(
    "tasks",
    {
        "id": "id",
        "responsible_user_id": "responsible_user_id",
        "is_completed": "is_completed",
        "task_type": "task_type_id",
        "task_type_id": "task_type_id",
        "entity_type": "entity_type",
        "entity_id": "entity_id",
    },
    ("updated_at",),
    ("id", "created_at", "complete_till"),
)
NOTES = List(
    "notes",
    {"id": "id", "entity_id": "entity_id", "note_type": "note_type"},
    ("updated_at",),
    ("id", "updated_at"),
)
EVENTS = List(
    "events",
    {"id": "id", "type": "type", "created_by": "created_by", "entity": "entity_type", "entity_id": "entity_id"},
    ("created_at",),
    orders=(),
    usual_order=By("created_at", descending=True),
    longest=LONGEST_EVENTS_PAGE,
)
USERS = List("users", {"id": "id"})
