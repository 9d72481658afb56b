"""The Data Docs of a judgement: pages that show what was found, load nothing and run nothing, whatever the data are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.quality.gate import Judge
from kpimart.quality.verdict import explain

Suite = Callable[..., None]

NAMES = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "attribute": '"><a href="http://evil.example">x</a>',
    "sql": "Robert'); drop table kpi.sale; --",
    "template": "{{ 7 * 7 }}{% raw %} ${danger} $PARAMETER",
    "control": "\x1b[2J\x1b]0;owned\x07\x9b31m\x00",
    "long": "x" * 10_000_000,
}
NO_NAMES = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "name"}}
KNOWN_NAMES = {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "name", "value_set": ["a"]}}
NO_ROWS = {
    "type": "unexpected_rows_expectation",
    "description": "nothing at all",
    "kwargs": {"unexpected_rows_query": "select name from {batch}"},
}
ERRORS = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "no_such", "max_value": 1}}


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A build with a table for each kind of name, and one of them all."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema kpi; create table kpi.sale (kind varchar, name varchar)")
        for kind, name in NAMES.items():
            connection.execute("insert into kpi.sale values (?, ?)", [kind, name])
    return path


def documented(judge: Judge, suite: Suite, database: Path, *expectations: dict[str, Any]) -> tuple[Path, str]:
    """The folder of the pages, and what is printed of the refusal."""
    suite("sale", *expectations)
    folder = database.with_name("docs")
    verdict = judge.judge_reporting(database, {"sale": "kpi.sale"}, {}, documents=folder)
    return folder, explain(verdict)


def test_what_is_in_the_data_is_nothing_but_text_on_a_page(judge: Judge, suite: Suite, poisoned: Path) -> None:
    folder, _ = documented(judge, suite, poisoned, NO_NAMES, KNOWN_NAMES, NO_ROWS, ERRORS)
    page = (folder / "sale.html").read_text()
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<img|<a href=\"http|\x1b|\x9b|\x00", page)
    assert "{{ 7 * 7 }}" in page
    assert len(page) < 200_000


def test_a_refusal_prints_no_control_characters_and_no_endless_lines(
    judge: Judge, suite: Suite, poisoned: Path
) -> None:
    _, said = documented(judge, suite, poisoned, NO_NAMES, KNOWN_NAMES, NO_ROWS)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)
    assert len(said) < 20_000
    assert "drop table kpi.sale" in said


def test_pages_load_nothing_from_anywhere(judge: Judge, suite: Suite, database: Path) -> None:
    folder, _ = documented(judge, suite, database, NO_ROWS | {"kwargs": {"unexpected_rows_query": "from {batch}"}})
    for page in folder.iterdir():
        text = page.read_text()
        assert "default-src 'none'" in text
        assert re.findall(r"(?:src|href)=\"(?!#)([^\"]*)\"", text) in (["index.html"], ["sale.html"])


def test_a_page_shows_each_expectation_with_what_was_observed(judge: Judge, suite: Suite, database: Path) -> None:
    at_most = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "amount", "max_value": 200}}
    folder, _ = documented(judge, suite, database, at_most)
    text = " ".join(re.sub(r"<[^>]*>", " ", (folder / "sale.html").read_text()).split())
    assert "maximum value must be less than or equal to 200" in text
    assert "250" in text


def test_the_index_lists_every_table_and_what_is_wrong_with_it(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 5}})
    suite("gone", {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 5}})
    folder = database.with_name("docs")
    judge.judge_reporting(database, {"sale": "kpi.sale", "gone": "kpi.gone"}, {}, documents=folder)
    index = (folder / "index.html").read_text()
    assert '<td><a href="sale.html">sale</a></td><td>1</td><td>1</td><td>0</td>' in index
    assert "<td>gone</td><td>1</td><td>0</td><td>1</td>" in index
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "sale.html"]


def test_pages_that_cannot_be_written_are_told_and_close_nothing(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 4}})
    database.with_name("docs").write_text("a file is in the way")
    verdict = judge.judge_reporting(database, {"sale": "kpi.sale"}, {}, documents=database.with_name("docs"))
    assert verdict.is_open
    assert [each.expectation for each in verdict.warnings] == ["Data Docs of the judgement are written"]
