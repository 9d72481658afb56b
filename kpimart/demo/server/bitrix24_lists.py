"""What Bitrix24's lists have in common: pages of 50, filters with prefixes, orders, and how they refuse."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from kpimart.demo.server.bitrix24_records import PORTAL_TIME, Kind, iso
from kpimart.demo.server.nested import values_of
from kpimart.demo.server.table import By, Compared, Predicate, Row, Table

PAGE = 50


class Refused(Exception):
    """What the portal refuses to do, in its own words."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.answer = {"error": code, "error_description": description}


class Result(NamedTuple):
    """What a method gives; `next` and `total` are those of a list, `counted` the rows that were counted for it."""

    result: Any
    total: int | None = None
    next: int | None = None
    counted: int = 0

    @property
    def rows(self) -> int:
        found = self.result.get("items") if isinstance(self.result, dict) else self.result
        return len(found) if isinstance(found, list) else 1


_FILTER = re.compile(r"(!=%|!%=|>=|<=|!@|!=|!%|=%|%=|>|<|@|=|!|%)?(.+)", re.DOTALL)
_LISTED = {"": "@", "=": "@", "@": "@", "!": "!@", "!=": "!@", "!@": "!@"}


@dataclass(frozen=True)
class Fields:
    """The fields of a list, by a sample of its rows. A strict list refuses others, an older one passes over them."""

    kinds: Mapping[str, Kind]
    sample: Row
    is_strict: bool

    def conditions(self, given: Any) -> list[Predicate]:
        """The conditions of a filter, which all must hold, or any of them with `logic` OR."""
        tree = given if isinstance(given, dict) else dict(enumerate(given or ()))
        found: list[Predicate] = []
        for key, value in tree.items():
            if isinstance(key, int) or key.isdecimal():
                found.append(_all_of(self.conditions(value)))
            elif key != "logic":
                found.extend(self._condition(key, value))
        if str(tree.get("logic", "AND")).upper() == "OR":
            return [_any_of(found)]
        return found

    def _condition(self, key: str, given: Any) -> list[Predicate]:
        matched = _FILTER.fullmatch(key)
        prefix, name = (matched[1] or "", matched[2]) if matched else ("", key)
        if name not in self.sample:
            if self.is_strict and self.sample:
                raise _wrong_filter(name, "is not allowed in filter")
            return []
        if isinstance(self.sample[name], list):
            return [_shared(name, frozenset(map(str, values_of(given))), is_in=not prefix.startswith("!"))]
        if "%" in prefix:
            return [_like(name, prefix, str(given))]
        if prefix in _LISTED and (prefix.endswith("@") or isinstance(given, list | dict)):
            values = frozenset(self._value(name, each) for each in values_of(given))
            return [_among(name, values, is_in=_LISTED[prefix] == "@")]
        value = self._value(name, given)
        if prefix in ("!", "!="):
            return [_among(name, frozenset([value]), is_in=False)]
        return [_among(name, frozenset([None]), is_in=True) if value is None else Compared(name, prefix or "=", value)]

    def _value(self, name: str, given: Any) -> Any:
        """A value as it is compared; empty is null."""
        if given is None or given == "":
            return None
        try:
            return _VALUES[self.kinds.get(name, Kind.TEXT)](given)
        except (TypeError, ValueError):
            raise _wrong_filter(name, "has invalid value") from None

    def order(self, given: Any) -> list[By]:
        """What to sort by, from `{field: ASC|DESC}`."""
        order = []
        for name, direction in given.items() if isinstance(given, dict) else ():
            if name not in self.sample:
                if self.is_strict and self.sample:
                    raise Refused(400, "INVALID_ARG_VALUE", f"Invalid order: field '{name}' is not allowed in order")
                continue
            if str(direction).upper() not in ("ASC", "DESC"):
                wrong = f"allowed sort directions are `ASC, DESC`. But got '{direction}' for field '{name}'"
                raise Refused(400, "INVALID_ARG_VALUE", f"Invalid order: {wrong}")
            order.append(By(name, str(direction).upper() == "DESC"))
        return order


def _wrong_filter(name: str, wrong: str) -> Refused:
    return Refused(400, "INVALID_ARG_VALUE", f"Invalid filter: field '{name}' {wrong}")


def _number(given: Any) -> float:
    if isinstance(given, bool | list | dict):
        raise TypeError
    return float(given)


def _text(given: Any) -> str:
    if isinstance(given, list | dict):
        raise TypeError
    return str(given)


def _moment(given: Any) -> str:
    """As rows have it, so that text sorts as time does; one without an offset is the portal's own."""
    moment = datetime.fromisoformat(given)
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=PORTAL_TIME))


def _flag(given: Any) -> Any:
    return "Y" if given in (True, "Y", "1", 1, "true") else "N"


_VALUES: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.MOMENT: _moment,
    Kind.FLAG: _flag,
}


def _among(name: str, values: frozenset[Any], *, is_in: bool) -> Predicate:
    return lambda row: (row[name] in values) is is_in


def _shared(name: str, values: frozenset[str], *, is_in: bool) -> Predicate:
    """Of a field with several values."""
    return lambda row: any(str(each) in values for each in row[name]) is is_in


def _like(name: str, prefix: str, given: str) -> Predicate:
    pattern = given if "=" in prefix else f"%{given}%"
    parts = (re.escape(part) for part in pattern.split("%"))
    matches = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL).fullmatch
    return lambda row: bool(matches(str(row[name] or ""))) is not prefix.startswith("!")


def _all_of(conditions: Sequence[Predicate]) -> Predicate:
    return lambda row: all(holds(row) for holds in conditions)


def _any_of(conditions: Sequence[Predicate]) -> Predicate:
    return lambda row: any(holds(row) for holds in conditions)


# ---------------------------------------------------------------------- pages


def listed(table: Table, fields: Fields, *, where: Any, order: Any, select: Any, start: Any) -> Result:
    """A page of a list. `start` of -1 gives the first rows without counting all."""
    offset = _whole(start)
    found = table.page(
        fields.conditions(where), fields.order(order), offset=max(offset, 0), limit=PAGE, count=offset >= 0
    )
    rows = [_selected(row, select) for row in found.rows]
    if offset < 0:
        return Result(rows, total=0)
    total = found.total or 0
    return Result(rows, total, offset + PAGE if found.has_more else None, counted=total)


def _whole(given: Any) -> int:
    """As PHP reads a whole number: 0 for what is none."""
    found = re.match(r"\s*-?\d+", str(given))
    return int(found[0]) if found else 0


def _selected(row: Row, select: Any) -> Row:
    names = [str(name) for name in values_of(select or "*")]
    if "*" in names:
        return row
    return {name: row[name] for name in names if name in row}
