"""What passes a check here is what DuckDB can cast later."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kpimart.extract.values import as_text, check_for, moment_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-07-01 10:00", datetime(2026, 7, 1, 8, tzinfo=UTC)),
        ("2026-07-01T10:00:00.5", datetime(2026, 7, 1, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-07-01T10:00Z", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-07-01 10:00:00 UTC", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-07-01T10:00:00-05:30", datetime(2026, 7, 1, 15, 30, tzinfo=UTC)),
        ("2026-07-01T10:00:00.1234567+0200", datetime(2026, 7, 1, 8, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_moment_is_local_unless_it_names_its_offset(text: str, moment: datetime) -> None:
    assert moment_of(text, zone=BERLIN) == moment
    assert check_for("moment")(text) is None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("moment", "yesterday", "expected a time as YYYY-MM-DD"),
        ("moment", "20260701", "expected a time as YYYY-MM-DD"),
        ("moment", "2026-07-01T25:00", "hour must be in 0..23"),
        ("moment", "2026-02-30", "day is out of range for month"),
        ("moment", "1899-12-31", "year 1899 is not between 1900 and 2100"),
        ("moment", "2101-01-01T00:00Z", "year 2101 is not between 1900 and 2100"),
        ("date", "2026-13-01", "month must be in 1..12"),
        ("date", "2026-07-01T10:00:00", "a time of day has no place here"),
        ("date", "1026-07-01", "year 1026"),
        ("amount", "12x", "expected an amount such as 1234.56, found '12x'"),
        ("amount", "NaN", "found 'NaN'"),
        ("amount", "inf", "found 'inf'"),
        ("amount", "1,05", "found '1,05'"),
        ("amount", "1,000 000", "found '1,000 000'"),
        ("amount", "$5", "found '$5'"),
        ("amount", "９", "found"),
        ("amount", "9999999999999999.995", "beyond 16 digits"),
        ("amount", "-10000000000000000", "beyond 16 digits"),
        ("number", "many", "expected a number"),
        ("boolean", "perhaps", "expected true or false"),
        ("share", "60", "expected a share from 0 to 1, such as 0.6, or a percentage with its sign, 60%, found '60'"),
        ("share", "1.01", "found '1.01'"),
        ("share", "100.1%", "found '100.1%'"),
        ("share", "-0.5", "found '-0.5'"),
        ("share", "%", "found '%'"),
        ("share", "0,5", "found '0,5'"),
    ],
)
def test_what_cannot_be_used_is_told_with_what_was_expected_and_found(kind: Any, text: str, says: str) -> None:
    assert says in check_for(kind)(text)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("amount", "1054"),
        ("amount", "-1,054.00"),
        ("amount", "1 054"),
        ("amount", "1\u00a0054\u00a0000.5"),
        ("amount", "1'054.5"),
        ("amount", ".5"),
        ("amount", "9999999999999999.99"),
        ("date", "2026-07-01"),
        ("date", "2026-07-01T00:00:00"),
        ("boolean", "Yes"),
        ("share", "1"),
        ("share", ".333333333333"),
        ("share", "33.3333 %"),
        ("share", "100%"),
        ("share", "0"),
        ("amount", ""),
        ("date", ""),
        ("moment", ""),
    ],
)
def test_what_can_be_used_passes(kind: Any, text: str) -> None:
    assert check_for(kind)(text) is None  # type: ignore[misc]


def test_a_decimal_comma_turns_the_marks_round() -> None:
    check = check_for("amount", decimal_mark=",")
    assert check is not None
    assert check("1.054,50") is None
    assert "1234,56" in str(check("1,054.50"))
    check = check_for("share", decimal_mark=",")
    assert check is not None
    assert check("33,3%") is None
    assert "0,6" in str(check("0.5"))


def test_a_format_is_the_only_way_to_write_a_date() -> None:
    check = check_for("date", pattern="%d.%m.%Y")
    assert check is not None
    assert check("1.7.2026") is None
    assert "expected a date as %d.%m.%Y, found '2026-07-01'" in str(check("2026-07-01"))
    assert "found '01.07.26'" in str(check("01.07.26"))


def test_typed_values_become_plain_text() -> None:
    values = ["a", None, True, 5, 1e-7, 1e15, 1054.5]
    texts = ["a", "", "true", "5", "0.0000001", "1000000000000000.0", "1054.5"]
    assert [as_text(value) for value in values] == texts


def test_a_list_is_no_plain_value() -> None:
    with pytest.raises(ValueError, match="expected a plain value, found list"):
        as_text([1])
