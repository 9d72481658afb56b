"""Tables that finance works with, a file a topic."""

from kpimart.publish.contract.finance.restatement import RESTATEMENT, RESTATEMENT_ENTRY
from kpimart.publish.contract.shape import Table

FINANCE: tuple[Table, ...] = (
    RESTATEMENT,
    RESTATEMENT_ENTRY,
)
