"""HubSpot's search: filters, sorting, pages, and where it refuses.

Source: HubSpot developer documentation, "Search the CRM" and its limitations.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from kpimart.demo.server.hubspot_properties import PROPERTIES, Kind
from kpimart.demo.server.hubspot_records import Row

MOST_PER_PAGE = 200
MOST_RESULTS = 10_000
MOST_GROUPS, MOST_FILTERS_IN_GROUP, MOST_FILTERS = 5, 10, 25
MOST_VALUES = 100


class Refused(Exception):
    """The request is not one that HubSpot answers; the text is what it says."""


# Numbers are taken for text, as HubSpot does.
Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]


class Filter(BaseModel):
    propertyName: str  # noqa: N815  # HubSpot's names
    operator: Literal[
        "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY"
    ]
    value: Text | None = None
    highValue: Text | None = None  # noqa: N815
    values: list[Text] = []


class FilterGroup(BaseModel):
    filters: list[Filter] = []


class Sort(BaseModel):
    propertyName: str  # noqa: N815
    direction: Literal["ASCENDING", "DESCENDING"] = "ASCENDING"


def _sort(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"propertyName": value.removeprefix("-"), "direction": "DESCENDING" if value[:1] == "-" else "ASCENDING"}


class Search(BaseModel):
    """The body of a search. Filters of a group hold together, of the groups one is enough."""

    filterGroups: list[FilterGroup] = []  # noqa: N815
    sorts: list[Annotated[Sort, BeforeValidator(_sort)]] = []
    properties: list[str] = []
    limit: int = Field(default=10, ge=0)
    after: Text = "0"


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
}
BY_CREATION = Sort(propertyName="hs_object_id")
UPDATED = {"hs_lastmodifieddate", "lastmodifieddate"}

Value = Any
Getter = Callable[[Row], Value]


def found(name: str, rows: list[Row], search: Search) -> tuple[int, list[Row], int | None]:
    """How many rows match, those of the page asked for, and where the next page begins (None: there is none).

    Raises Refused for what HubSpot does not answer.
    """
    begin = _checked(search)
    kinds = {known.name: known.kind for known in PROPERTIES[name]}
    matching = _matching(kinds, rows, search.filterGroups)
    if len(search.sorts) > 1:
        raise Refused("Only one sort is allowed")
    matching = _sorted(kinds, matching, search.sorts[0] if search.sorts else BY_CREATION)
    end = begin + search.limit
    return len(matching), matching[begin:end], end if begin < end < len(matching) else None


def _checked(search: Search) -> int:
    """Where the page begins, if the search keeps within the limits."""
    if search.limit > MOST_PER_PAGE:
        raise Refused(f"limit must be less than or equal to {MOST_PER_PAGE}, got {search.limit}")
    if not search.after.isdecimal():
        raise Refused(f"after must be a number, got {search.after}")
    begin = int(search.after)
    if begin + search.limit > MOST_RESULTS:
        raise Refused(f"Paging past {MOST_RESULTS} results is not supported by search: narrow the filters")
    sizes = [len(group.filters) for group in search.filterGroups]
    if len(sizes) > MOST_GROUPS or sum(sizes) > MOST_FILTERS or any(size > MOST_FILTERS_IN_GROUP for size in sizes):
        raise Refused(f"at most {MOST_GROUPS} filter groups with {MOST_FILTERS_IN_GROUP} filters each are allowed")
    return begin


def _matching(kinds: dict[str, Kind], rows: list[Row], groups: list[FilterGroup]) -> list[Row]:
    groups = [group for group in groups if group.filters]
    if not groups:
        return rows
    tests = [[_test(kinds, each) for each in group.filters] for group in groups]
    return [row for row in rows if any(all(test(row) for test in group) for group in tests)]


def _test(kinds: dict[str, Kind], condition: Filter) -> Callable[[Row], bool]:
    """Whether a row meets a condition. A property without a value meets none but the one that asks for that."""
    get, read = _getter(kinds, condition.propertyName)
    if condition.operator == "HAS_PROPERTY":
        return lambda row: get(row) is not None
    if condition.operator == "NOT_HAS_PROPERTY":
        return lambda row: get(row) is None
    if condition.operator in ("IN", "NOT_IN"):
        wanted = {read(value) for value in _values(condition)}
        is_wanted = condition.operator == "IN"
        return lambda row: (value := get(row)) is not None and (value in wanted) == is_wanted
    low = read(_given(condition.value, condition))
    if condition.operator == "BETWEEN":
        high = read(_given(condition.highValue, condition))
        return lambda row: (value := get(row)) is not None and low <= value <= high
    compare = COMPARISONS[condition.operator]
    return lambda row: (value := get(row)) is not None and compare(value, low)


def _values(condition: Filter) -> Iterable[str]:
    if not condition.values or len(condition.values) > MOST_VALUES:
        raise Refused(f"operator {condition.operator} requires 1 to {MOST_VALUES} values")
    return condition.values


def _given(value: str | None, condition: Filter) -> str:
    if value is None:
        raise Refused(f"operator {condition.operator} requires a value for {condition.propertyName}")
    return value


def _sorted(kinds: dict[str, Kind], rows: list[Row], sort: Sort) -> list[Row]:
    """Rows that come by ascending id: equal ones stay so, those without a value are last."""
    is_descending = sort.direction == "DESCENDING"
    if sort.propertyName == "hs_object_id":
        return rows[::-1] if is_descending else rows
    get, _ = _getter(kinds, sort.propertyName)
    empty = [row for row in rows if get(row) is None]
    return sorted((row for row in rows if get(row) is not None), key=get, reverse=is_descending) + empty


def _getter(kinds: dict[str, Kind], name: str) -> tuple[Getter, Callable[[str], Value]]:
    """What gives a row's value of a property, and what reads such a value from text."""
    if name not in kinds:
        raise Refused(f'Property "{name}" does not exist')
    if name == "hs_object_id":
        return (lambda row: row.id), _number
    if name in UPDATED:
        return (lambda row: row.updated_at), _moment
    read = READERS.get(kinds[name], str.casefold)

    def get(row: Row) -> Value:
        text = row.told.values[name]
        return None if text is None else read(text)

    return get, read


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Refused(f"{text} was not a valid number") from error


def _moment(text: str) -> datetime:
    """From milliseconds since 1970 or ISO 8601."""
    try:
        return (
            datetime.fromtimestamp(int(text) / 1000, UTC) if text.isdecimal() else _aware(datetime.fromisoformat(text))
        )
    except (ValueError, OverflowError) as error:
        raise Refused(f"{text} was not a valid timestamp") from error


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


READERS: dict[Kind, Callable[[str], Value]] = {"number": _number, "datetime": _moment}
