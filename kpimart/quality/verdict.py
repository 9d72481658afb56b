"""What a gate found, whether that opens it, how it is told to a person, and how it is kept.

Knows nothing of Great Expectations, whose import takes seconds: the process that judges hands over plain values.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import duckdb

from kpimart.quality.wording import readable

Boundary = Literal["raw", "reporting"]
Severity = Literal["critical", "warning", "info"]
Outcome = Literal["passed", "failed", "errored"]

WIDTH = 120
SHOWN_SUBJECTS = 3

WHAT_STAYS = {
    "raw": "The batch is held and no figure has changed.",
    "reporting": "Nothing was published; the last release stays.",
}
WHAT_NOW = {
    "failed": {
        "raw": "correct the export and run again; kpimart quarantine lists the records that were set aside. "
        'If it is right: kpimart accept --by NAME --reason "WHY"',
        "reporting": "correct the data in the CRM, or what expectations/reporting expects of it, then run again. "
        'If it is right: kpimart publish --override "WHY" --by NAME',
    },
    "errored": {
        "raw": "what errored says nothing about the data: mend what was observed (a suite in expectations/raw, "
        "a table that lacks what it asks for, the process that judges), then run again",
        "reporting": "what errored says nothing about the data: mend what was observed (a suite in "
        "expectations/reporting, a model that lacks what it asks for, the process that judges), then run again",
    },
}


@dataclass(frozen=True)
class Result:
    """What became of one expectation. `samples` is a JSON array of rows, `notes` the suite's reason for asking."""

    table: str
    expectation: str
    severity: Severity
    outcome: Outcome
    observed: str | None = None
    expected: str | None = None
    samples: str | None = None
    notes: str | None = None

    @property
    def closes(self) -> bool:
        """An error closes whatever its severity: it hides what would have been found."""
        return self.outcome == "errored" or (self.outcome == "failed" and self.severity == "critical")


@dataclass(frozen=True)
class Verdict:
    """All results of one boundary. A gate in which nothing ran has not passed."""

    boundary: Boundary
    results: tuple[Result, ...]

    @property
    def is_open(self) -> bool:
        return bool(self.results) and not self.refusals

    @property
    def refusals(self) -> tuple[Result, ...]:
        """What closes the gate."""
        return tuple(result for result in self.results if result.closes)

    @property
    def warnings(self) -> tuple[Result, ...]:
        """What failed without closing the gate."""
        return tuple(result for result in self.results if result.outcome == "failed" and not result.closes)

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)


def explain(verdict: Verdict, subject: str | None = None) -> str:
    """Say in words why a gate is closed, or what it warned of; `subject` names the batch or the build.

    One paragraph an expectation: what was asked, what was observed, what was expected, rows that show it, what to do.
    """
    lines = [_headline(verdict, subject or "what it judged")]
    for result in (*verdict.refusals, *verdict.warnings):
        lines += _paragraph(result)
    for outcome, advice in WHAT_NOW.items():
        if any(result.outcome == outcome for result in verdict.refusals):
            lines += _wrapped("what now", advice[verdict.boundary])
    return "\n".join(lines)


def named(subject_ids: Sequence[str]) -> str:
    """What was judged together, in few words: of many batches the first ones stand for the rest."""
    shown = ", ".join(subject_ids[:SHOWN_SUBJECTS])
    more = len(subject_ids) - SHOWN_SUBJECTS
    return f"{shown} and {more:,} more" if more > 0 else shown


def record(
    connection: duckdb.DuckDBPyConnection, subject_id: str, verdict: Verdict, clock: Callable[[], datetime]
) -> None:
    """Keep the verdict in `ops.quality_result`; judged again, a subject keeps only its last verdict.

    subject_id is the batch or the build that was judged; `clock` gives an aware time. Of what was found in the objects
    of a source, a batch keeps what is about its own: others may have been judged with it. Runs in the caller's
    transaction.
    """
    connection.execute(
        "delete from ops.quality_result where subject_id = ? and boundary = ?", [subject_id, verdict.boundary]
    )
    if not verdict.results:
        return
    connection.execute(
        """
        insert into ops.quality_result (
            subject_id, boundary, table_name, expectation, severity, outcome, observed, expected, samples, judged_at
        )
        select
            $subject_id,
            $boundary,
            result."table",
            result.expectation,
            result.severity,
            result.outcome,
            result.observed,
            result.expected,
            result.samples,
            $judged_at
        from (select unnest($results) as result)
        where
            result."table" not in (
                select source || '__' || object
                from ops.batch_object
                group by source, object
                having not bool_or(batch_id = $subject_id)
            )
        """,
        {
            "subject_id": subject_id,
            "boundary": verdict.boundary,
            "results": [asdict(result) for result in verdict.results],
            "judged_at": clock(),
        },
    )


def read_verdict(connection: duckdb.DuckDBPyConnection, subject_id: str, boundary: Boundary) -> Verdict:
    """The verdict that is on record for a batch or a build; one without results where nobody judged it."""
    rows = connection.execute(
        """
        select table_name, expectation, severity, outcome, observed, expected, samples
        from ops.quality_result
        where subject_id = ? and boundary = ?
        order by all
        """,
        [subject_id, boundary],
    ).fetchall()
    return Verdict(boundary, tuple(Result(*row) for row in rows))


def _headline(verdict: Verdict, subject: str) -> str:
    if verdict.is_open:
        refused_or_passed, stays = "passed", ""
    else:
        refused_or_passed, stays = "refused", f". {WHAT_STAYS[verdict.boundary]}"
    return f"{verdict.boundary} gate {refused_or_passed} {subject}: {_counts(verdict)}{stays}"


def _counts(verdict: Verdict) -> str:
    if not verdict.results:
        return "no expectation ran"
    counts = {
        "failed": sum(result.outcome == "failed" for result in verdict.refusals),
        "errored": verdict.count("errored"),
        "warned": len(verdict.warnings),
    }
    told = [f"{number} {what}" for what, number in counts.items() if number]
    return f"of {len(verdict.results)} expectations {', '.join(told) or 'all passed'}"


def _paragraph(result: Result) -> list[str]:
    mark = result.outcome if result.closes else "warning"
    lines = [f"  {result.table}  {result.expectation}  [{mark}]"]
    for name, text in (
        ("observed", result.observed),
        ("expected", result.expected),
        ("because", result.notes),
        ("rows", result.samples),
    ):
        if text:
            lines += _wrapped(name, text, indent=4)
    return lines


def _wrapped(name: str, text: str, *, indent: int = 2) -> list[str]:
    margin = " " * (indent + 10)
    first = f"{' ' * indent}{name:<10}"
    return textwrap.wrap(
        readable(text), WIDTH, initial_indent=first, subsequent_indent=margin, break_on_hyphens=False
    ) or [first]
