"""The gate with the real Great Expectations, on a real DuckDB file."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.quality.gate import Judge
from kpimart.quality.verdict import Result, Verdict
from kpimart.warehouse import WAREHOUSE_FILE

Suite = Callable[..., None]

SALE = {"sale": "kpi.sale"}
AT_LEAST_ONE_ROW = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}


def amount_at_most(limit: Any, **settings: Any) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount", "max_value": limit},
        **settings,
    }


def the_only(verdict: Verdict) -> Result:
    (result,) = verdict.results
    return result


def outcomes(verdict: Verdict) -> list[str]:
    return [result.outcome for result in verdict.results]


def test_a_table_that_is_as_expected_opens_the_gate(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW, amount_at_most(250))

    verdict = judge.judge_reporting(database, SALE, {})

    assert verdict.is_open
    assert [(result.outcome, result.observed, result.expected) for result in verdict.results] == [
        ("passed", "4", "at least 1"),
        ("passed", "0 of 4 rows are not", "at most 250"),
    ]


def test_a_failure_shows_what_was_observed_what_was_expected_and_the_rows(
    judge: Judge, suite: Suite, database: Path
) -> None:
    suite("sale", amount_at_most(200, severity="critical", meta={"notes": "Nobody sells for more."}))

    verdict = judge.judge_reporting(database, SALE, {})

    assert not verdict.is_open
    assert the_only(verdict) == Result(
        table="sale",
        expectation="expect_column_values_to_be_between(amount)",
        severity="critical",
        outcome="failed",
        observed="1 of 4 rows are not",
        expected="at most 200",
        samples='[{"sale_id": 2, "outcome": "won", "amount": 250.0, "closed_on": "2026-11-21"}]',
        notes="Nobody sells for more.",
    )


def test_a_query_shows_the_rows_it_found(judge: Judge, suite: Suite, database: Path) -> None:
    query = "select outcome, count(*) as sales from {batch} group by outcome having count(*) > 1"
    suite(
        "sale",
        {
            "type": "unexpected_rows_expectation",
            "description": "one sale an outcome",
            "kwargs": {"unexpected_rows_query": query},
        },
    )

    result = the_only(judge.judge_reporting(database, SALE, {}))

    assert (result.expectation, result.observed, result.expected) == ("one sale an outcome", "1 row", "no rows")
    assert json.loads(result.samples or "") == [{"outcome": "won", "sales": 2}]


def test_a_query_may_read_the_other_tables_by_their_published_names(judge: Judge, suite: Suite, database: Path) -> None:
    suite("kept", AT_LEAST_ONE_ROW)
    query = "select * from {batch} where sale_id not in (select sale_id from kept)"
    suite("sale", {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}})

    verdict = judge.judge_reporting(database, {"sale": "kpi.sale", "kept": "kpi.sale"}, {})

    assert verdict.is_open


def test_a_row_condition_limits_what_is_asked(judge: Judge, suite: Suite, database: Path) -> None:
    conditions = [
        {"type": "comparison", "column": {"name": "outcome"}, "operator": "IN", "parameter": ["won", "lost"]},
        {"type": "nullity", "column": {"name": "closed_on"}, "is_null": False},
    ]
    suite(
        "sale",
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {
                "column": "amount",
                "min_value": 1,
                "row_condition": {"type": "and", "conditions": conditions},
            },
        },
    )

    result = the_only(judge.judge_reporting(database, SALE, {}))

    assert result.observed == "1 of 3 rows are not"
    assert result.expectation.endswith("(amount) where outcome IN won, lost and closed_on is not null")


def test_a_warning_is_told_and_closes_nothing(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW, amount_at_most(200, severity="warning"))

    verdict = judge.judge_reporting(database, SALE, {})

    assert verdict.is_open
    assert [result.expected for result in verdict.warnings] == ["at most 200"]


def test_what_errored_is_told_apart_from_what_failed_and_closes_whatever_its_severity(
    judge: Judge, suite: Suite, database: Path
) -> None:
    no_such_column = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "discount"},
        "severity": "info",
    }
    suite("sale", AT_LEAST_ONE_ROW, no_such_column, amount_at_most(200, severity="warning"))

    verdict = judge.judge_reporting(database, SALE, {})

    assert outcomes(verdict) == ["passed", "errored", "failed"]
    assert not verdict.is_open
    assert "discount" in (verdict.refusals[0].observed or "")


def test_one_expectation_that_errors_in_the_database_leaves_the_others_their_own_result(
    judge: Judge, suite: Suite, database: Path
) -> None:
    text_against_a_number = {
        "type": "expect_column_max_to_be_between",
        "kwargs": {"column": "outcome", "max_value": 5},
    }
    sum_of_text = {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "outcome", "max_value": 5}}
    sum_of_amounts = {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "amount", "max_value": 350}}
    suite("sale", sum_of_text, sum_of_amounts, text_against_a_number)

    verdict = judge.judge_reporting(database, SALE, {})

    assert outcomes(verdict) == ["errored", "passed", "errored"]
    assert "[SQL" not in (verdict.results[0].observed or "")


def test_values_are_put_in_the_place_of_parameters(judge: Judge, suite: Suite, database: Path) -> None:
    newest = {
        "type": "expect_column_max_to_be_between",
        "kwargs": {"column": "closed_on", "min_value": {"$PARAMETER": "last_day"}},
    }
    suite("sale", amount_at_most({"$PARAMETER": "limit"}), newest)

    verdict = judge.judge_reporting(database, SALE, {"limit": 200, "last_day": "2026-11-22"})

    assert [(result.outcome, result.observed, result.expected) for result in verdict.results] == [
        ("failed", "1 of 4 rows are not", "at most 200"),
        ("failed", "2026-11-21", "at least 2026-11-22"),
    ]
    assert judge.judge_reporting(database, SALE, {"limit": 250, "last_day": "2026-11-21"}).is_open


def test_a_parameter_without_a_value_is_an_error_of_its_expectation(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW, amount_at_most({"$PARAMETER": "limit"}, severity="warning"))

    verdict = judge.judge_reporting(database, SALE, {"limits": 200})

    assert outcomes(verdict) == ["passed", "errored"]
    assert verdict.results[1].observed == "no value was given for limit"


def test_an_empty_suite_closes(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale")

    result = the_only(judge.judge_reporting(database, SALE, {}))

    assert result.outcome == "errored"
    assert "the suite is empty" in (result.observed or "")


def test_a_table_that_is_not_there_closes(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW)

    result = the_only(judge.judge_reporting(database, {"sale": "kpi.sales"}, {}))

    assert (result.outcome, result.observed) == ("errored", "Tuesday's build.duckdb has no kpi.sales")


def test_a_suite_whose_table_is_not_published_closes(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW)
    suite("refund", AT_LEAST_ONE_ROW)

    verdict = judge.judge_reporting(database, SALE, {})

    assert [(result.table, result.outcome) for result in verdict.results] == [("sale", "passed"), ("refund", "errored")]


def test_a_published_table_without_a_suite_closes(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW)

    verdict = judge.judge_reporting(database, {"sale": "kpi.sale", "refund": "kpi.sale"}, {})

    assert outcomes(verdict) == ["passed", "errored"]
    assert "reporting/refund.json" in (verdict.results[1].observed or "")


def test_a_gate_in_which_nothing_ran_is_closed(judge: Judge, database: Path) -> None:
    verdict = judge.judge_reporting(database, {}, {})

    assert verdict.results == ()
    assert not verdict.is_open


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read"),
        ('{"expectations": []}', "is no suite"),
        ('{"name": "sale", "expectations": [{"kwargs": {}}]}', "type"),
        ('{"name": "sale", "expectations": [{"type": "expect_wonders", "kwargs": {}}]}', "expect_wonders"),
        ('{"name": "sale", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"colum": 1}}]}', "colum"),
        ('{"name": "sale", "expectations": [{"kwargs": {}, "severity": "fatal"}]}', "severity 'fatal' is none of"),
    ],
    ids=["not JSON", "no name", "no type", "unknown type", "unknown argument", "unknown severity"],
)
def test_a_suite_that_cannot_be_used_closes_and_says_why(
    judge: Judge, suite: Suite, suites_folder: Path, database: Path, content: str, told: str
) -> None:
    suite("sale")
    (suites_folder / "reporting" / "sale.json").write_text(content)

    result = the_only(judge.judge_reporting(database, SALE, {}))

    assert (result.table, result.outcome) == ("sale", "errored")
    assert told in (result.observed or "")


def test_long_texts_and_many_rows_are_cut_in_the_samples(judge: Judge, suite: Suite, database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table kpi.long as select repeat('x', 10000) as text, i from range(30) as rows (i)")
    suite("long", {"type": "expect_column_values_to_be_null", "kwargs": {"column": "text"}})

    result = the_only(judge.judge_reporting(database, {"long": "kpi.long"}, {}))

    rows = json.loads(result.samples or "")
    assert len(rows) == 5
    assert rows[0]["text"] == "x" * 400 + "…"


def test_the_file_is_free_and_unchanged_as_soon_as_there_is_a_verdict(
    judge: Judge, suite: Suite, database: Path
) -> None:
    suite("sale", AT_LEAST_ONE_ROW, amount_at_most(200))
    before = hashlib.sha256(database.read_bytes()).hexdigest()

    judge.judge_reporting(database, SALE, {})

    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into kpi.sale values (5, 'won', 1, null)")


def test_a_file_that_the_run_still_holds_is_told(judge: Judge, suite: Suite, database: Path) -> None:
    suite("sale", AT_LEAST_ONE_ROW)

    with duckdb.connect(str(database)):
        verdict = judge.judge_reporting(database, SALE, {})

    assert not verdict.is_open
    assert "lock" in (the_only(verdict).observed or "")
    assert judge.judge_reporting(database, SALE, {}).is_open


def test_a_file_that_is_not_there_is_told_and_not_made(judge: Judge, tmp_path: Path) -> None:
    verdict = judge.judge_reporting(tmp_path / "nowhere.duckdb", SALE, {})

    assert the_only(verdict).outcome == "errored"
    assert "nowhere.duckdb" in (the_only(verdict).observed or "")
    assert list(tmp_path.iterdir()) == []


def test_views_that_name_the_files_own_catalog_are_read(judge: Judge, suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "20261123T020000Z.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create schema kpi;
            create table kpi.sale as select * from (values (1, 'won'), (2, 'lost')) as rows (sale_id, outcome);
            create view kpi.won as select * from "20261123T020000Z"."kpi"."sale" where outcome = 'won';
        """)
    suite("won", {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}})

    assert judge.judge_reporting(path, {"won": "kpi.won"}, {}).is_open


def test_what_libraries_print_does_not_disturb_the_answers(judge: Judge, suite: Suite, database: Path) -> None:
    # Great Expectations prints a warning on standard output about a query that does not name its batch.
    query = "select 1 where false"
    suite("sale", {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}})

    assert [judge.judge_reporting(database, SALE, {}).is_open for _ in range(2)] == [True, True]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)", "ended with code -9"),
        (
            "import sys; sys.exit('no such module')",
            "ended with code 1 and gave no answer; it last said: no such module",
        ),
        ("import sys; sys.stdin.readline(); print('hello')", "answered what is no answer: 'hello"),
        ("import sys; sys.stdin.readline(); print('[]')", "answered what is no answer"),
        ("import sys; sys.stdin.readline(); print('{\"results\": [{}]}')", "answered what is no answer"),
    ],
    ids=["killed", "never started", "nonsense", "not an object", "no results"],
)
def test_a_process_that_does_not_answer_closes_the_gate(database: Path, program: str, told: str) -> None:
    with Judge(worker=(sys.executable, "-c", program)) as judge:
        verdict = judge.judge_reporting(database, SALE, {})

    assert not verdict.is_open
    assert told in (the_only(verdict).observed or "")


def test_a_run_that_fails_early_does_not_wait_for_the_process_to_be_ready() -> None:
    with pytest.raises(LookupError), Judge() as judge:
        raise LookupError

    assert judge.is_over


def test_the_run_itself_never_imports_great_expectations() -> None:
    program = (
        "import sys, kpimart.quality.gate; print({'great_expectations', 'sqlalchemy', 'pandas'} & set(sys.modules))"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "set()"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose warehouse holds one pending batch, of deals."""
    with duckdb.connect(str(tmp_path / WAREHOUSE_FILE)) as connection:
        connection.execute("""
            create schema ops;
            create schema pending;
            create table ops.batch_object as select 'files' as source, 'deals' as object, 8800 as rows_read;
            create view pending.batch_object as select * from ops.batch_object;
            create view pending.files__deals as select 'a' as id from ops.batch_object;
            create view pending.files__leads as select 'a' as id where false;
        """)
    return tmp_path


def test_pending_batches_and_the_objects_they_bring_are_judged(judge: Judge, suite: Suite, home: Path) -> None:
    for table in ("batch_object", "files__deals", "files__leads"):
        suite(table, AT_LEAST_ONE_ROW, boundary="raw")

    verdict = judge.judge_raw(home, {})

    assert [(result.table, result.outcome) for result in verdict.results] == [
        ("batch_object", "passed"),
        ("files__deals", "passed"),
    ]


def test_an_object_that_a_batch_brings_needs_a_suite(judge: Judge, suite: Suite, home: Path) -> None:
    suite("batch_object", AT_LEAST_ONE_ROW, boundary="raw")

    verdict = judge.judge_raw(home, {})

    assert [(result.table, result.outcome) for result in verdict.results] == [
        ("batch_object", "passed"),
        ("files__deals", "errored"),
    ]


def test_a_warehouse_in_which_nothing_is_prepared_closes(judge: Judge, suite: Suite, tmp_path: Path) -> None:
    suite("batch_object", AT_LEAST_ONE_ROW, boundary="raw")
    with duckdb.connect(str(tmp_path / WAREHOUSE_FILE)):
        pass

    result = the_only(judge.judge_raw(tmp_path, {}))

    assert result.observed == "warehouse.duckdb has no pending.batch_object"
