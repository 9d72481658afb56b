"""Tables of what moved the result, where it leaks and what comes back, a file a topic."""

from kpimart.publish.contract.insight.pipeline import CRM_DISCIPLINE, PIPELINE_WATERFALL
from kpimart.publish.contract.insight.trend import KPI_TREND, SEASONAL_INDEX
from kpimart.publish.contract.shape import Table

INSIGHT: tuple[Table, ...] = (
    KPI_TREND,
    SEASONAL_INDEX,
    PIPELINE_WATERFALL,
    CRM_DISCIPLINE,
)
