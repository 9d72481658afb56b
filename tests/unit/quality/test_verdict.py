"""What opens and closes a gate, how it is told, how it is kept."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kpimart.quality.verdict import Outcome, Result, Severity, Verdict, explain, named, read_verdict, record
from kpimart.warehouse import open_warehouse

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


def result(outcome: Outcome, severity: Severity = "critical", **fields: Any) -> Result:
    return Result("kpi_value", "managers add up to the company", severity, outcome, **fields)


PASSED = result("passed")


@pytest.mark.parametrize(
    ("results", "is_open"),
    [
        ((), False),
        ((PASSED,), True),
        ((PASSED, result("failed")), False),
        ((PASSED, result("failed", "warning")), True),
        ((PASSED, result("failed", "info")), True),
        ((PASSED, result("errored", "warning")), False),
        ((PASSED, result("errored", "info")), False),
    ],
)
def test_what_opens_the_gate(results: tuple[Result, ...], is_open: bool) -> None:
    assert Verdict("reporting", results).is_open is is_open


def test_a_refusal_tells_each_expectation_with_its_rows_and_what_to_do() -> None:
    verdict = Verdict(
        "reporting",
        (
            PASSED,
            result(
                "failed",
                observed="1 row",
                expected="no rows",
                samples='[{"kpi_code": "won_amount", "company": 100.0, "managers": 99.99}]',
                notes="Who sums the rows of a page must get the figure on top of it.",
            ),
            result("errored", "warning", observed="there is no column entity_level"),
            result("failed", "warning", observed="12", expected="at most 10"),
        ),
    )

    assert explain(verdict, "20261123T020000Z") == (
        "reporting gate refused 20261123T020000Z: of 4 expectations 1 failed, 1 errored, 1 warned. "
        "Nothing was published; the last release stays.\n"
        "  kpi_value  managers add up to the company  [failed]\n"
        "    observed  1 row\n"
        "    expected  no rows\n"
        "    because   Who sums the rows of a page must get the figure on top of it.\n"
        '    rows      [{"kpi_code": "won_amount", "company": 100.0, "managers": 99.99}]\n'
        "  kpi_value  managers add up to the company  [errored]\n"
        "    observed  there is no column entity_level\n"
        "  kpi_value  managers add up to the company  [warning]\n"
        "    observed  12\n"
        "    expected  at most 10\n"
        "  what now  correct the data in the CRM, or what expectations/reporting expects of it, then run again. "
        "If it is right:\n"
        '            kpimart publish --override "WHY" --by NAME\n'
        "  what now  what errored says nothing about the data: mend what was observed "
        "(a suite in expectations/reporting, a model\n"
        "            that lacks what it asks for, the process that judges), then run again"
    )


def test_a_gate_in_which_nothing_ran_says_so() -> None:
    assert explain(Verdict("raw", ())) == (
        "raw gate refused what it judged: no expectation ran. The batch is held and no figure has changed."
    )


def test_an_open_gate_is_told_in_a_line() -> None:
    assert explain(Verdict("raw", (PASSED, PASSED)), "files-1") == (
        "raw gate passed files-1: of 2 expectations all passed"
    )


def test_a_batch_keeps_what_was_found_in_its_own_objects_and_in_no_other_batchs(tmp_path: Path) -> None:
    found = tuple(replace(PASSED, table=table) for table in ("batch_object", "crm__deals", "crm__users"))
    with open_warehouse(tmp_path) as connection:
        connection.execute(
            "insert into ops.batch_object select 'crm-' || object, 'crm', object, 'delta', 1, 1, 0, 0, 0, null "
            "from unnest(['deals', 'users']) as objects (object)"
        )
        record(connection, "crm-deals", Verdict("raw", found), lambda: NOW)
        kept = read_verdict(connection, "crm-deals", "raw")
    assert [each.table for each in kept.results] == ["batch_object", "crm__deals"]


def test_of_many_batches_the_first_ones_are_named() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named([f"part-{number}" for number in range(13)]) == "part-0, part-1, part-2 and 10 more"


def test_a_verdict_is_kept_and_a_second_one_takes_its_place(tmp_path: Path) -> None:
    with open_warehouse(tmp_path) as connection:
        record(connection, "files-1", Verdict("raw", (PASSED, result("errored", observed="?"))), lambda: NOW)
        record(connection, "files-1", Verdict("raw", (result("failed", samples='[{"id": 1}]'),)), lambda: NOW)
        record(connection, "files-2", Verdict("raw", (PASSED,)), lambda: NOW)
        kept = connection.execute(
            "select subject_id, boundary, table_name, expectation, severity, outcome, samples, judged_at "
            "from ops.quality_result order by subject_id"
        ).fetchall()

    about = ("raw", "kpi_value", "managers add up to the company", "critical")
    assert kept == [
        ("files-1", *about, "failed", '[{"id": 1}]', NOW),
        ("files-2", *about, "passed", None, NOW),
    ]
