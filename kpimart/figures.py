"""Reads figures from the published release: a period, its entities, a few KPIs, beside the period before."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from kpimart.errors import SettingsError, did_you_mean
from kpimart.seeds import seed_file
from kpimart.warehouse import open_database

GRAINS = ("day", "week", "month", "quarter", "year")
LEVELS = ("company", "department", "manager")

# A period's name without FY: which it is may be said of every year.
_PERIOD_PATTERNS = {
    "day": r"\d{4}-\d{2}-\d{2}",
    "week": r"\d{4}-W(0[1-9]|[1-4]\d|5[0-3])",
    "month": r"\d{4}-P?(0[1-9]|1[0-2])",
    "quarter": r"\d{4}-Q[1-4]",
    "year": r"\d{4}",
}


@dataclass(frozen=True)
class Period:
    """A period of the release, and the one before it, whose figures show where things move.

    start_before: None where there is none, or only a part of it is known: with a part nothing is compared.
    """

    grain: str
    start: date
    end: date
    is_complete: bool
    start_before: date | None


@dataclass(frozen=True)
class Kpi:
    """A KPI of the catalogue, named and described in the language asked for. `better`: higher or lower."""

    kpi_code: str
    name: str
    unit: str
    better: str
    description: str | None = None


@dataclass(frozen=True)
class Figure:
    """A KPI of an entity in a period and in the one before; None is undefined or not there."""

    entity_key: str
    entity_name: str
    kpi_code: str
    value: Decimal | None
    value_before: Decimal | None
    unit: str
    sample_size: int


@dataclass(frozen=True)
class Figures:
    """What was asked for, in the order in which it is shown."""

    period: Period
    kpis: tuple[Kpi, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Point:
    """A KPI of an entity in one of several periods; whatever is undefined, not there or not set is None.

    `attainment` and `pace` are parts of the target, 1 is all of it; `pace` is there while the period goes on.
    """

    kpi_code: str
    period_name: str
    start: date
    is_complete: bool
    value: Decimal | None
    unit: str | None
    sample_size: int
    target: Decimal | None
    attainment: Decimal | None
    pace: Decimal | None


@dataclass(frozen=True)
class Entity:
    """Somebody with figures: `key` is unique within the level.

    `department_id` is the one above a department, and the one that a manager sits in. `depth` is that of a department
    in the tree; the top has 0.
    """

    level: str
    key: str
    name: str
    department_id: str | None = None
    depth: int = 0


def profile_kpis(profile: str, seeds: Path | None) -> tuple[str, ...]:
    """The KPIs of a strategy profile, the heaviest first; raises SettingsError for one that the seed does not have.

    seeds: the company's own folder of seeds, if it has one.
    """
    path = seed_file("kpi_profile.csv", seeds)
    with path.open(encoding="utf-8-sig", newline="") as rows:
        weights = [(row["profile"], row["kpi_code"], Decimal(row["weight"])) for row in csv.DictReader(rows)]
    chosen = sorted((row for row in weights if row[0] == profile), key=lambda row: -row[2])
    if not chosen:
        known = ", ".join(sorted({row[0] for row in weights}))
        raise SettingsError(f"profile: {profile!r} is not in {path.name}; it has {known}")
    return tuple(kpi_code for _, kpi_code, _ in chosen)


def read_figures(database: Path, *, level: str, period: str, kpi_codes: Sequence[str], language: str = "en") -> Figures:
    """The figures of all entities of a level in a period.

    period: a grain, for its last complete period, or the name of one: 2017, 2017-Q2, 2017-04, 2017-W14 or 2017-04-01.
    A company whose year is a fiscal one means its own year and quarters by them, whether or not FY stands before.
    Raises SettingsError for a period or a KPI that the release does not have.
    """
    with open_database(database) as connection:
        kpis = _kpis(connection, kpi_codes, language)
        chosen = find_period(connection, period)
        rows = connection.execute(
            """
            select
                entity_key,
                entity_name,
                kpi_code,
                max(value) filter (where period_start = $start) as value,
                max(value) filter (where period_start = $start_before) as value_before,
                max(unit) as unit,
                coalesce(max(sample_size) filter (where period_start = $start), 0) as sample_size
            from kpi_value
            where entity_level = $level and period_grain = $grain and list_contains($codes, kpi_code)
            group by entity_key, entity_name, kpi_code
            having count(*) filter (where period_start = $start) > 0
            order by entity_name, entity_key
            """,
            {
                "start": chosen.start,
                "start_before": chosen.start_before,
                "level": level,
                "grain": chosen.grain,
                "codes": [kpi.kpi_code for kpi in kpis],
            },
        ).fetchall()
    return Figures(chosen, kpis, tuple(Figure(*row) for row in rows))


def read_kpis(database: Path, kpi_codes: Sequence[str], language: str = "en") -> tuple[Kpi, ...]:
    """KPIs of the catalogue, in the order asked for; raises SettingsError for one that the release does not have."""
    with open_database(database) as connection:
        return _kpis(connection, kpi_codes, language)


def read_history(
    database: Path, *, level: str, entity_key: str, period: Period, kpi_codes: Sequence[str], length: int
) -> dict[str, tuple[Point, ...]]:
    """KPI → its figures in the period and in those before it, `length` in all, the earliest first."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            with periods as (
                select *
                from dim_period
                where period_grain = $grain and period_start <= $start
                order by period_start desc
                limit $length
            )
            select
                codes.kpi_code,
                periods.period_name,
                periods.period_start,
                coalesce(figure.is_complete, periods.is_complete),
                figure.value,
                figure.unit,
                coalesce(figure.sample_size, 0),
                target.target_value,
                target.attainment,
                target.pace
            from periods
            cross join (select unnest($codes) as kpi_code) as codes
            left join kpi_value as figure
                on
                    figure.kpi_code = codes.kpi_code
                    and figure.period_grain = periods.period_grain
                    and figure.period_start = periods.period_start
                    and figure.entity_level = $level
                    and figure.entity_key = $key
            left join target_attainment as target
                on
                    target.kpi_code = codes.kpi_code
                    and target.period_grain = periods.period_grain
                    and target.period_start = periods.period_start
                    and target.entity_level = $level
                    and target.entity_key = $key
            order by periods.period_start
            """,
            {
                "grain": period.grain,
                "start": period.start,
                "length": length,
                "codes": list(kpi_codes),
                "level": level,
                "key": entity_key,
            },
        ).fetchall()
    points = [Point(*row) for row in rows]
    return {code: tuple(point for point in points if point.kpi_code == code) for code in kpi_codes}


def read_scores(database: Path, *, level: str, period: Period) -> dict[str, Decimal]:
    """Entity → the total of its scorecard in the period, 1 is every target reached; those without one are left out."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select entity_key, any_value(total_score)
            from scorecard
            where entity_level = ? and period_grain = ? and period_start = ? and total_score is not null
            group by entity_key
            """,
            [level, period.grain, period.start],
        ).fetchall()
    return dict(rows)


def read_periods(database: Path, grain: str) -> dict[str, Period]:
    """Name → period, of all that the release has of a grain, the last first."""
    with open_database(database) as connection:
        rows = connection.execute(
            f"""
            select
                period_name,
                period_grain,
                period_start,
                period_end,
                is_complete,
                {_start_before(connection)}
            from dim_period
            where period_grain = ?
            order by period_start desc
            """,
            [grain],
        ).fetchall()
    return {name: Period(*row) for name, *row in rows}


def read_entities(database: Path) -> tuple[Entity, ...]:
    """All who have figures: the company, the departments as their tree stands, and the managers by name."""
    with open_database(database) as connection:
        departments = connection.execute(
            """
            with recursive tree as (
                select
                    department_id,
                    department_name,
                    parent_department_id,
                    0 as depth,
                    [department_name, department_id] as path
                from dim_department
                where
                    parent_department_id is null
                    or parent_department_id not in (select department_id from dim_department)
                union all
                select
                    child.department_id,
                    child.department_name,
                    child.parent_department_id,
                    tree.depth + 1,
                    tree.path || [child.department_name, child.department_id]
                from dim_department as child
                inner join tree on child.parent_department_id = tree.department_id
            )
            select department_id, department_name, parent_department_id, depth from tree order by path
            """
        ).fetchall()
        managers = connection.execute(
            "select manager_id, manager_name, department_id from dim_manager order by manager_name, manager_id"
        ).fetchall()
    return (
        Entity("company", "company", ""),
        *(Entity("department", *row) for row in departments),
        *(Entity("manager", *row) for row in managers),
    )


def latest_month(database: Path) -> str:
    """The last month that the release has, complete or not, as `read_figures` takes it."""
    with open_database(database) as connection:
        rows = connection.execute(
            "select period_name from dim_period where period_grain = 'month' order by period_start desc limit 1"
        ).fetchall()
    return str(rows[0][0])


def _kpis(connection: duckdb.DuckDBPyConnection, codes: Sequence[str], language: str) -> tuple[Kpi, ...]:
    rows = connection.execute(
        f"select kpi_code, name_{language}, unit, better, description_{language} from kpi_catalogue"
    ).fetchall()
    known = {row[0]: Kpi(*row) for row in rows}
    for code in codes:
        if code not in known:
            there = f"it has {', '.join(sorted(known))}"
            raise SettingsError(f"KPI {code!r} is not in the catalogue; {there}{did_you_mean(code, known)}")
    return tuple(known[code] for code in codes)


def find_period(connection: duckdb.DuckDBPyConnection, asked: str) -> Period:
    """The period that is asked for, as `read_figures` takes it; raises SettingsError if the release has none such."""
    grain, name = _asked(asked)
    row: Any = connection.execute(
        f"""
        with periods as (
            select *, {_start_before(connection)} as start_before
            from dim_period
            where period_grain = $grain
        )
        select period_grain, period_start, period_end, is_complete, start_before
        from periods
        where case when $name is null then is_complete else ltrim(period_name, 'FY') = $name end
        order by period_start desc
        limit 1
        """,
        {"grain": grain, "name": name},
    ).fetchone()
    if row is None:
        names = connection.execute(
            "select period_name from dim_period where period_grain = ? order by period_start", [grain]
        ).fetchall()
        missing = f"such {grain}" if name else f"complete {grain} yet"
        there = f"it has those from {names[0][0]} to {names[-1][0]}" if names else "it has none at all"
        raise SettingsError(f"period {asked}: the release has no {missing}; {there}")
    return Period(*row)


def _start_before(connection: duckdb.DuckDBPyConnection) -> str:
    """The expression of the start of the period before it, if all of that is known; an older release cannot tell."""
    tells = connection.execute(
        "select count(*) from duckdb_columns() where table_name = 'dim_period' and column_name = 'is_covered'"
    ).fetchall() == [(1,)]
    start = "case when is_covered then period_start end" if tells else "period_start"
    return f"lag({start}) over (order by period_start)"


def _asked(asked: str) -> tuple[str, str | None]:
    """The grain that is asked for, and the name of the period without FY; None for the last complete one."""
    if asked in GRAINS:
        return asked, None
    name = re.sub(r"(?<=^\d{4})(?=[PQW])", "-", asked.upper().removeprefix("FY"))
    for grain, pattern in _PERIOD_PATTERNS.items():
        if re.fullmatch(pattern, name) and _is_in_a_calendar(name):
            return grain, name
    raise SettingsError(
        f"period {asked!r}: give one of {', '.join(GRAINS)}, "
        "or 2017, 2017-Q2, 2017-04, 2017-W14, 2017-04-01, FY2017, FY2017-Q2, FY2017-P04, FY2017-W14"
    )


def _is_in_a_calendar(name: str) -> bool:
    try:
        date.fromisoformat(name if len(name) == len("2017-04-01") else f"{name[:4]}-01-01")
    except ValueError:
        return False
    return True
