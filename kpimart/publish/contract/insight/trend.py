"""Tables of how figures move: levels and trends of every series, and the seasons in them."""

from kpimart.publish.contract.insight.entity import ENTITY, ENTITY_KEYS
from kpimart.publish.contract.shape import BOOLEAN, DATE, INTEGER, RATE, SAMPLE, VALUE, VARCHAR, Column, Table

KPI_TREND = Table(
    name="kpi_trend",
    relation="insight.kpi_trend",
    description=(
        "One row per KPI, period (month, quarter, year; week of the company and of departments) and entity: the "
        "figure, what it is compared with, and what its series tells. Trends are of the last complete period, the same "
        "in each row of a series: never sum them."
    ),
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "week, month, quarter or year, of the company's calendar."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change it by time passing; only such periods enter statistics."),
        *ENTITY,
        Column("unit", VARCHAR, "Unit of all figures of the row, as in kpi_value."),
        Column("value", VALUE, "The figure; empty where it is undefined.", nullable=True),
        Column(
            "previous_value",
            VALUE,
            "That of the period before, if all of it is known; while the period goes on, its by the same working day.",
            nullable=True,
        ),
        Column("change", VALUE, "value - previous_value.", nullable=True),
        Column(
            "last_year_value",
            VALUE,
            "That of the same period a year before (of a week: 52 weeks), compared as previous_value is.",
            nullable=True,
        ),
        Column("change_on_last_year", VALUE, "value - last_year_value.", nullable=True),
        Column(
            "compared_as",
            VARCHAR,
            "whole (with whole periods), same_working_day (the period goes on), or why nothing is compared: "
            "no_daily_figures (the KPI has none to cut a period by), immature (the period is over, the figure is not).",
        ),
        Column(
            "compared_through",
            INTEGER,
            "Number of the working day of the period through which the same working day is meant.",
            nullable=True,
        ),
        Column(
            "rolling_3",
            VALUE,
            "Of this period and the two before it, a sum or a quotient of sums; empty for what has none (customers, "
            "open deals, medians), where the series is younger, and while the period goes on.",
            nullable=True,
        ),
        Column("rolling_6", VALUE, "Of six periods, as rolling_3.", nullable=True),
        Column("rolling_12", VALUE, "Of twelve periods, as rolling_3.", nullable=True),
        Column(
            "year_to_date",
            VALUE,
            "From the first day of the company's year on, as rolling_3; empty for weeks, and in a year that the "
            "figures begin in.",
            nullable=True,
        ),
        Column(
            "working_day_adjusted_value",
            VALUE,
            "value × usual number of working days / that of the period; only of what adds up, and of whole periods.",
            nullable=True,
        ),
        Column(
            "seasonally_adjusted_value",
            VALUE,
            "working_day_adjusted_value, or value where it has none, less the season that STL finds in the last five "
            "years (weeks: three); at least two years without a gap; not of years.",
            nullable=True,
        ),
        Column(
            "trend_direction",
            VARCHAR,
            "up or down where is_significant, otherwise none; empty where there is too little to tell.",
            nullable=True,
        ),
        Column(
            "slope",
            VALUE,
            "Change per period: least squares on a line and a season, of the last 36 months, 12 quarters, 10 years or "
            "156 weeks.",
            nullable=True,
        ),
        Column(
            "p_value",
            RATE,
            "How often noise, also of an autocorrelated kind, has such a slope: t-test with AR(1) errors.",
            nullable=True,
        ),
        Column(
            "q_value",
            RATE,
            "The p-value in view of all series that were tested: Benjamini and Hochberg's false discovery rate.",
            nullable=True,
        ),
        Column("is_significant", BOOLEAN, "q_value is at most 0.05.", nullable=True),
        Column(
            "is_change_point",
            BOOLEAN,
            "The level shifts with this period, beyond noise and better told by a step than by a line; at most one in "
            "the periods of the trend.",
            nullable=True,
        ),
        Column(
            "expected_low",
            VALUE,
            "Least that periods before it let expect: value of a year before + median yearly change - scatter.",
            nullable=True,
        ),
        Column("expected_high", VALUE, "Most that they let expect.", nullable=True),
        Column(
            "is_anomaly", BOOLEAN, "value is outside of that; empty where too little came before it.", nullable=True
        ),
        Column(
            "trend_status",
            VARCHAR,
            "enough, or why there is no trend: too_short, gaps (undefined or partial periods), constant, ended (no "
            "figure of the last complete period).",
        ),
    ),
    totals="""
        select kpi_code || ' of the company, months', sum(value) from kpi_trend
        where entity_level = 'company' and period_grain = 'month' group by kpi_code
    """,
)

SEASONAL_INDEX = Table(
    name="seasonal_index",
    relation="insight.seasonal_index",
    description=(
        "One row per KPI that adds up, entity, kind of season and number in it: how much of what is usual falls "
        "onto it."
    ),
    key=("kpi_code", "entity_level", "entity_key", "kind", "number"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("entity_level", VARCHAR, "company, department or manager; weekdays only of the first two."),
        *ENTITY_KEYS,
        Column("kind", VARCHAR, "month_of_year or weekday."),
        Column("number", INTEGER, "1 is January, or the first month of a year of weeks; of weekdays 1 is Monday."),
        Column(
            "seasonal_index",
            SAMPLE,
            "1 is usual. Months: mean ratio of the working-day-adjusted figure to the mean of the year around it, "
            "scaled so that the twelve average 1. Weekdays: mean of its working days over that of all working days.",
        ),
        Column("sample", INTEGER, "Of how many months of that name, or working days, it is the mean."),
    ),
)
