"""What moved a figure: the inputs of its factors, and the parts of its change."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import BOOLEAN, DATE, INTEGER, VALUE, VARCHAR, Column, Table

DRIVER_INPUT = Table(
    name="driver_input",
    relation="insight.driver_input",
    description=(
        "One row per period (month, quarter, year), entity and input of it that is not 0: what the factors of its won "
        "amount are quotients of, from which any two periods can be compared."
    ),
    key=(
        "period_grain",
        "period_start",
        "entity_level",
        "entity_key",
        "pipeline_id",
        "product",
        "input",
        "stage_number",
    ),
    columns=(
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("entity_level", VARCHAR, "company, department, manager; manager_in_department for who was in several."),
        Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
        Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("pipeline_id", VARCHAR, "The pipeline, as crm:name; (all) for what is told of all together."),
        Column("product", VARCHAR, "The product; (none) where a deal has none, (all) as for the pipeline."),
        Column(
            "input",
            VARCHAR,
            "working_days (of the company), head_days (working days on which each manager was there), created_deals; "
            "by pipeline and product: closed_deals, won_deals, won_amount, constant_amount (at one rate for all days), "
            "reached (closed deals that had come to a stage); and measures that a formula adds up.",
        ),
        Column("stage_name", VARCHAR, "The stage that was reached; (all) for every other input."),
        Column("stage_number", INTEGER, "Its place among the open stages of the pipeline, from 1; 0 for others."),
        Column("value", "decimal(28,2)", "A number of days or deals, or an amount in the base currency."),
    ),
    totals="""
        select input || ' by ' || period_grain, sum(value) from driver_input
        where entity_level = 'company' group by input, period_grain
    """,
)

KPI_DRIVER = Table(
    name="kpi_driver",
    relation="insight.kpi_driver",
    description=(
        "One row per KPI, comparison, period (month, quarter, year), entity, driver and part that is not 0: what it "
        "contributes to the difference. The contributions of a comparison sum to its difference exactly."
    ),
    key=(
        *("kpi_code", "comparison", "period_grain", "period_start", "entity_level", "entity_key"),
        *("driver", "part"),
    ),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column(
            "comparison",
            VARCHAR,
            "previous_period, last_year (of won_amount, not of years), or plan (where one is set).",
        ),
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "The period is over; if not, the days that are left are missing in it."),
        Column("from_period_start", DATE, "First day of the period compared with; empty for a plan.", nullable=True),
        *ENTITY,
        Column("unit", VARCHAR, "Unit of the values and contributions, as in kpi_value."),
        Column(
            "driver",
            VARCHAR,
            "Of won_amount: calendar, headcount, created_deals, cycle_time, mix, stage_conversion:STAGE or win_rate, "
            "avg_won_amount, currency; closed_deals, transfer, unattributed. Of a quotient: numerator, denominator. Of "
            "others: a measure. Of a plan also planned_change.",
        ),
        Column("part", VARCHAR, "own, or transfer: of managers who moved between departments."),
        Column("factor_before", VALUE, "What the factor was; empty where the driver is none.", nullable=True),
        Column("factor_after", VALUE, "What it is.", nullable=True),
        Column("contribution", VALUE, "Its part of the difference; of won_amount whole cents."),
        Column("value_before", VALUE, "The figure compared with; the target, in cents for won_amount."),
        Column("value_after", VALUE, "The figure of the period."),
        Column("difference", VALUE, "value_after - value_before, the same in each row of a comparison."),
    ),
    totals="""
        select kpi_code || ' ' || comparison || ' ' || period_grain, sum(contribution) from kpi_driver
        where entity_level = 'company' group by kpi_code, comparison, period_grain
    """,
)
