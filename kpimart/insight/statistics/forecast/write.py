"""kpi_forecast and forecast_accuracy: the present vintage, and how near those before it came."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.insight.forecast import FORECAST_KPIS
from kpimart.insight.statistics.forecast.calibration import NOMINAL
from kpimart.insight.statistics.forecast.kept import read_fits, record_vintage, write_fits
from kpimart.insight.statistics.forecast.known import LEVELS, Floats, Integers, Known, read_known
from kpimart.insight.statistics.forecast.methods import HORIZON, MODEL_LEAST
from kpimart.insight.statistics.forecast.pipeline import MEASURES, read_pipeline
from kpimart.insight.statistics.forecast.vintages import Vintage, vintages

ORIGINS = 12
"""Earlier vintages of which the accuracy is told, and errors that a choice and an interval rest on."""

# What a company counts otherwise by a KPI's name is not what is forecast.
_UNCHANGED_KPIS = "select kpi_code from seeds.kpi_catalogue where kpi_code = formula and list_contains($kpis, kpi_code)"
_BOUNDS = ("low_80", "high_80", "low_95", "high_95")
_SUMS = (
    *("value", "actual", "absolute_error", "naive_absolute_error"),
    *("intervals", "within_80", "within_95", "cumulative_within_80", "cumulative_within_95"),
)


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write finance.kpi_forecast and finance.forecast_accuracy; both are empty where the history is too short."""
    codes = {code for (code,) in connection.execute(_UNCHANGED_KPIS, {"kpis": list(FORECAST_KPIS)}).fetchall()}
    known = read_known(connection, tuple(code for code in FORECAST_KPIS if code in codes))
    fits = read_fits(connection)
    made = {}
    for code in known.changes if known.months >= MODEL_LEAST else ():
        pipeline = read_pipeline(connection, known, code) if code in MEASURES else None
        made[code] = list(vintages(known, code, ORIGINS, fits, pipeline))
    connection.register("made_entities", _entities(known))
    connection.register("made_forecasts", forecasts_table(made, known.months - 1))
    connection.register("made_errors", errors_table(known, made))
    connection.execute(_WRITE_FORECAST)
    connection.execute(_WRITE_ACCURACY)
    for name in ("made_entities", "made_forecasts", "made_errors"):
        connection.unregister(name)
    write_fits(connection, fits)
    record_vintage(connection)


def _entities(known: Known) -> pa.Table:
    return pa.table(
        {
            "row": np.arange(len(known.entities)),
            "entity_level": pa.array([entity.level for entity in known.entities], pa.string()),
            "entity_key": pa.array([entity.key for entity in known.entities], pa.string()),
        }
    )


# ---------------------------------------------------------------------------------------------------- the present one


def forecasts_table(made: dict[str, list[Vintage]], present: int) -> pa.Table:
    """A row per KPI, entity and month of the vintage of the present origin; figures in hundredths, none below 0."""
    parts = [
        _forecasts(kpi_code, vintage)
        for kpi_code, each in made.items()
        for vintage in each
        if vintage.origin == present
    ]
    figures = ("value", *_BOUNDS, "cumulative_value", *(f"cumulative_{bound}" for bound in _BOUNDS))
    empty = {
        "kpi_code": pa.string(),
        "row": pa.int64(),
        "origin": pa.int64(),
        "horizon": pa.int64(),
        "method": pa.string(),
        "status": pa.string(),
        **dict.fromkeys(figures, pa.int64()),
    }
    return pa.concat_tables([pa.schema(empty).empty_table(), *parts])


def _forecasts(kpi_code: str, vintage: Vintage) -> pa.Table:
    count = len(vintage.nodes)
    each = {
        "kpi_code": pa.array([kpi_code] * count * HORIZON),
        "row": vintage.nodes.repeat(HORIZON),
        "origin": np.full(count * HORIZON, vintage.origin),
        "horizon": np.tile(np.arange(1, HORIZON + 1), count),
        "method": pa.array(vintage.method.repeat(HORIZON), pa.string()),
        "status": pa.array(vintage.status.repeat(HORIZON), pa.string()),
    }
    return pa.table(
        each
        | _with_bounds("", vintage.value, vintage.half_width)
        | _with_bounds("cumulative_", vintage.cumulative_value, vintage.cumulative_half_width)
    )


def _with_bounds(prefix: str, value: Integers, half_width: Floats) -> dict[str, Any]:
    columns: dict[str, Any] = {f"{prefix}value": value.ravel()}
    low, high = bounds(value, half_width)
    for place, share in enumerate(NOMINAL):
        for side, figures in (("low", low), ("high", high)):
            found = figures[:, :, place].ravel()
            columns[f"{prefix}{side}_{share * 100:.0f}"] = pa.array(
                np.nan_to_num(found).astype(np.int64), mask=np.isnan(found)
            )
    return columns


def bounds(value: Integers, half_width: Floats) -> tuple[Floats, Floats]:
    """Low and high, entities × horizons × NOMINAL, in whole hundredths; NaN where there is no interval."""
    middle, half = value[:, :, None].astype(np.float64), np.rint(half_width * 100)
    return np.maximum(middle - half, 0.0), middle + half


# ------------------------------------------------------------------------------------------------- those before it


def errors_table(known: Known, made: dict[str, list[Vintage]]) -> pa.Table:
    """A row per KPI, level, origin and month ahead that is over: sums over entities, in hundredths, and counts."""
    empty = {
        "kpi_code": pa.string(),
        "entity_level": pa.string(),
        "origin": pa.int64(),
        "horizon": pa.int64(),
        "series": pa.int64(),
        **dict.fromkeys(_SUMS, pa.int64()),
    }
    rows = [row for kpi_code, each in made.items() for row in _errors(known, kpi_code, each)]
    return pa.Table.from_pylist(rows, schema=pa.schema(empty))


def _errors(known: Known, kpi_code: str, made: list[Vintage]) -> Iterator[dict[str, Any]]:
    figures = np.rint(known.at(kpi_code, known.months - 1) * 100).astype(np.int64)
    for vintage in made:
        over = min(HORIZON, known.months - 1 - vintage.origin)
        if not over:
            continue
        actual = figures[vintage.nodes, vintage.origin + 1 : vintage.origin + 1 + over]
        measured = _measured(vintage, actual)
        for level in LEVELS:
            is_in = np.isin(vintage.nodes, known.rows(level))
            for place in range(over):
                yield {
                    "kpi_code": kpi_code,
                    "entity_level": level,
                    "origin": vintage.origin,
                    "horizon": place + 1,
                    "series": int(is_in.sum()),
                    **{name: int(values[is_in, place].sum()) for name, values in measured.items()},
                }


def _measured(vintage: Vintage, actual: Integers) -> dict[str, Integers]:
    """What is summed up of a vintage, entities × months that are over: figures and errors in hundredths, and counts."""
    over = actual.shape[1]
    measured = {
        "value": vintage.value[:, :over],
        "actual": actual,
        "absolute_error": np.abs(vintage.value[:, :over] - actual),
        "naive_absolute_error": np.abs(np.rint(vintage.naive[:, :over] * 100).astype(np.int64) - actual),
        "intervals": np.isfinite(vintage.half_width[:, :over, 0]).astype(np.int64),
    }
    for prefix, value, half_width, came in (
        ("", vintage.value, vintage.half_width, actual),
        ("cumulative_", vintage.cumulative_value, vintage.cumulative_half_width, actual.cumsum(axis=1)),
    ):
        low, high = bounds(value[:, :over], half_width[:, :over])
        for place, share in enumerate(NOMINAL):
            with np.errstate(invalid="ignore"):
                is_within = (low[:, :, place] <= came) & (came <= high[:, :, place])
            measured[f"{prefix}within_{share * 100:.0f}"] = is_within.astype(np.int64)
    return measured


# ------------------------------------------------------------------------------------------------------------- tables

_UNITS = "(select kpi_code, any_value(unit) as unit from kpi.kpi_value group by kpi_code)"


def _figure(column: str) -> str:
    return f"cast(cast(made.{column} as decimal(28, 8)) / 100 as decimal(28, 8)) as {column}"


_WRITE_FORECAST = f"""
create or replace table finance.kpi_forecast as
select
    made.kpi_code, 'month' as period_grain, months.period_start, months.period_end, entities.entity_level,
    entities.entity_key, entities.department_id, entities.manager_id, entities.entity_name, units.unit,
    origins.period_end as origin_on, cast(made.horizon as integer) as horizon, made.method, made.status,
    {", ".join(map(_figure, ("value", *_BOUNDS, "cumulative_value", *(f"cumulative_{bound}" for bound in _BOUNDS))))}
from made_forecasts as made
inner join made_entities as places using (row)
inner join core.dim_entity as entities using (entity_level, entity_key)
inner join {_UNITS} as units on made.kpi_code = units.kpi_code
inner join finance.forecast_month as months on made.origin + made.horizon = months.period_number
inner join finance.forecast_month as origins on made.origin = origins.period_number
"""


def _share(part: str, whole: str, name: str) -> str:
    """A quotient of two sums; empty where there is nothing to divide by."""
    quotient = f"round(cast(made.{part} as double) / nullif(made.{whole}, 0), 8)"
    return f"cast({quotient} as decimal(28, 8)) as {name}"


_WRITE_ACCURACY = f"""
create or replace table finance.forecast_accuracy as
select
    made.kpi_code, made.entity_level, origins.period_end as origin_on, cast(made.horizon as integer) as horizon,
    'month' as period_grain, months.period_start, units.unit, cast(made.series as integer) as series,
    origins.is_loaded_later as is_backtest,
    {", ".join(map(_figure, ("value", "actual", "absolute_error", "naive_absolute_error")))},
    {_share("absolute_error", "actual", "wape")},
    cast(round(cast(made.value - made.actual as double) / nullif(made.actual, 0), 8) as decimal(28, 8)) as bias,
    {_share("naive_absolute_error", "actual", "naive_wape")},
    cast(made.intervals as integer) as intervals,
    cast({NOMINAL[0]} as decimal(9, 8)) as nominal_80,
    {_share("within_80", "intervals", "coverage_80")},
    {_share("cumulative_within_80", "intervals", "cumulative_coverage_80")},
    cast({NOMINAL[1]} as decimal(9, 8)) as nominal_95,
    {_share("within_95", "intervals", "coverage_95")},
    {_share("cumulative_within_95", "intervals", "cumulative_coverage_95")}
from made_errors as made
inner join {_UNITS} as units on made.kpi_code = units.kpi_code
inner join finance.forecast_month as months on made.origin + made.horizon = months.period_number
inner join finance.forecast_month as origins on made.origin = origins.period_number
"""
