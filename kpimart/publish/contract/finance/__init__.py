"""Tables that finance works with, a file a topic."""

from kpimart.publish.contract.finance.budget import BUDGET_INPUT
from kpimart.publish.contract.finance.forecast import FORECAST_ACCURACY, KPI_FORECAST
from kpimart.publish.contract.finance.restatement import RESTATEMENT, RESTATEMENT_ENTRY
from kpimart.publish.contract.shape import Table

FINANCE: tuple[Table, ...] = (
    KPI_FORECAST,
    FORECAST_ACCURACY,
    BUDGET_INPUT,
    RESTATEMENT,
    RESTATEMENT_ENTRY,
)
