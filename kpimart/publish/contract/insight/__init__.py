"""Tables of what moved the result, where it leaks and what comes back, a file a topic."""

from kpimart.publish.contract.insight.drivers import DRIVER_INPUT, KPI_DRIVER
from kpimart.publish.contract.insight.trend import KPI_TREND, SEASONAL_INDEX
from kpimart.publish.contract.shape import Table

INSIGHT: tuple[Table, ...] = (
    KPI_TREND,
    SEASONAL_INDEX,
    DRIVER_INPUT,
    KPI_DRIVER,
)
