"""Tables of what moved the result, where it leaks and what comes back, a file a topic."""

from kpimart.publish.contract.shape import Table

INSIGHT: tuple[Table, ...] = ()
