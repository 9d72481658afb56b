"""Tables that finance plans with, a file a topic."""

from kpimart.publish.contract.finance.budget import BUDGET_INPUT
from kpimart.publish.contract.shape import Table

FINANCE: tuple[Table, ...] = (BUDGET_INPUT,)
