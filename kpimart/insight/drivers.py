"""Why a figure changed: the drivers of a KPI between any two periods of a release, or against its plan."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from kpimart.errors import SettingsError
from kpimart.explain import Entity, find_entity, find_kpi
from kpimart.figures import Period, find_period
from kpimart.language import Language
from kpimart.warehouse import open_database

PREVIOUS, LAST_YEAR, PLAN = "previous", "last-year", "plan"
_PERIODS_OF_A_YEAR = {"month": 12, "quarter": 4, "year": 1}


@dataclass(frozen=True)
class Driver:
    """What one driver contributes, in the KPI's unit, and what the factor was and is; None where it is no factor.

    part: own, or transfer, of managers who moved between departments.
    """

    driver: str
    part: str
    factor_before: Decimal | None
    factor_after: Decimal | None
    contribution: Decimal


@dataclass(frozen=True)
class Change:
    """How a KPI of an entity differs from what it is compared with; the largest driver first, and they sum to it.

    before: the period compared with, of a plan the one that it is laid beside; None where there is none.
    """

    kpi_code: str
    kpi_name: str
    unit: str
    entity: Entity
    period: Period
    before: Period | None
    is_plan: bool
    value_before: Decimal
    value_after: Decimal
    difference: Decimal
    drivers: tuple[Driver, ...]


def read_change(
    database: Path,
    kpi_code: str,
    *,
    period: str,
    compared_with: str = PREVIOUS,
    manager: str | None = None,
    department: str | None = None,
    language: Language = "en",
) -> Change:
    """What drove a KPI from one period to another, by the same statistics that fill `kpi_driver`.

    period: a month, a quarter or a year, as `figures.find_period` takes it. compared_with: another such of the same
    grain; or previous, last-year or plan. manager, department: an id or a name; neither: the company.
    Raises SettingsError for what the release does not have, and where there is nothing to compare.
    """
    # Its libraries take their time to import; who only looks at figures must not wait for them.
    from kpimart.insight.statistics.drivers import decompose

    if manager is not None and department is not None:
        raise SettingsError("give a manager or a department: drivers are those of one of them, or of the company")
    with open_database(database) as connection:
        name = find_kpi(connection, kpi_code, language).name
        entity = find_entity(connection, manager, department, language)
        after = _period(connection, period)
        before = _compared_with(connection, after, compared_with)
        connection.execute(
            """
            create temp table compared as
            select
                $comparison as comparison,
                $grain as period_grain,
                cast($start as date) as period_start,
                cast($end as date) as period_end,
                $is_complete as is_complete,
                cast($before as date) as from_start
            """,
            {
                "comparison": "plan" if compared_with == PLAN else "previous_period",
                "grain": after.grain,
                "start": after.start,
                "end": after.end,
                "is_complete": after.is_complete,
                "before": before.start if before else None,
            },
        )
        decompose(connection, kpi_code=kpi_code, entity=(entity.level, entity.key))
        rows = connection.execute(
            """
            select driver, part, factor_before, factor_after, contribution
            from driver_row
            order by abs(contribution) desc, driver, part
            """
        ).fetchall()
        compared = connection.execute(
            f"select unit, value_before, value_after from {'planned' if compared_with == PLAN else 'change'}"
        ).fetchone()
    if compared is None:
        raise SettingsError(_nothing_to_compare(name, entity, after, before, compared_with))
    unit, value_before, value_after = compared
    return Change(
        kpi_code,
        name,
        unit,
        entity,
        after,
        before,
        compared_with == PLAN,
        value_before,
        value_after,
        value_after - value_before,
        tuple(Driver(*row) for row in rows),
    )


def _period(connection: duckdb.DuckDBPyConnection, asked: str) -> Period:
    found = find_period(connection, asked)
    if found.grain not in _PERIODS_OF_A_YEAR:
        raise SettingsError(f"period {asked}: drivers are told of months, quarters and years, not of a {found.grain}")
    return found


def _compared_with(connection: duckdb.DuckDBPyConnection, after: Period, asked: str) -> Period | None:
    """The period compared with, all of which is known; of a plan the one a year before, else the one before, if any."""
    if asked in (PREVIOUS, LAST_YEAR, PLAN):
        year_before = _earlier(connection, after, _PERIODS_OF_A_YEAR[after.grain])
        previous = _earlier(connection, after, 1)
        found = {PREVIOUS: previous, LAST_YEAR: year_before, PLAN: year_before or previous}[asked]
        if found is None and asked != PLAN:
            raise SettingsError(
                f"there is no period to compare with: the release knows none as a whole so long before {after.start}; "
                "give a later period, or another in --from"
            )
        return found
    before = _period(connection, asked)
    if before.grain != after.grain:
        raise SettingsError(f"a {after.grain} is compared with a {after.grain}, and {asked} is a {before.grain}")
    if before.start == after.start:
        raise SettingsError(f"{asked} is compared with itself; give another {after.grain} in --from")
    if not _is_covered(connection, before):
        raise SettingsError(
            f"only a part of {asked} is known, because figures begin after {before.start}; give a later {before.grain} "
            "in --from"
        )
    return before


def _is_covered(connection: duckdb.DuckDBPyConnection, period: Period) -> bool:
    rows = connection.execute(
        "select is_covered from dim_period where period_grain = ? and period_start = ?", [period.grain, period.start]
    ).fetchall()
    return bool(rows[0][0])


def _earlier(connection: duckdb.DuckDBPyConnection, period: Period, count: int) -> Period | None:
    """The period so many periods before; None where it is not known as a whole."""
    row = connection.execute(
        """
        with earlier as (
            select *, row_number() over (order by period_start desc) as place
            from dim_period
            where period_grain = $grain and period_start < $start
        )

        select period_grain, period_start, period_end, is_complete, null
        from earlier
        where place = $count and is_covered
        """,
        {"grain": period.grain, "start": period.start, "count": count},
    ).fetchone()
    return Period(*row) if row else None


def _nothing_to_compare(name: str, entity: Entity, after: Period, before: Period | None, asked: str) -> str:
    if asked == PLAN:
        return f"no target of {name} is set for {entity.name} in the {after.grain} from {after.start}"
    start = before.start if before else None
    return f"{name} of {entity.name} is not known in both {after.grain}s, from {start} and from {after.start}"
