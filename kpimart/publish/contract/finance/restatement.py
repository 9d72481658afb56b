"""What has become of closed months since they were closed, cause by cause."""

from kpimart.publish.contract.shape import DATE, INTEGER, PART, VALUE, VARCHAR, Column, Table

AMOUNT_OF_ENTITY = "decimal(38,2)"

_CAUSES = (
    "definition_changed, merged, deleted, late_entry, date_moved, reopened, reassigned, amount_edit, rate, "
    "customer_history, matured, details or target_changed"
)

_MONTH = (
    Column("period_grain", VARCHAR, "month: only months are closed."),
    Column("period_start", DATE, "First day of the month."),
    Column("period_end", DATE, "Last day of the month, inclusive."),
)

_ENTITY = (
    Column("entity_level", VARCHAR, "company, department, manager or manager_in_department."),
    Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
    Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
    Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
)

RESTATEMENT = Table(
    name="restatement",
    relation="finance.restatement",
    description=(
        "One row per KPI, closed month, entity and cause by which the figure is no longer as closed. The first row of "
        "a figure begins with the frozen one, each with what the row before came to, the last ends with that of "
        "kpi_value; a figure without rows is as closed."
    ),
    key=("kpi_code", "period_start", "entity_level", "entity_key", "step"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        *_MONTH,
        Column("release_id", VARCHAR, "The release that the month was closed on."),
        *_ENTITY,
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("step", INTEGER, "Place of the cause in the order in which causes are told, from 1."),
        Column("cause", VARCHAR, f"{_CAUSES}; not_split where the release does not tell enough."),
        Column(
            "numerator_change", PART, "What it adds above the line; unknown, or of no quotient, counts as 0. They sum."
        ),
        Column("denominator_change", PART, "What it adds below the line, in the same way."),
        Column("value_before", VALUE, "The figure before this cause; empty where it is undefined.", nullable=True),
        Column(
            "value_change",
            VALUE,
            "value_after - value_before; empty where one of them is. Of a quotient it depends on the order of causes.",
            nullable=True,
        ),
        Column("value_after", VALUE, "The figure after this cause; empty where it is undefined.", nullable=True),
        Column("unit", VARCHAR, "As in kpi_value."),
    ),
    totals="""
        select kpi_code || ' ' || cause, sum(value_change) from restatement
        where entity_level = 'company' group by kpi_code, cause
    """,
)

RESTATEMENT_ENTRY = Table(
    name="restatement_entry",
    relation="finance.restatement_entry",
    description=(
        "One row per closed month, entity, cause and thing by which the month is no longer as closed: a deal's event, "
        "an open deal, a purchase, a lead, an activity or a target, with what was told of it before and is told after."
    ),
    key=("period_start", "entity_level", "entity_key", "step", "relation", "subject_id", "entry_number"),
    columns=(
        *_MONTH,
        *_ENTITY,
        Column("entity_name", VARCHAR, "Name of the entity; empty where there is no such one any more.", nullable=True),
        Column("step", INTEGER, "Place of the cause in the order in which causes are told, from 1."),
        Column("cause", VARCHAR, f"{_CAUSES}."),
        Column(
            "relation",
            VARCHAR,
            "events (in the month), open (on its last evening), purchases, lapses, leads, activities or targets.",
        ),
        Column(
            "what",
            VARCHAR,
            "created, won, lost, reopened, close_date_moved; open, purchase, lapse, lead, target; the activity's kind.",
            nullable=True,
        ),
        Column("subject_id", VARCHAR, "The deal, lead or activity; of a target, whose it is."),
        Column("entry_number", INTEGER, "Tells several things of one deal apart."),
        Column("count_before", INTEGER, "How often it counted for the entity; -1 where it takes something back."),
        Column("count_after", INTEGER, "How often it counts after the cause; the changes of counts sum."),
        Column("amount_before", AMOUNT_OF_ENTITY, "With how much it counted, in the base currency.", nullable=True),
        Column("amount_after", AMOUNT_OF_ENTITY, "With how much it counts after the cause.", nullable=True),
        Column("occurred_on_before", DATE, "On which day it counted.", nullable=True),
        Column("occurred_on_after", DATE, "On which day it counts after the cause.", nullable=True),
        Column("manager_id_before", VARCHAR, "Who was credited.", nullable=True),
        Column("manager_id_after", VARCHAR, "Who is credited after the cause.", nullable=True),
    ),
)
