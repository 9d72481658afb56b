"""What budgets are made of: plan, fact and outlook side by side."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import BOOLEAN, DATE, INTEGER, VALUE, VARCHAR, Column, Table

BUDGET_INPUT = Table(
    name="budget_input",
    relation="finance.budget_input",
    description=(
        "One row per KPI that is planned, entity and period (month, quarter, year; and the year up to a month) of last "
        "year, this one and the next: what was reached, what is forecast, what is planned, and what they come to."
    ),
    key=("kpi_code", "scope", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("kpi_code", VARCHAR, "A KPI that adds up: one with a forecast, a target, or a place in a scorecard."),
        Column(
            "scope",
            VARCHAR,
            "period: of the month, quarter or year; year_to_date: from the beginning of the year to the month's end.",
        ),
        Column("period_grain", VARCHAR, "month, quarter or year; of year_to_date the month that it goes up to."),
        Column("period_start", DATE, "First day of the period; of year_to_date, of the month that it goes up to."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("period_name", VARCHAR, "What the period is called, as in dim_period."),
        Column("is_complete", BOOLEAN, "All its months are over."),
        *ENTITY,
        Column("unit", VARCHAR, "Unit of all its figures, as in kpi_value."),
        Column("working_days", INTEGER, "Working days of all its months."),
        Column(
            "days_there", INTEGER, "Those on which the entity is there, as far as is known: of a manager, employed."
        ),
        Column("actual", VALUE, "What was reached so far, as in kpi_value; empty before it begins.", True),
        Column("complete_actual", VALUE, "Of that, what was reached in the months that are over.", nullable=True),
        Column("forecast_origin_on", DATE, "The vintage: the day that the forecast was made on; empty without.", True),
        Column("forecast", VALUE, "Forecast of its months that are not over; empty where one has none.", True),
        Column("outlook", VALUE, "complete_actual + forecast.", nullable=True),
        Column("outlook_low_80", VALUE, "Lower end of the interval that covers 80 % of outcomes.", nullable=True),
        Column("outlook_high_80", VALUE, "Its upper end.", nullable=True),
        Column("outlook_low_95", VALUE, "Lower end of the interval that covers 95 % of outcomes.", nullable=True),
        Column("outlook_high_95", VALUE, "Its upper end.", nullable=True),
        Column(
            "plan",
            VALUE,
            "The target in force, as in target_attainment; of a quarter or a year without one, and of year_to_date, "
            "the sum of the months' where each has one.",
            nullable=True,
        ),
        Column("plan_variance", VALUE, "outlook - plan.", nullable=True),
        Column("last_year", VALUE, "The outlook of the same period a year before, if all of it is known.", True),
        Column("last_year_change", VALUE, "outlook - last_year.", nullable=True),
        Column("year_before_last", VALUE, "The same two years before.", nullable=True),
    ),
    totals="""
        select kpi_code || ' ' || scope || ' ' || period_grain, sum(outlook) from budget_input
        where entity_level = 'company' group by kpi_code, scope, period_grain
    """,
)
