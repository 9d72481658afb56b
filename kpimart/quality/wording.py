"""Expectations and their results in words, from the plain values of Great Expectations' JSON."""

import json
import re
from collections.abc import Mapping
from typing import Any

SAMPLE_ROWS = 5
SAMPLE_TEXT = 400
# What was observed: a list of values, or a database's own words, which may quote a value whole.
OBSERVED_TEXT = 2000

ROWS_QUERY = "unexpected_rows_expectation"
DOMAIN = {
    "batch_id",
    "column",
    "column_A",
    "column_B",
    "column_list",
    "condition_parser",
    "ignore_row_if",
    "mostly",
    "row_condition",
    "unexpected_rows_query",
}
# Without the tab and the line feed; with the marks that turn the order of a line.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")

Kwargs = Mapping[str, Any]


def label(expectation: Mapping[str, Any]) -> str:
    """The expectation's own description, or its type with what it is about."""
    described = expectation.get("description")
    if described:
        return str(described)
    kwargs = expectation["kwargs"]
    columns = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    columns += kwargs.get("column_list", [])
    about = f"({', '.join(columns)})" if columns else ""
    return f"{expectation['type']}{about}{_condition(kwargs)}"


def expected(kind: str, kwargs: Kwargs) -> str:
    """What the expectation asks for, parameters filled in."""
    wanted = [_wanted(kind, kwargs)]
    if "mostly" in kwargs:
        wanted.append(f"in at least {plain(kwargs['mostly'])} of the rows")
    return ", ".join(wanted)


def observed(kind: str, result: Mapping[str, Any]) -> str | None:
    """What was found: a value, or how many rows were not as expected."""
    if kind == ROWS_QUERY:
        rows = result.get("observed_value")
        return f"{plain(rows)} {'row' if rows == 1 else 'rows'}"
    if "observed_value" in result:
        return plain(result["observed_value"])
    if "unexpected_count" in result:
        return f"{plain(result['unexpected_count'])} of {plain(result['element_count'])} rows are not"
    return None


def samples(result: Mapping[str, Any]) -> str | None:
    """The first rows that were not as expected, as a JSON array; long texts are cut."""
    rows = result.get("unexpected_rows") or result.get("details", {}).get("unexpected_rows") or []
    shown = [{name: cut(value) for name, value in row.items()} for row in rows[:SAMPLE_ROWS]]
    return json.dumps(shown, ensure_ascii=False) if shown else None


def plain(value: Any) -> str:
    """A value as a person writes it: thousands separated, no trailing digits of a binary fraction."""
    if value is None:
        return "nothing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(plain(item) for item in value) if isinstance(value, list) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.6g}"


def _wanted(kind: str, kwargs: Kwargs) -> str:
    if kind == ROWS_QUERY:
        return "no rows"
    if "column_A" in kwargs:
        sign = "≥" if kwargs.get("or_equal") else ">"
        return f"{kwargs['column_A']} {sign} {kwargs['column_B']}"
    if any(name in kwargs for name in BOUNDS[:2]):
        return _between(kwargs)
    if "value_set" in kwargs:
        return f"one of {plain(kwargs['value_set'])}"
    rest = {name: value for name, value in kwargs.items() if name not in DOMAIN}
    return ", ".join(f"{name} = {plain(value)}" for name, value in rest.items()) or _from_type(kind)


def _between(kwargs: Kwargs) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if high is None:
        return f"{'more than' if kwargs.get('strict_min') else 'at least'} {plain(low)}"
    if low is None:
        return f"{'less than' if kwargs.get('strict_max') else 'at most'} {plain(high)}"
    return f"{plain(low)} … {plain(high)}"


def _from_type(kind: str) -> str:
    """`expect_column_values_to_not_be_null` → `not be null`."""
    return kind.removeprefix("expect_").partition("_to_")[2].replace("_", " ") or kind


def _condition(kwargs: Kwargs) -> str:
    condition = kwargs.get("row_condition")
    return f" where {_said(condition)}" if condition else ""


def _said(condition: Any) -> str:
    match condition:
        case {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": parameter}:
            return f"{column} {operator} {plain(parameter)}"
        case {"type": "nullity", "column": {"name": column}, "is_null": is_null}:
            return f"{column} is {'' if is_null else 'not '}null"
        case {"type": "and" | "or" as word, "conditions": list(conditions)}:
            return f" {word} ".join(_said(each) for each in conditions)
        case _:
            return str(condition)


def readable(text: str) -> str:
    """A text as it may be shown: without what would move a terminal's cursor, hide a line, or turn its order."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(value: Any) -> Any:
    """A text that is too long to be read is cut; anything else is left."""
    return f"{value[:SAMPLE_TEXT]}…" if isinstance(value, str) and len(value) > SAMPLE_TEXT else value
