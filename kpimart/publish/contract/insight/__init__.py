"""Tables of what moved the result, where it leaks and what comes back, a file a topic."""

from kpimart.publish.contract.insight.customers import CUSTOMERS
from kpimart.publish.contract.insight.trend import KPI_TREND, SEASONAL_INDEX
from kpimart.publish.contract.shape import Table

INSIGHT: tuple[Table, ...] = (
    KPI_TREND,
    SEASONAL_INDEX,
    *CUSTOMERS,
)
