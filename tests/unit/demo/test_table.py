"""The table behind the served lists: whatever is asked, it finds what a look at every row would."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kpimart.demo.server.table import By, Compared, Table

OPERATORS = (">", ">=", "<", "<=", "=")

few = st.integers(min_value=0, max_value=3)
fields = st.sampled_from(("size", "age"))
tables = st.lists(st.tuples(few | st.none(), few | st.none()), max_size=12)
conditions = st.lists(st.builds(Compared, fields, st.sampled_from(OPERATORS), few), max_size=3)
orders = st.lists(st.builds(By, fields, st.booleans()), max_size=2)


def place(row: dict[str, Any], field: str) -> tuple[bool, int]:
    """What is null comes first."""
    return row[field] is not None, row[field] or 0


@settings(max_examples=100, deadline=None)
@given(tables, conditions, orders, few, st.integers(min_value=1, max_value=4), st.booleans())
def test_a_page_is_that_of_a_look_at_every_row(
    values: list[tuple[Any, Any]], where: list[Compared], order: list[By], offset: int, limit: int, count: bool
) -> None:
    rows = [{"id": at, "size": size, "age": age} for at, (size, age) in enumerate(values)]
    expected = [row for row in rows if all(condition(row) for condition in where)]
    for field, descending in reversed(order):
        expected.sort(key=lambda row: place(row, field), reverse=descending)
    found = Table(rows, identity="id").page(where, order, offset=offset, limit=limit, count=count)
    assert found.rows == expected[offset : offset + limit]
    assert found.has_more == (offset + limit < len(expected))
    assert found.total in ((len(expected),) if count else (len(expected), None))


def test_nothing_compares_with_what_is_not_there() -> None:
    rows = [{"id": 1, "size": None}, {"id": 2, "size": 0}]
    table = Table(rows, identity="id")
    for order in ((), (By("size"),), (By("size", descending=True),)):
        found = table.page([Compared("size", "<", 5)], order, offset=0, limit=9, count=True)
        assert (found.rows, found.total) == ([rows[1]], 1)


def test_rows_are_compared_by_other_values_than_they_show() -> None:
    rows = [{"id": text} for text in ("9", "10", "11")]
    table = Table(rows, identity="id", values=lambda row: {"id": int(row["id"])})
    found = table.page([Compared("id", ">", 9)], (), offset=0, limit=9, count=False)
    assert found.rows == rows[1:]
