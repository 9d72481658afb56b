"""Reads trends from a release: figures of a period, what they are compared with, and what their series tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.figures import Kpi, Period, find_period, read_kpis
from kpimart.language import Language
from kpimart.warehouse import open_database


@dataclass(frozen=True)
class Trend:
    """A KPI of an entity in a period, as kpi_trend has it; None where it is undefined or too little is known.

    shifted_on: first day of the period with which the level of the series shifted, up to the period asked for.
    """

    kpi: Kpi
    entity_key: str
    entity_name: str
    unit: str
    value: Decimal | None
    previous_value: Decimal | None
    last_year_value: Decimal | None
    compared_as: str
    compared_through: int | None
    rolling_3: Decimal | None
    rolling_6: Decimal | None
    rolling_12: Decimal | None
    year_to_date: Decimal | None
    working_day_adjusted_value: Decimal | None
    seasonally_adjusted_value: Decimal | None
    trend_direction: str | None
    slope: Decimal | None
    p_value: Decimal | None
    q_value: Decimal | None
    shifted_on: date | None
    expected_low: Decimal | None
    expected_high: Decimal | None
    is_anomaly: bool | None
    trend_status: str


@dataclass(frozen=True)
class Trends:
    """What was asked for: KPIs in their order, entities by name."""

    period: Period
    trends: tuple[Trend, ...]


@dataclass(frozen=True)
class SeriesPoint:
    """A KPI of an entity in one of several periods, as kpi_trend has it; None where it is undefined or not known."""

    period_name: str
    start: date
    is_complete: bool
    value: Decimal | None
    seasonally_adjusted_value: Decimal | None
    expected_low: Decimal | None
    expected_high: Decimal | None
    is_anomaly: bool


def read_series(
    database: Path, kpi_code: str, *, level: str, entity_key: str, period: Period, length: int
) -> tuple[SeriesPoint, ...]:
    """The series of a KPI of an entity up to a period, `length` periods of it, the earliest first; none by day."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select
                periods.period_name, trend.period_start, trend.is_complete, value, seasonally_adjusted_value,
                expected_low, expected_high, coalesce(is_anomaly, false)
            from kpi_trend as trend
            inner join dim_period as periods using (period_grain, period_start)
            where
                kpi_code = ? and entity_level = ? and entity_key = ? and period_grain = ? and period_start <= ?
            order by period_start desc
            limit ?
            """,
            [kpi_code, level, entity_key, period.grain, period.start, length],
        ).fetchall()
    return tuple(SeriesPoint(*row) for row in reversed(rows))


def read_trends(
    database: Path, *, level: str, period: str, kpi_codes: Sequence[str], language: Language = "en"
) -> Trends:
    """The trends of KPIs of all entities of a level, as seen from a period.

    period: as `figures.read_figures` takes it, but no day. Raises SettingsError for a period or a KPI that the release
    does not have, and for a grain that has no trends.
    """
    kpis = {kpi.kpi_code: kpi for kpi in read_kpis(database, kpi_codes, language)}
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        if chosen.grain == "day" or (chosen.grain == "week" and level == "manager"):
            raise SettingsError(
                f"there are no trends by {chosen.grain} of a {level}: give a month, a quarter or a year, "
                "or a week of the company or of departments"
            )
        rows = connection.execute(
            """
            with series as (
                select
                    *,
                    max(case when is_change_point then period_start end) over (
                        partition by kpi_code, entity_key
                        order by period_start
                        rows between unbounded preceding and current row
                    ) as shifted_on
                from kpi_trend
                where period_grain = $grain and entity_level = $level and list_contains($codes, kpi_code)
            )
            select
                kpi_code, entity_key, entity_name, unit, value, previous_value, last_year_value, compared_as,
                compared_through, rolling_3, rolling_6, rolling_12, year_to_date, working_day_adjusted_value,
                seasonally_adjusted_value, trend_direction, slope, p_value, q_value, shifted_on,
                expected_low, expected_high, is_anomaly, trend_status
            from series
            where period_start = $start
            order by list_position($codes, kpi_code), entity_name, entity_key
            """,
            {"grain": chosen.grain, "level": level, "codes": list(kpis), "start": chosen.start},
        ).fetchall()
    return Trends(chosen, tuple(Trend(kpis[code], *others) for code, *others in rows))
