"""Sales KPIs from a CRM: extracted, modelled, judged, published."""

import os
import platform

# OpenBLAS, which NumPy and SciPy calculate with, has other last digits on processors with AVX-512, and the search for
# a best fit makes other forecasts of them. So that a release is rebuilt to the same rows on any machine, it is told,
# before anything loads it, to calculate as every processor with AVX2 does.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
