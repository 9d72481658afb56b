"""The last door: what `ops` has on record about a build, and whether that lets it out.

Read from the record and not handed over by the caller, so that no caller can publish what was not judged.
"""

import duckdb

from kpimart.build import Build
from kpimart.errors import GateRefused
from kpimart.publish.manifest import Gate, GateCounts
from kpimart.quality.override import Overridden, overridden_refusals, read_overridden
from kpimart.quality.verdict import Boundary, Result, Verdict, explain
from kpimart.sql import literal

# What builds read: accepted by the moment of knowledge, whenever they were fetched.
_BATCHES_READ = """
    select batch.*
    from {ops}.ops.batch as batch
    inner join {ops}.ops.batch_verdict as verdict using (batch_id)
    where verdict.verdict = 'accepted' and verdict.judged_at <= {known_at}
"""

_RESULTS = """
    select result.*, overridden.overridden_by, overridden.override_reason
    from {ops}.ops.quality_result as result
    left join {overridden} as overridden
        on
            result.outcome <> 'passed'
            and result.subject_id = overridden.subject_id
            and result.boundary = overridden.boundary
            and result.table_name = overridden.table_name
            and result.expectation = overridden.expectation
            and result.expected is not distinct from overridden.expected
    where
        (result.boundary = 'reporting' and result.subject_id = {build_id})
        or (result.boundary = 'raw' and result.subject_id in (select batch_id from {batches_read}))
"""


def batches_read(build: Build, ops: str) -> str:
    """The subquery of the batches that a build rests on; `ops` names the database that holds their records."""
    return f"({_BATCHES_READ.format(ops=ops, known_at=literal(build.known_at))})"


def results(build: Build, ops: str) -> str:
    """The subquery of all results that judged a build and its batches."""
    parts = {
        "build_id": literal(build.build_id),
        "batches_read": batches_read(build, ops),
        "overridden": overridden_refusals(ops),
    }
    return f"({_RESULTS.format(ops=ops, **parts)})"


def require_passed(connection: duckdb.DuckDBPyConnection, build: Build, ops: str) -> Gate:
    """Count what judged the build and its batches, and name what was overridden.

    Raises GateRefused unless the build's own verdict is open, or somebody has overridden all that closes it.
    """
    raw = _verdict(connection, build, ops, "raw")
    reporting = _verdict(connection, build, ops, "reporting")
    batches = f"(select batch_id from {batches_read(build, ops)})"
    accepted = read_overridden(connection, ops, "raw", batches)
    overridden = read_overridden(connection, ops, "reporting", f"({literal(build.build_id)})")
    left = [result for result in reporting.refusals if not any(each.covers(result) for each in overridden)]
    if left or not reporting.results:
        raise GateRefused(explain(reporting, build.build_id))
    told = [each for each in overridden if any(each.covers(result) for result in reporting.refusals)]
    return Gate(raw=_counts(raw), reporting=_counts(reporting), overrides=tuple(map(_record, [*accepted, *told])))


def _verdict(connection: duckdb.DuckDBPyConnection, build: Build, ops: str, boundary: Boundary) -> Verdict:
    rows = connection.execute(
        f"""
        select table_name, expectation, severity, outcome, observed, expected, samples
        from {results(build, ops)}
        where boundary = {literal(boundary)}
        order by all
        """
    ).fetchall()
    return Verdict(boundary, tuple(Result(*row) for row in rows))


def _record(overridden: Overridden) -> dict[str, str]:
    return {
        "boundary": overridden.boundary,
        "subject_id": overridden.subject_id,
        "table": overridden.table_name,
        "expectation": overridden.expectation,
        "by": overridden.overridden_by,
        "reason": overridden.override_reason,
        "at": overridden.overridden_at.isoformat(),
    }


def _counts(verdict: Verdict) -> GateCounts:
    return GateCounts(passed=verdict.count("passed"), failed=verdict.count("failed"), errored=verdict.count("errored"))
