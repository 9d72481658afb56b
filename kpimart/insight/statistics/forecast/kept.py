"""What is kept of forecasts from build to build: fits, which cost time, and every vintage as it was told.

Both are of the warehouse; a build in a file of its own has neither, and computes all anew.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.insight.statistics.forecast import methods
from kpimart.insight.statistics.forecast.known import Floats
from kpimart.insight.statistics.forecast.methods import HORIZON
from kpimart.insight.statistics.forecast.vintages import fitted


class Fits:
    """The forecasts of a method for a series, each computed once, under a hash of all that it depends on."""

    def __init__(self, kept: dict[str, Floats]) -> None:
        self._kept = kept
        self._used: dict[str, Floats] = {}
        program = f"{version('statsforecast')} {version('numpy')}".encode() + Path(methods.__file__).read_bytes()
        self._program = hashlib.sha256(program).hexdigest()

    def __call__(self, method: str, values: Floats) -> Floats:
        """As `vintages.fitted`."""
        key = hashlib.sha256(f"{self._program} {method} ".encode() + values.tobytes()).hexdigest()
        if key not in self._used:
            self._used[key] = self._kept[key] if key in self._kept else fitted(method, values)
        return self._used[key]

    @property
    def used(self) -> dict[str, Floats]:
        """Hash → forecast, of all that were asked for."""
        return self._used

    @property
    def is_changed(self) -> bool:
        """What was asked for is not what was kept."""
        return self._used.keys() != self._kept.keys()


def keeps(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether this is the warehouse, which keeps forecasts."""
    found = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'ops' and table_name = 'forecast_fit'"
    ).fetchall()
    return bool(found[0][0])


def read_fits(connection: duckdb.DuckDBPyConnection) -> Fits:
    """The fits of the last build."""
    if not keeps(connection):
        return Fits({})
    rows = connection.execute("select input_hash, forecast from ops.forecast_fit").to_arrow_table()
    forecasts = rows["forecast"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, HORIZON)
    return Fits(dict(zip(rows["input_hash"].to_pylist(), forecasts, strict=True)))


def write_fits(connection: duckdb.DuckDBPyConnection, fits: Fits) -> None:
    """Keep those that this build asked for, for the next one; older series are not asked for again."""
    if not keeps(connection) or not fits.is_changed:
        return
    flat = np.concatenate([*fits.used.values(), np.empty(0)])
    table = pa.table(
        {
            "input_hash": pa.array(fits.used.keys(), pa.string()),
            "forecast": pa.FixedSizeListArray.from_arrays(pa.array(flat), HORIZON),
        }
    )
    connection.register("used_fits", table)
    connection.execute("delete from ops.forecast_fit where input_hash not in (select input_hash from used_fits)")
    connection.execute("insert or ignore into ops.forecast_fit select input_hash, forecast from used_fits")
    connection.unregister("used_fits")


_TOLD = """
    kpi_code, origin_on, horizon, entity_level, entity_key, period_start, method, status, value, low_80, high_80,
    low_95, high_95, cumulative_value, cumulative_low_80, cumulative_high_80, cumulative_low_95, cumulative_high_95
"""


def record_vintage(connection: duckdb.DuckDBPyConnection) -> None:
    """Put on record what this build forecasts, as far as it is not what was told before."""
    if keeps(connection):
        connection.execute(
            f"""
            insert into ops.forecast_vintage by name
            select news.*, build.build_id
            from (
                select {_TOLD} from finance.kpi_forecast
                except
                select {_TOLD} from ops.forecast_vintage
            ) as news
            cross join core.build_moment as build
            """
        )
