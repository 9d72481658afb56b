"""Tables of what was decided and judged: closings of months, results of the gate, releases."""

from kpimart.publish.contract.shape import BOOLEAN, DATE, INTEGER, MOMENT, VARCHAR, Column, Table

QUALITY_RESULT = Table(
    name="quality_result",
    relation="ops.quality_result",
    description="One row per expectation that judged this release or a batch it rests on.",
    key=("subject_id", "boundary", "table_name", "expectation", "expected", "observed"),
    columns=(
        Column("subject_id", VARCHAR, "The batch or the build that was judged."),
        Column("boundary", VARCHAR, "raw: a batch coming in; reporting: figures going out."),
        Column("table_name", VARCHAR, "The table that was judged."),
        Column("expectation", VARCHAR, "What was expected of it."),
        Column("severity", VARCHAR, "critical, warning or info."),
        Column("outcome", VARCHAR, "passed, failed or errored."),
        Column("observed", VARCHAR, "What was found.", nullable=True),
        Column("expected", VARCHAR, "What was expected.", nullable=True),
        Column("samples", VARCHAR, "Some rows that did not fit.", nullable=True),
        Column("judged_at", MOMENT, "When it was judged."),
        Column("overridden_by", VARCHAR, "Who let it through although this closed the gate.", nullable=True),
        Column("override_reason", VARCHAR, "Why they did.", nullable=True),
    ),
)

PERIOD_CLOSE = Table(
    name="period_close",
    relation="core.fct_period_close",
    description=(
        "One row per closing of a month, and per reopening: who decided it, why, and on which release's figures. "
        "A month is closed where one of its rows is_in_force."
    ),
    key=("period_grain", "period_start", "decision_number"),
    columns=(
        Column("period_grain", VARCHAR, "month, of the company's calendar."),
        Column("period_start", DATE, "First day of the month."),
        Column("period_end", DATE, "Last day of the month, inclusive."),
        Column("period_name", VARCHAR, "2026-10; FY2026-P10 in a year of weeks."),
        Column("decision_number", INTEGER, "1 for its first closing, 2 for the reopening of that, and so on."),
        Column("action", VARCHAR, "closed or reopened."),
        Column("is_in_force", BOOLEAN, "By this closing the month is closed: it was not reopened since."),
        Column("release_id", VARCHAR, "The release whose figures are frozen; of a reopening, were until then."),
        Column("as_of", MOMENT, "The moment that release speaks of."),
        Column("known_at", MOMENT, "The knowledge that release rests on."),
        Column("decided_by", VARCHAR, "Who closed or reopened it."),
        Column("note", VARCHAR, "Why."),
        Column("decided_at", MOMENT, "When they did."),
        Column(
            "frozen_status",
            VARCHAR,
            "Of a month that is closed: whole; figures_only, so that what changed since is not split by causes; "
            "missing or damaged, if its release cannot be read.",
            nullable=True,
        ),
        Column("frozen_problem", VARCHAR, "What is wrong with that release, if something is.", nullable=True),
    ),
)

RELEASE = Table(
    name="release",
    relation=None,
    description="One row per release known when this one was published, this one included.",
    key=("release_id",),
    columns=(
        Column("release_id", VARCHAR, "The release."),
        Column("as_of", MOMENT, "The moment its figures speak of: only what happened before it counts."),
        Column("known_at", MOMENT, "The knowledge they rest on: only batches accepted by then were read."),
        Column("published_at", MOMENT, "When it was published."),
        Column("previous_release_id", VARCHAR, "The release published before it.", nullable=True),
        Column("code_version", VARCHAR, "Version of the program that made it."),
        Column("is_this_release", BOOLEAN, "True in one row: the release that holds this table."),
        Column("overridden_by", VARCHAR, "Who published it although the gate refused it.", nullable=True),
    ),
)
