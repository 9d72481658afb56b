"""Tables of what moved the result, where it leaks and what comes back, a file a topic."""

from kpimart.publish.contract.insight.customers import CUSTOMERS
from kpimart.publish.contract.insight.drivers import DRIVER_INPUT, KPI_DRIVER
from kpimart.publish.contract.insight.pipeline import CRM_DISCIPLINE, PIPELINE_WATERFALL
from kpimart.publish.contract.insight.regularity import CLOSING_PATTERN, CYCLE_LENGTH, EARLY_SIGN
from kpimart.publish.contract.insight.summary import KPI_SUMMARY
from kpimart.publish.contract.insight.trend import KPI_TREND, SEASONAL_INDEX
from kpimart.publish.contract.insight.weak_spot import WEAK_SPOT
from kpimart.publish.contract.shape import Table

INSIGHT: tuple[Table, ...] = (
    KPI_TREND,
    SEASONAL_INDEX,
    WEAK_SPOT,
    CLOSING_PATTERN,
    CYCLE_LENGTH,
    EARLY_SIGN,
    PIPELINE_WATERFALL,
    CRM_DISCIPLINE,
    DRIVER_INPUT,
    KPI_DRIVER,
    *CUSTOMERS,
    KPI_SUMMARY,
)
