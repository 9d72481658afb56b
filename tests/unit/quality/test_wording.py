"""Expectations and what was found, in words."""

from typing import Any

import pytest

from kpimart.quality import wording


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"column": "a", "min_value": 0, "max_value": 1}, "0 … 1"),
        ({"column": "a", "min_value": 1234567}, "at least 1,234,567"),
        ({"column": "a", "min_value": 0, "strict_min": True}, "more than 0"),
        ({"column": "a", "max_value": "2026-11-23"}, "at most 2026-11-23"),
        ({"column": "a", "max_value": 0.1, "strict_max": True}, "less than 0.1"),
        ({"column": "a", "max_value": 1, "mostly": 0.99}, "at most 1, in at least 0.99 of the rows"),
        ({"column": "a", "value_set": ["day", "week"]}, "one of day, week"),
        ({"column_A": "left_on", "column_B": "hired_on", "or_equal": True}, "left_on ≥ hired_on"),
        ({"column_A": "left_on", "column_B": "hired_on"}, "left_on > hired_on"),
        ({"column": "a", "value": 64}, "value = 64"),
        ({"column": "a"}, "not be null"),
    ],
)
def test_what_is_expected(kwargs: dict[str, Any], words: str) -> None:
    assert wording.expected("expect_column_values_to_not_be_null", kwargs) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "True"),
        (41208113, "41,208,113"),
        (41208113.0, "41,208,113.00"),
        (0.1 + 0.2, "0.3"),
        ([1, "a"], "1, a"),
        ("2026-11-23", "2026-11-23"),
    ],
)
def test_a_value_is_written_as_a_person_writes_it(value: Any, words: str) -> None:
    assert wording.plain(value) == words


def test_an_expectation_without_a_description_is_named_by_its_type_columns_and_condition() -> None:
    condition = {"type": "comparison", "column": {"name": "unit"}, "operator": "==", "parameter": "ratio"}
    kwargs = {"column_list": ["a", "b"], "row_condition": condition}

    assert wording.label({"type": "expect_wonders", "kwargs": kwargs}) == "expect_wonders(a, b) where unit == ratio"
    assert wording.label({"type": "expect_wonders", "kwargs": kwargs, "description": "wonders"}) == "wonders"
