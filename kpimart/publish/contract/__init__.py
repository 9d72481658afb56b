"""The published contract: every table of `reporting`, its columns, and where it is taken from.

A relation of the build may hold more columns than are listed here; they are not published. A change to a listed
column breaks readers: it is a new major `CONTRACT_VERSION` and is announced in the CHANGELOG. An added one is a minor.
"""

from kpimart.publish.contract.core import ACTIVITY as ACTIVITY
from kpimart.publish.contract.core import CUSTOMER_PURCHASE as CUSTOMER_PURCHASE
from kpimart.publish.contract.core import DEAL as DEAL
from kpimart.publish.contract.core import DEAL_EVENT as DEAL_EVENT
from kpimart.publish.contract.core import DEAL_NEXT_STEP as DEAL_NEXT_STEP
from kpimart.publish.contract.core import DEAL_OPEN_INTERVAL as DEAL_OPEN_INTERVAL
from kpimart.publish.contract.core import DIM_DEPARTMENT as DIM_DEPARTMENT
from kpimart.publish.contract.core import DIM_DEPARTMENT_CLOSURE as DIM_DEPARTMENT_CLOSURE
from kpimart.publish.contract.core import DIM_MANAGER as DIM_MANAGER
from kpimart.publish.contract.core import DIM_PERIOD as DIM_PERIOD
from kpimart.publish.contract.core import LEAD as LEAD
from kpimart.publish.contract.finance import FINANCE
from kpimart.publish.contract.insight import INSIGHT
from kpimart.publish.contract.kpi import FUNNEL_STAGE as FUNNEL_STAGE
from kpimart.publish.contract.kpi import KPI_CATALOGUE as KPI_CATALOGUE
from kpimart.publish.contract.kpi import KPI_VALUE as KPI_VALUE
from kpimart.publish.contract.kpi import KPI_VALUE_BY_CUT as KPI_VALUE_BY_CUT
from kpimart.publish.contract.kpi import LEADERBOARD as LEADERBOARD
from kpimart.publish.contract.kpi import SCORECARD as SCORECARD
from kpimart.publish.contract.kpi import TARGET_ATTAINMENT as TARGET_ATTAINMENT
from kpimart.publish.contract.kpi import WIN_RATE_CURVE as WIN_RATE_CURVE
from kpimart.publish.contract.runs import PERIOD_CLOSE as PERIOD_CLOSE
from kpimart.publish.contract.runs import QUALITY_RESULT as QUALITY_RESULT
from kpimart.publish.contract.runs import RELEASE as RELEASE
from kpimart.publish.contract.shape import Column as Column
from kpimart.publish.contract.shape import Table as Table

CONTRACT_VERSION = "1.5"

GRAINS = ("day", "week", "month", "quarter", "year")
ENTITY_LEVELS = ("company", "department", "manager", "manager_in_department")

BUILT = (
    KPI_VALUE,
    KPI_VALUE_BY_CUT,
    KPI_CATALOGUE,
    DIM_MANAGER,
    DIM_DEPARTMENT,
    DIM_PERIOD,
    TARGET_ATTAINMENT,
    SCORECARD,
    LEADERBOARD,
    WIN_RATE_CURVE,
    FUNNEL_STAGE,
    DEAL,
    DEAL_EVENT,
    DEAL_OPEN_INTERVAL,
    DEAL_NEXT_STEP,
    CUSTOMER_PURCHASE,
    LEAD,
    ACTIVITY,
    DIM_DEPARTMENT_CLOSURE,
    PERIOD_CLOSE,
    *INSIGHT,
    *FINANCE,
)
PUBLISHED = (*BUILT, QUALITY_RESULT, RELEASE)


def wide_view(entity_level: str, grain: str) -> str:
    """The name of the view with one column a KPI, such as `kpi_manager_month`."""
    return f"kpi_{entity_level}_{grain}"
