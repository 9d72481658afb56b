"""Records as a table that answers filters and orders fast enough to be read page by page."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

_LEFT_BOUNDS = {">": bisect_right, ">=": bisect_left, "=": bisect_left}
_RIGHT_BOUNDS = {"<": bisect_left, "<=": bisect_right, "=": bisect_right}


class By(NamedTuple):
    """An order by the values of a field."""

    field: str
    descending: bool = False


@dataclass(frozen=True)
class Compared:
    """A condition on a field: `operator` is one of > >= < <= =; nothing compares with what is null."""

    field: str
    operator: str
    value: Any

    def __call__(self, row: Row) -> bool:
        found = row[self.field]
        if found is None:
            return False
        match self.operator:
            case ">":
                return bool(found > self.value)
            case ">=":
                return bool(found >= self.value)
            case "<":
                return bool(found < self.value)
            case "<=":
                return bool(found <= self.value)
            case _:
                return bool(found == self.value)


class Found(NamedTuple):
    """A page of rows; `total` is of all rows that fit, None where nobody asked for it."""

    rows: list[Row]
    total: int | None
    has_more: bool


class Table:
    """Rows that do not change. `values` gives the row of comparable values for a row where they differ from it."""

    def __init__(self, rows: Iterable[Row], *, identity: str, values: Callable[[Row], Row] = lambda row: row) -> None:
        self._pairs = [(values(row), row) for row in rows]
        self._identity = identity
        self._ordered: dict[tuple[By, ...], list[tuple[Row, Row]]] = {}
        self._keys: dict[tuple[By, ...], list[Any]] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def sample(self) -> Row:
        """The first row as it is compared; empty where there is none."""
        return self._pairs[0][0] if self._pairs else {}

    def page(
        self, conditions: Sequence[Predicate], order: Sequence[By], *, offset: int, limit: int, count: bool
    ) -> Found:
        """The rows that fit all conditions, in an order that ends with the identity, so that it is always the same."""
        by = (*order, By(self._identity))
        pairs = self._in_order(by)
        low, high, rest = self._narrowed(by, conditions)
        if not rest:
            end = min(high, low + offset + limit)
            return Found([row for _, row in pairs[low + offset : end]], high - low, end < high)
        fitting = (row for values, row in islice(pairs, low, high) if all(fits(values) for fits in rest))
        if count:
            rows = list(fitting)
            return Found(rows[offset : offset + limit], len(rows), offset + limit < len(rows))
        rows = list(islice(fitting, offset, offset + limit + 1))
        return Found(rows[:limit], None, len(rows) > limit)

    def _in_order(self, by: tuple[By, ...]) -> list[tuple[Row, Row]]:
        if by not in self._ordered:
            pairs = self._pairs
            for field, descending in reversed(by):
                pairs = sorted(pairs, key=lambda pair: _key(pair[0][field]), reverse=descending)
            self._ordered[by] = pairs
            keys = [_key(values[by[0].field]) for values, _ in pairs]
            self._keys[by] = keys[::-1] if by[0].descending else keys
        return self._ordered[by]

    def _narrowed(self, by: tuple[By, ...], conditions: Sequence[Predicate]) -> tuple[int, int, list[Predicate]]:
        """The stretch of the order that its first field's conditions leave, and the other conditions."""
        keys = self._keys[by]
        low, high, rest = 0, len(keys), []
        for condition in conditions:
            if isinstance(condition, Compared) and condition.field == by[0].field:
                bound = _key(condition.value)
                if left := _LEFT_BOUNDS.get(condition.operator):
                    low = max(low, left(keys, bound))
                if right := _RIGHT_BOUNDS.get(condition.operator):
                    high = min(high, right(keys, bound))
                # What is null comes first, and fits no comparison.
                low = max(low, bisect_left(keys, (True,)))
            else:
                rest.append(condition)
        high = max(low, high)
        if by[0].descending:
            low, high = len(keys) - high, len(keys) - low
        return low, high, rest


def _key(value: Any) -> tuple[Any, ...]:
    """Sorts what is null first."""
    return (False,) if value is None else (True, value)
