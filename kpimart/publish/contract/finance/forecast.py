"""Tables of what is to be expected of the months to come, and of how near earlier forecasts came."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import BOOLEAN, DATE, INTEGER, RATE, VALUE, VARCHAR, Column, Table

_MONTH = (
    Column("kpi_code", VARCHAR, "won_amount, won_deals, new_customers or leads_created, as in kpi_catalogue."),
    Column("period_grain", VARCHAR, "month, of the company's calendar."),
    Column("period_start", DATE, "First day of the month that is forecast."),
)
_ORIGIN = (
    Column("origin_on", DATE, "Last day of the month at whose end the forecast was made, on what was known then."),
    Column("horizon", INTEGER, "Months after that one: 1 to 18."),
)

KPI_FORECAST = Table(
    name="kpi_forecast",
    relation="finance.kpi_forecast",
    description=(
        "One row per KPI that is forecast, month to come and entity, of the vintage of the last complete month. Empty "
        "while the company has fewer than 24 whole months."
    ),
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        *_MONTH,
        Column("period_end", DATE, "Last day of the month, inclusive."),
        *ENTITY,
        Column("unit", VARCHAR, "Unit of all figures of the row, as in kpi_value."),
        *_ORIGIN,
        Column(
            "method",
            VARCHAR,
            "What was nearest in the backtest: seasonal_naive, run_rate, theta, mstl, ets, arima, weighted_pipeline, "
            "combination (the mean of all), or share (of the forecast of the level above).",
        ),
        Column(
            "status",
            VARCHAR,
            "own (its own history), share_of_department or share_of_company: by its share of the last twelve months.",
        ),
        Column("value", VALUE, "What is expected; managers add up to departments, departments to the company."),
        Column("low_80", VALUE, "Four times in five the figure is not below; empty without a backtest.", nullable=True),
        Column("high_80", VALUE, "… nor above. Intervals do not add up.", nullable=True),
        Column("low_95", VALUE, "As low_80, 19 times in 20.", nullable=True),
        Column("high_95", VALUE, "As high_80, 19 times in 20.", nullable=True),
        Column("cumulative_value", VALUE, "The sum of value from the first month to come through this one."),
        Column("cumulative_low_80", VALUE, "As low_80, of the sum of these months' figures.", nullable=True),
        Column("cumulative_high_80", VALUE, "As high_80, of that sum.", nullable=True),
        Column("cumulative_low_95", VALUE, "As low_95, of that sum.", nullable=True),
        Column("cumulative_high_95", VALUE, "As high_95, of that sum.", nullable=True),
    ),
    totals="""
        select kpi_code || ' of the company', sum(value) from kpi_forecast
        where entity_level = 'company' group by kpi_code
    """,
)

FORECAST_ACCURACY = Table(
    name="forecast_accuracy",
    relation="finance.forecast_accuracy",
    description=(
        "One row per KPI that is forecast, level, vintage of the last twelve, and month ahead that is over: sums over "
        "the level's entities, so that rows may be added up before they are divided. Company, departments and managers "
        "are the same figures three times: never sum them."
    ),
    key=("kpi_code", "entity_level", "origin_on", "horizon"),
    columns=(
        *_MONTH,
        Column("entity_level", VARCHAR, "company, department or manager."),
        *_ORIGIN,
        Column("unit", VARCHAR, "Unit of the figures of the row, as in kpi_value."),
        Column("series", INTEGER, "Of how many entities."),
        Column(
            "is_backtest",
            BOOLEAN,
            "Nothing was known here at the time: the forecast is made of what the first load told of it.",
        ),
        Column("value", VALUE, "The sum of the forecasts."),
        Column("actual", VALUE, "The sum of the figures, as known now."),
        Column("absolute_error", VALUE, "The sum of the distances between the two, entity by entity."),
        Column(
            "naive_absolute_error", VALUE, "The same of seasonal naive: the figure of the same month a year before."
        ),
        Column("wape", VALUE, "absolute_error / actual; empty where actual is 0.", nullable=True),
        Column("bias", VALUE, "(value - actual) / actual: above 0, too much was expected.", nullable=True),
        Column("naive_wape", VALUE, "naive_absolute_error / actual.", nullable=True),
        Column("intervals", INTEGER, "How many of the forecasts had intervals."),
        Column("nominal_80", RATE, "The share of figures that the narrower interval is to hold."),
        Column("coverage_80", VALUE, "The share that it did.", nullable=True),
        Column("cumulative_coverage_80", VALUE, "The same of sums from the first month on.", nullable=True),
        Column("nominal_95", RATE, "The share of figures that the wider interval is to hold."),
        Column("coverage_95", VALUE, "The share that it did.", nullable=True),
        Column("cumulative_coverage_95", VALUE, "The same of sums from the first month on.", nullable=True),
    ),
)
