"""The published contract: every table of `reporting`, its columns, and where it is taken from.

A relation of the build may hold more columns than are listed here; they are not published. A change to a listed
column breaks readers: it is a new major `CONTRACT_VERSION` and is announced in the CHANGELOG. An added one is a minor.
"""

from dataclasses import dataclass

CONTRACT_VERSION = "1.0"

GRAINS = ("day", "week", "month", "quarter", "year")
ENTITY_LEVELS = ("company", "department", "manager", "manager_in_department")

VARCHAR = "varchar"
BOOLEAN = "boolean"
BIGINT = "bigint"
INTEGER = "integer"
DATE = "date"
MOMENT = "timestamp with time zone"
AMOUNT = "decimal(18,2)"
PART = "decimal(38,6)"
VALUE = "decimal(28,8)"


@dataclass(frozen=True)
class Column:
    """A published column; `type` is DuckDB's own name for it, in lower case."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A published table. Rows lie in the order of `key`; `totals` is a query of (name, total) over the table.

    `relation` is the table's source: of the build, or of `ops`; None where publish itself writes the rows.
    """

    name: str
    relation: str | None
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    totals: str | None = None


KPI_VALUE = Table(
    name="kpi_value",
    relation="kpi.kpi_value",
    description="One row per KPI, period and entity, credited to whoever owned the deal when it happened.",
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "day, week (ISO, from Monday), month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change it by time passing; a cohort matures after its period."),
        Column("entity_level", VARCHAR, "company, department, manager or manager_in_department."),
        Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
        Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("numerator", PART, "Above the line, where the formula is a quotient.", nullable=True),
        Column("denominator", PART, "Below the line, where the formula is a quotient.", nullable=True),
        Column("value", VALUE, "The figure; empty where it is undefined, which is not zero.", nullable=True),
        Column(
            "unit",
            VARCHAR,
            "count, ratio (0 to 1), days, the code of the base currency (EUR), or that per day (EUR_per_day).",
        ),
        Column("sample_size", BIGINT, "How many deals, leads or customers the figure rests on."),
    ),
    totals="""
        select kpi_code, sum(value) from kpi_value
        where entity_level = 'company' and period_grain = 'year' group by kpi_code
    """,
)

KPI_CATALOGUE = Table(
    name="kpi_catalogue",
    relation="seeds.kpi_catalogue",
    description="One row per KPI: what it is called, how it is computed, who answers for it.",
    key=("kpi_code",),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI's code."),
        Column("name_en", VARCHAR, "Name in English."),
        Column("name_ru", VARCHAR, "Name in Russian."),
        Column("description_en", VARCHAR, "What it tells, in English.", nullable=True),
        Column("description_ru", VARCHAR, "What it tells, in Russian.", nullable=True),
        Column("formula", VARCHAR, "Arithmetic over measures."),
        Column("unit", VARCHAR, "Unit of its values."),
        Column("better", VARCHAR, "higher or lower."),
        Column("level", VARCHAR, "Whom it judges: personal, department or both."),
        Column("finest_grain", VARCHAR, "The finest grain it is published at."),
        Column("owner", VARCHAR, "Who answers for its definition.", nullable=True),
        Column("group", VARCHAR, "The part of selling it belongs to.", nullable=True),
        Column("format", VARCHAR, "How it is shown.", nullable=True),
    ),
)

DIM_MANAGER = Table(
    name="dim_manager",
    relation="core.dim_manager",
    description="One row per manager: a person who owns deals, or the inferred owner of deals whose own is unknown.",
    key=("manager_id",),
    columns=(
        Column("manager_id", VARCHAR, "The manager, as crm:id."),
        Column("manager_name", VARCHAR, "Name as the CRM has it."),
        Column("department_id", VARCHAR, "Department at the moment the release speaks of."),
        Column("is_inferred", BOOLEAN, "Known only from deals, not from the CRM's list of people."),
        Column("hired_on", DATE, "First day of employment.", nullable=True),
        Column("left_on", DATE, "Day of leaving.", nullable=True),
    ),
)

DIM_DEPARTMENT = Table(
    name="dim_department",
    relation="core.dim_department",
    description="One row per department, a node of the sales organisation.",
    key=("department_id",),
    columns=(
        Column("department_id", VARCHAR, "The department, as crm:id."),
        Column("department_name", VARCHAR, "Name as the CRM has it."),
        Column("parent_department_id", VARCHAR, "The department above; empty at the top.", nullable=True),
        Column("head_name", VARCHAR, "Its head.", nullable=True),
        Column("is_inferred", BOOLEAN, "Not in the CRM: holds those whose department is unknown."),
    ),
)

DIM_PERIOD = Table(
    name="dim_period",
    relation="core.dim_period",
    description="One row per period of each grain, from the first event to the moment the release speaks of.",
    key=("period_grain", "period_start"),
    columns=(
        Column("period_grain", VARCHAR, "day, week (ISO, from Monday), month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Its last day is over."),
    ),
)

DEAL = Table(
    name="deal",
    relation="core.fct_deal",
    description="One row per deal as it stands.",
    key=("deal_id",),
    columns=(
        Column("deal_id", VARCHAR, "The deal, as crm:id."),
        Column("deal_name", VARCHAR, "Name as the CRM has it.", nullable=True),
        Column("account_id", VARCHAR, "The customer.", nullable=True),
        Column("manager_id", VARCHAR, "Owner."),
        Column("department_id", VARCHAR, "The owner's department."),
        Column("pipeline_id", VARCHAR, "Pipeline it runs through.", nullable=True),
        Column("stage_id", VARCHAR, "Stage it is in.", nullable=True),
        Column("outcome", VARCHAR, "open, won or lost."),
        Column("product", VARCHAR, "What is sold.", nullable=True),
        Column("lead_source", VARCHAR, "Where the lead came from.", nullable=True),
        Column("amount", AMOUNT, "Amount in the base currency.", nullable=True),
        Column("currency_code", VARCHAR, "The deal's own currency.", nullable=True),
        Column("native_amount", AMOUNT, "Amount in the deal's own currency.", nullable=True),
        Column("created_at", MOMENT, "When it was created; empty where the CRM does not say.", nullable=True),
        Column("closed_at", MOMENT, "When it was won or lost.", nullable=True),
        Column("expected_close_on", DATE, "When it is expected to close.", nullable=True),
    ),
    totals="select 'amount', sum(amount) from deal",
)

DEAL_EVENT = Table(
    name="deal_event",
    relation="kpi.kpi_counted_event",
    description="One row per event of a deal, or per reversal of one; the ledger that figures are summed from.",
    key=("deal_event_id",),
    columns=(
        Column("deal_event_id", VARCHAR, "The event."),
        Column("deal_id", VARCHAR, "The deal."),
        Column("event_type", VARCHAR, "created, stage_entered, won, lost, reopened, amount_changed, and so on."),
        Column("sign", INTEGER, "1, or -1 for a reversal."),
        Column("occurred_at", MOMENT, "When it happened.", nullable=True),
        Column("occurred_on", DATE, "The business day it happened on.", nullable=True),
        Column("recorded_at", MOMENT, "When the warehouse first knew of it."),
        Column("manager_id", VARCHAR, "Owner at that moment."),
        Column("department_id", VARCHAR, "The owner's department at that moment."),
        Column("account_id", VARCHAR, "The customer.", nullable=True),
        Column("amount", AMOUNT, "Amount in the base currency.", nullable=True),
    ),
    totals="""
        select event_type, sum(sign)::varchar from deal_event group by event_type
        union all
        select 'amount', sum(sign * amount)::varchar from deal_event
    """,
)

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
    ),
)

BUILT = (KPI_VALUE, KPI_CATALOGUE, DIM_MANAGER, DIM_DEPARTMENT, DIM_PERIOD, DEAL, DEAL_EVENT)
PUBLISHED = (*BUILT, QUALITY_RESULT, RELEASE)


def wide_view(entity_level: str, grain: str) -> str:
    """The name of the view with one column a KPI, such as `kpi_manager_month`."""
    return f"kpi_{entity_level}_{grain}"
