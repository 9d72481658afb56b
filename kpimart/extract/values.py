"""What a source writes into a field, checked against the type of its canonical column.

A check answers with the reason why a text cannot be used, or None. The grammar is deliberately no wider than what
staging casts afterwards: what passes here must not become NULL there.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

Kind = Literal["text", "stage", "moment", "date", "amount", "number", "share", "boolean", "choice"]
Check = Callable[[str], str | None]
"""Text as trimmed and cleaned → why it cannot be used, or None. An empty text passes; it is a missing value."""

PADDING = " \t\r\n\f\v\u00a0\u2007\u202f\u200b\ufeff"
"""What surrounds a value without belonging to it: blanks of all widths, and a byte-order mark gone astray."""

DIRECTIVES = frozenset("aAbBdfHIjmMpSyYz%")
"""strptime directives that Python and DuckDB read alike."""

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "0"})

EARLIEST_YEAR, LATEST_YEAR = 1900, 2100
# The least number that decimal(18,2) cannot hold once it is rounded to cents.
_TOO_BIG = Decimal("9999999999999999.995")
_CACHED_VALUES = 65_536

_ISO_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?) ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def as_text(value: Any) -> str:
    """The text of a value that a source gave with a type of its own; a missing value is the empty text.

    Raises ValueError for what is not a plain value: a list, an object, bytes.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        written = repr(value)
        return f"{Decimal(written):f}" if "e" in written else written
    raise ValueError(f"expected a plain value, found {type(value).__name__} {str(value)[:80]!r}")


def iso_text(value: date | time) -> str:
    """A date, a time of day, or a moment, which is given in UTC if it has an offset."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    return value.isoformat()


def decimal_text(value: Decimal, mark: str) -> str:
    """All digits of a decimal, with the decimal mark of its mapping."""
    return f"{value:f}".replace(".", mark)


def json_number(value: float, mark: str) -> float | str:
    """A number where JSON and the decimal mark of its mapping allow one, else its text."""
    return value if mark == "." and abs(value) < float("inf") else str(value).replace(".", mark)


_TEXTS: dict[type, Callable[[Any], str]] = {datetime: iso_text, date: iso_text, time: iso_text, UUID: str}
_NUMBERS: dict[type, Callable[[Any, str], float | str]] = {Decimal: decimal_text, float: json_number}


def plain_value(value: Any, mark: str) -> Any:
    """A typed value as JSON can hold it without loss; what has no such form comes back as it is."""
    kind = type(value)
    if kind in _TEXTS:
        return _TEXTS[kind](value)
    return _NUMBERS[kind](value, mark) if kind in _NUMBERS else value


def is_broken(text: str) -> bool:
    """Whether bytes of this text could not be decoded (they stand in it as lone surrogates)."""
    return _LONE_SURROGATE.search(text) is not None


def repaired(text: str) -> str:
    """The text with a replacement character for every byte that could not be decoded."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def moment_of(text: str, *, zone: ZoneInfo, pattern: str | None = None) -> datetime:
    """The UTC moment a text names; local in `zone` unless it has an offset, and local midnight if it is a bare date.

    pattern: a strptime format; None is ISO 8601. Raises ValueError.
    """
    moment = _parsed(text, pattern)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def check_for(
    kind: Kind, *, pattern: str | None = None, decimal_mark: str = ".", choices: tuple[str, ...] = ()
) -> Check | None:
    """The check of a column of this kind, with a memory for the values that come again; None where anything goes."""
    check = _make_check(kind, pattern, decimal_mark, choices)
    return lru_cache(maxsize=_CACHED_VALUES)(check) if check else None


def _make_check(kind: Kind, pattern: str | None, decimal_mark: str, choices: tuple[str, ...]) -> Check | None:
    match kind:
        case "moment":
            return _moment_check(pattern)
        case "date":
            return _date_check(pattern)
        case "amount" | "number":
            return _amount_check(kind, decimal_mark)
        case "share":
            return _share_check(decimal_mark)
        case "boolean":
            return _word_check("true or false", TRUE_WORDS | FALSE_WORDS)
        case "choice":
            return _word_check(f"one of {', '.join(choices)}", frozenset(choices), folded=False)
        case "stage":
            return _word_check(f"a stage of the settings ({', '.join(choices)})", frozenset(choices), folded=False)
        case "text":
            return None


def _expected(what: str, found: str, detail: str = "") -> str:
    return f"expected {what}, found {found!r}{f' ({detail})' if detail else ''}"


def _moment_check(pattern: str | None) -> Check:
    what = f"a time as {pattern}" if pattern else "a time as YYYY-MM-DDTHH:MM:SS±HH:MM or a date as YYYY-MM-DD"

    def check(text: str) -> str | None:
        try:
            _parsed(text, pattern)
        except ValueError as error:
            return _expected(what, text, _detail(error)) if text else None
        return None

    return check


def _date_check(pattern: str | None) -> Check:
    what = f"a date as {pattern}" if pattern else "a date as YYYY-MM-DD"

    def check(text: str) -> str | None:
        try:
            moment = _parsed(text, pattern)
        except ValueError as error:
            return _expected(what, text, _detail(error)) if text else None
        if not pattern and (moment.time() != time.min or moment.tzinfo):
            return _expected(what, text, "a time of day has no place here")
        return None

    return check


def _amount_check(kind: Kind, decimal_mark: str) -> Check:
    pattern = _amount_pattern(decimal_mark)
    what = f"an amount such as 1234{decimal_mark}56" if kind == "amount" else f"a number such as 12{decimal_mark}5"

    def check(text: str) -> str | None:
        if not text:
            return None
        if not pattern.fullmatch(text):
            return _expected(what, text)
        digits = re.sub(rf"[^0-9{re.escape(decimal_mark)}]", "", text).replace(decimal_mark, ".")
        return _expected(what, text, "beyond 16 digits before the mark") if Decimal(digits) >= _TOO_BIG else None

    return check


def _amount_pattern(decimal_mark: str) -> re.Pattern[str]:
    """Digits, perhaps in groups of three with one separator throughout, perhaps with decimals."""
    other_mark = "," if decimal_mark == "." else "."
    separator = rf"[ \u00a0\u202f'’{re.escape(other_mark)}]"
    groups = rf"\d{{1,3}}(?P<separator>{separator})\d{{3}}(?:(?P=separator)\d{{3}})*"
    return re.compile(rf"(?=.*\d)[+-]?(?:{groups}|\d*)(?:{re.escape(decimal_mark)}\d*)?", re.ASCII)


def _share_check(decimal_mark: str) -> Check:
    pattern = re.compile(rf"(?=.*\d)(\d*(?:{re.escape(decimal_mark)}\d*)?) ?(%?)", re.ASCII)

    def check(text: str) -> str | None:
        if not text:
            return None
        parts = pattern.fullmatch(text)
        whole = 100 if parts and parts[2] else 1
        if parts and Decimal(parts[1].replace(decimal_mark, ".")) <= whole:
            return None
        return _expected(f"a share from 0 to 1, such as 0{decimal_mark}6, or a percentage with its sign, 60%", text)

    return check


def _word_check(what: str, words: frozenset[str], *, folded: bool = True) -> Check:
    def check(text: str) -> str | None:
        if not text or (text.lower() if folded else text) in words:
            return None
        return _expected(what, text)

    return check


def _parsed(text: str, pattern: str | None) -> datetime:
    # A time without an offset stays without one here: whose time zone it is in, is the caller's to say.
    moment = datetime.strptime(text, pattern) if pattern else _iso_moment(text)  # noqa: DTZ007
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"year {moment.year} is not between {EARLIEST_YEAR} and {LATEST_YEAR}")
    return moment


def _iso_moment(text: str) -> datetime:
    parts = _ISO_MOMENT.fullmatch(text)
    if parts is None:
        raise ValueError(f"Invalid isoformat string: {text!r}")
    day, clock, offset = parts.groups()
    if clock is None:
        return datetime.fromisoformat(day)
    return datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in ('Z', 'UTC') else offset or ''}")


def _detail(error: Exception) -> str:
    """What the parser says beyond "it does not match", such as that February has no 31st."""
    text = str(error)
    said_already = text.startswith(("Invalid isoformat", "time data", "unconverted data"))
    return "" if said_already else text
