"""A small company that lives: a simulated sales department and the CRM it writes in.

`world` says who and what there is, `company` what people do day by day, `crm` what they leave in their CRM, `export`
writes that down as files, `server` serves it over HTTP as several CRMs would.
"""

from kpimart.demo.company import Company
from kpimart.demo.export import SEED, UNTIL, export, simulate, write

__all__ = ["SEED", "UNTIL", "Company", "export", "simulate", "write"]
