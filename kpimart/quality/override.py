"""What a person takes upon themselves: that a gate refused, and what it refused is let through all the same.

An override is a decision, so it is raw: a record of the object `override` of source `kpimart`. It names every refusal
that it is about. What another judgement of the same batch or build refuses besides is not overridden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import orjson

from kpimart.errors import SettingsError
from kpimart.quality.verdict import Boundary, Result, Verdict

OBJECT = "override"

# One row per refusal that is overridden.
_OVERRIDDEN = """
    select
        boundary,
        subject_id,
        overridden_by,
        override_reason,
        overridden_at,
        refusal."table" as table_name,
        refusal.expectation as expectation,
        refusal.expected as expected
    from (
        select
            payload ->> '$.boundary' as boundary,
            payload ->> '$.subject_id' as subject_id,
            payload ->> '$.by' as overridden_by,
            payload ->> '$.reason' as override_reason,
            extracted_at as overridden_at,
            unnest(
                from_json(
                    payload -> '$.refusals',
                    '[{{"table": "VARCHAR", "expectation": "VARCHAR", "expected": "VARCHAR"}}]'
                )
            ) as refusal
        from {ops}.raw.kpimart__override
        qualify row_number() over (partition by id order by landed_at desc) = 1
    ) as override
"""


@dataclass(frozen=True)
class Override:
    """Who lets through what a gate refused, and why. Raises SettingsError if either says nothing."""

    by: str
    reason: str

    def __post_init__(self) -> None:
        if not (self.by.strip() and self.reason.strip()):
            raise SettingsError(
                "an override needs the name of who takes it upon themselves and the reason; "
                "both are kept with the figures"
            )


@dataclass(frozen=True)
class Overridden:
    """A refusal that was overridden."""

    boundary: Boundary
    subject_id: str
    overridden_by: str
    override_reason: str
    overridden_at: datetime
    table_name: str
    expectation: str
    expected: str | None

    def covers(self, result: Result) -> bool:
        """Whether a result is the one that was overridden."""
        asked = (result.table, result.expectation, result.expected)
        return asked == (self.table_name, self.expectation, self.expected)


def payload_of(subject_id: str, verdict: Verdict, override: Override) -> str:
    """The record of an override of all that a verdict refuses, as raw keeps it."""
    refusals = [
        {"table": each.table, "expectation": each.expectation, "expected": each.expected} for each in verdict.refusals
    ]
    content: dict[str, Any] = {
        "boundary": verdict.boundary,
        "subject_id": subject_id,
        "by": override.by,
        "reason": override.reason,
        "refusals": refusals,
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


def overridden_refusals(ops: str) -> str:
    """The subquery of all refusals that were overridden; `ops` names the database that holds their records."""
    return f"({_OVERRIDDEN.format(ops=ops)})"


def read_overridden(
    connection: duckdb.DuckDBPyConnection, ops: str, boundary: Boundary, subjects: str
) -> Sequence[Overridden]:
    """The overridden refusals of the batches or builds that the subquery `subjects` names."""
    rows = connection.execute(
        f"""
        select boundary, subject_id, overridden_by, override_reason, overridden_at, table_name, expectation, expected
        from {overridden_refusals(ops)}
        where boundary = '{boundary}' and subject_id in {subjects}
        order by all
        """
    ).fetchall()
    return [Overridden(*row) for row in rows]
