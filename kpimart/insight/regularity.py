"""Reads what comes back: wins at the end of a period, cycles, early signs, seasons, and accounts that buy again."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.insight.pipeline_names import count_pipelines, join_pipelines
from kpimart.warehouse import open_database

GRAINS = ("month", "quarter")

# Ids begin with their CRM. Where early stages are not known, there is no row.
_IS_TOLD = """
    case sign
        when 'reached_stage' then true
        when 'prompt_response' then split_part(pipeline_id, ':', 1) in (
            select split_part(deal_id, ':', 1) from lead where deal_id is not null and first_response_hours is not null
        )
        else split_part(pipeline_id, ':', 1) in (
            select split_part(deal_id, ':', 1) from activity where deal_id is not null and activity_type <> 'task'
        )
    end as is_told
"""

_SEGMENTS = "(select *, case when segment_by = 'pipeline' then segment end as pipeline_id from cycle_length)"


@dataclass(frozen=True)
class Closing:
    """How an entity's wins of a period lie in it; shares and linearity are 0 to 1, None where there are too few wins.

    `share` is that of the wins in the last tenth of the working days, `even_share` what it were if all days were alike.
    """

    entity_name: str
    won_deals: int
    even_share: Decimal
    share: Decimal | None
    share_low: Decimal | None
    share_high: Decimal | None
    amount_share: Decimal | None
    linearity: Decimal | None


@dataclass(frozen=True)
class Cycle:
    """How many days deals took from their creation to being won; None where there are too few.

    segment_name: what people call the segment; it differs from `segment` where that is a pipeline.
    """

    segment_by: str
    segment: str
    segment_name: str
    won_deals: int
    p10_days: Decimal | None
    p25_days: Decimal | None
    median_days: Decimal | None
    p75_days: Decimal | None
    p90_days: Decimal | None


@dataclass(frozen=True)
class EarlySign:
    """How often deals with a sign and without it were won; `difference` is that of the shares, with its interval.

    is_told: the source of the deals tells of what makes the sign; otherwise no deal can have it.
    """

    pipeline_id: str
    pipeline_name: str
    sign: str
    stage_name: str | None
    fewest_activities: Decimal | None
    deals_with: int
    deals_without: int
    win_rate_with: Decimal | None
    win_rate_without: Decimal | None
    difference: Decimal | None
    difference_low: Decimal | None
    difference_high: Decimal | None
    odds_ratio: Decimal | None
    goes_with: str | None
    is_told: bool


@dataclass(frozen=True)
class Season:
    """How much of the usual won amount falls onto a month of the year or a weekday; 1 is usual.

    kind: month_of_year or weekday. name: 01 is January, P01 the first month of a year of weeks; 1 is Monday.
    """

    kind: str
    name: str
    seasonal_index: Decimal
    sample: int


@dataclass(frozen=True)
class Buying:
    """How many days lie between purchases of an account, in quartiles, and how many customers are overdue."""

    intervals: int
    q1_days: Decimal | None
    median_days: Decimal | None
    q3_days: Decimal | None
    customers: int
    overdue_customers: int


@dataclass(frozen=True)
class Regularities:
    """The closings of a period by entity; everything else is of the company and of all its years.

    pipelines: how many the company has; where there is one, nobody need be told which.
    """

    period: Period
    closings: tuple[Closing, ...]
    since: date | None
    cycles: tuple[Cycle, ...]
    signs: tuple[EarlySign, ...]
    seasons: tuple[Season, ...]
    buying: Buying | None
    pipelines: int


def read_regularities(database: Path, *, level: str, period: str) -> Regularities:
    """The closings of the entities of a level in a month or quarter, and the company's other regularities.

    period: month or quarter, for the last complete one, or a name of one, as in `read_figures`. Raises SettingsError
    for another grain and for a period that is not there.
    """
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        if chosen.grain not in GRAINS:
            raise SettingsError(
                f"period {period}: the end of a {' or a '.join(GRAINS)} is looked at, not that of a {chosen.grain}"
            )
        return Regularities(
            chosen,
            _closings(connection, chosen, level),
            _first_day(connection),
            _cycles(connection),
            _signs(connection),
            _seasons(connection),
            _buying(connection),
            count_pipelines(connection),
        )


def _closings(connection: duckdb.DuckDBPyConnection, period: Period, level: str) -> tuple[Closing, ...]:
    rows = connection.execute(
        """
        select
            entity_name, won_deals, even_share, deals_share, deals_share_low, deals_share_high, amount_share,
            deals_linearity
        from closing_pattern
        where period_grain = ? and period_start = ? and entity_level = ? and stretch = 'last_tenth'
        order by deals_share - even_share desc nulls last, entity_name, entity_key
        """,
        [period.grain, period.start, level],
    ).fetchall()
    return tuple(Closing(*row) for row in rows)


def _first_day(connection: duckdb.DuckDBPyConnection) -> date | None:
    rows = connection.execute("select min(period_start) from cycle_length where period_grain = 'all'").fetchall()
    first: date | None = rows[0][0]
    return first


def _cycles(connection: duckdb.DuckDBPyConnection) -> tuple[Cycle, ...]:
    rows = connection.execute(
        f"""
        select
            segment_by, segment, coalesce(pipeline_name, segment), won_deals, p10_days, p25_days, median_days, p75_days,
            p90_days
        from {join_pipelines(_SEGMENTS)}
        where period_grain = 'all' and entity_level = 'company'
        order by
            list_position(['all', 'pipeline', 'amount_band', 'product', 'lead_source'], segment_by),
            median_days nulls last, segment
        """
    ).fetchall()
    return tuple(Cycle(*row) for row in rows)


def _signs(connection: duckdb.DuckDBPyConnection) -> tuple[EarlySign, ...]:
    rows = connection.execute(
        f"""
        select
            pipeline_id, pipeline_name, sign, stage_name, fewest_activities, deals_with, deals_without, win_rate_with,
            win_rate_without, difference, difference_low, difference_high, odds_ratio, goes_with, {_IS_TOLD}
        from {join_pipelines("early_sign")}
        where period_grain = 'all' and entity_level = 'company'
        order by pipeline_id, abs(difference) desc nulls last, sign, stage_number
        """
    ).fetchall()
    return tuple(EarlySign(*row) for row in rows)


def _seasons(connection: duckdb.DuckDBPyConnection) -> tuple[Season, ...]:
    rows = connection.execute(
        """
        select
            kind,
            case
                when kind = 'weekday' then number::varchar
                else (select if(bool_or(period_name like '%-P%'), 'P', '') from dim_period where period_grain = 'month')
                    || lpad(number::varchar, 2, '0')
            end as name,
            seasonal_index,
            sample
        from seasonal_index
        where kpi_code = 'won_amount' and entity_level = 'company'
        order by kind, number
        """
    ).fetchall()
    return tuple(Season(*row) for row in rows)


def _buying(connection: duckdb.DuckDBPyConnection) -> Buying | None:
    row = connection.execute(
        """
        select intervals, q1_days, median_days, q3_days, customers, overdue_customers
        from buying_interval
        where entity_level = 'company'
        """
    ).fetchone()
    return Buying(*row) if row else None
