"""The demo company's CRM served over HTTP, in the words of several CRMs.

`world` is the company and its clock, `served` what the modules of the CRMs are given, `app` puts them together and
runs them. A CRM is one module that ends in an `Api`, named in `app.APIS`.
"""

from kpimart.demo.server.app import serve
from kpimart.demo.server.served import Served
from kpimart.demo.server.world import World

__all__ = ["Served", "World", "serve"]
