"""Win rate curves and funnels: those of random companies, and those published of the real export, recomputed."""

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from cohorts import (
    HUNDREDTH,
    TINY,
    WITHIN_DAYS,
    Deal,
    Point,
    Stage,
    Stay,
    cumulative_incidence,
    curve,
    funnel,
    is_rounded,
    median_of,
)
from product import Product, Release

# As the real export's run is configured, whose SQL is asked here.
LAST_DAY = date(2017, 12, 31)
TIME_ZONE = ZoneInfo("America/New_York")
MIDNIGHT = datetime(2018, 1, 1, tzinfo=TIME_ZONE)
YEAR_START = date(2017, 1, 1)

CURVE = """
select period_grain, period_start, entity_level, entity_key, within_days,
    created_deals, won_deals, lost_deals, open_deals, censored_deals, is_mature, cumulative_win_rate, mature_win_rate
from {table}
"""
FUNNEL = """
select period_grain, period_start, entity_level, entity_key, stage_number,
    reached_deals, entered_deals, converted_deals, won_deals, lost_deals, open_deals, is_complete,
    next_stage_rate, won_rate, finished_stays, mean_stay_days, median_stay_days, open_stays, median_open_days
from {table}
"""
Key = tuple[str, date, str, str, int]
Figures = dict[Key, tuple[Any, ...]]


# ------------------------------------------------------------------------------------------------- the recomputation


@pytest.mark.parametrize(
    ("within", "share"),
    [
        (4, Fraction(0)),
        (7, Fraction(2, 6)),
        # Of the three that are left on day 10 one is lost from sight: 2/6 + 3/6 × 1/2.
        (20, Fraction(7, 12)),
        (30, Fraction(7, 12)),
        (31, None),
    ],
)
def test_an_incidence_is_as_worked_out_by_hand(within: int, share: Fraction | None) -> None:
    followed = [(5, "won"), (5, "lost"), (6, "won"), (10, "open"), (20, "won"), (30, "open")]
    assert cumulative_incidence(followed, within) == share


# -------------------------------------------------------------------------------------------------- random companies


@pytest.fixture(scope="module")
def models(product: Product, first_run: Release) -> dict[str, str]:
    """Model → the SQL that made its table in the run."""
    assert first_run.is_current
    return {
        path.stem: path.read_text()
        for path in product.home.glob("dbt/warehouse/compiled/kpimart/models/marts/kpi/*.sql")
    }


def ask(sql: str, deals: Sequence[Deal], *, stages: int, threads: int = 2) -> list[tuple[Any, ...]]:
    """What a model's SQL makes of deals that were all created in 2017."""
    managers = sorted({deal.manager for deal in deals})
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        connection.execute("create schema core; create schema kpi")
        connection.execute(
            f"""
            create table core.build_moment as
            select timestamptz '{MIDNIGHT.isoformat()}' as as_of, date '{LAST_DAY}' as last_day;

            create table core.dim_day as
            select day::date as day, true as is_covered, date_trunc('month', day)::date as month_start,
                date_trunc('quarter', day)::date as quarter_start, date_trunc('year', day)::date as year_start
            from generate_series(date '2017-01-01', date '2017-12-31', interval 1 day) as days (day);

            create table core.dim_period as
            select period_grain, date_trunc(period_grain, day)::date as period_start, max(day) as period_end,
                true as is_complete
            from core.dim_day, (values ('month'), ('quarter'), ('year')) as grains (period_grain)
            group by all;

            create table core.dim_pipeline_stage as
            select 'p' as pipeline_id, 'P' as pipeline_name, 's' || i as stage_id, 'S' || i as stage_name,
                i as position, if(i > {stages}, 'won', 'open') as outcome
            from range(1, {stages} + 2) as stages (i);

            create table core.dim_entity (entity_id integer, entity_level text, entity_key text, department_id text,
                manager_id text, entity_name text);
            create table core.bridge_entity (organisation_id integer, manager_id text, department_id text,
                entity_id integer);
            create table kpi.kpi_cohort_deal (deal_id text, seat_id text, organisation_id integer, manager_id text,
                department_id text, pipeline_id text, month_start date, outcome text, followed_days integer);
            create table core.fct_deal_stage_interval (deal_id text, stage_id text, entered_at timestamptz,
                left_at timestamptz);
            """
        )
        insert(connection, "core.dim_entity", entities_of(managers))
        insert(
            connection,
            "core.bridge_entity",
            [(1, name, "d", of) for at, name in enumerate(managers) for of in (0, at + 1)],
        )
        insert(connection, "kpi.kpi_cohort_deal", [row_of(at, deal) for at, deal in enumerate(deals)])
        insert(
            connection,
            "core.fct_deal_stage_interval",
            [stay_of(at, deal, stay) for at, deal in enumerate(deals) for stay in deal.stays],
        )
        return connection.execute(sql).fetchall()


def entities_of(managers: Sequence[str]) -> list[tuple[Any, ...]]:
    people = [(at, "manager", name, None, name, name) for at, name in enumerate(managers, start=1)]
    return [(0, "company", "company", None, None, "Company"), *people]


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        columns = pa.table(
            [pa.array(column) for column in zip(*rows, strict=True)], [f"c{at}" for at in range(len(rows[0]))]
        )
        connection.register("columns", columns)
        connection.execute(f"insert into {table} from columns")


def row_of(at: int, deal: Deal) -> tuple[Any, ...]:
    month_start = deal.created_on.replace(day=1)
    return (f"{at}", deal.manager, 1, deal.manager, "d", "p", month_start, deal.outcome, deal.followed_days(LAST_DAY))


def stay_of(at: int, deal: Deal, stay: Stay) -> tuple[Any, ...]:
    """At some hour of its days, of which only the days count; what goes on may have an end that is yet to come."""
    hour = timedelta(hours=at % 24)
    entered_at = datetime.combine(stay.entered_on, datetime.min.time(), TIME_ZONE)
    ends_at = datetime.combine(stay.left_on, datetime.min.time(), TIME_ZONE) + hour if stay.left_on else None
    return (f"{at}", f"s{stay.stage}", entered_at, ends_at or (MIDNIGHT + hour if at % 2 else None))


def some_days(chance: random.Random) -> int:
    """Many deals have the same number of days, and those of the curve's points are among them."""
    return chance.choice([0, 1, 7, 8, 29, 30, 60, 90, chance.randint(0, 120), chance.randint(0, 364)])


def closed_or_not(chance: random.Random, deal: Deal) -> Deal:
    outcome = chance.choice(["open", "won", "lost"])
    closed_on = min(deal.created_on + timedelta(days=some_days(chance)), LAST_DAY)
    return deal if outcome == "open" else replace(deal, outcome=outcome, closed_on=closed_on)


def random_deals(chance: random.Random, managers: int, most: int) -> list[Deal]:
    return [
        closed_or_not(chance, Deal(f"m{at}", YEAR_START + timedelta(days=chance.randint(0, 364))))
        for at in range(managers)
        for _ in range(chance.randint(1, most))
    ]


def with_stays(chance: random.Random, deal: Deal, stages: int) -> Deal:
    """A history that skips stages, goes back, comes back, and may say nothing at all."""
    stays, day = [], deal.created_on
    end = deal.closed_on or LAST_DAY
    for _ in range(chance.randint(0, 6)):
        left_on = min(day + timedelta(days=chance.randint(0, 60)), end)
        stays.append(Stay(chance.randint(1, stages), day, left_on))
        day = left_on
    if deal.outcome == "open":
        stays.append(Stay(chance.randint(1, stages), day))
    return replace(deal, stays=tuple(stays))


def test_curves_of_random_cohorts_are_those_of_aalen_and_johansen(models: dict[str, str]) -> None:
    deals = random_deals(random.Random(1), managers=120, most=30)  # noqa: S311
    found = by_key(ask(CURVE.format(table=f"({models['win_rate_curve']})"), deals, stages=1))
    assert wrong_points(found, deals) == []


def test_funnels_of_random_histories_are_as_recounted(models: dict[str, str]) -> None:
    chance = random.Random(2)  # noqa: S311
    deals = [with_stays(chance, deal, stages=4) for deal in random_deals(chance, managers=80, most=12)]
    found = by_key(ask(FUNNEL.format(table=f"({models['funnel_stage']})"), deals, stages=4))
    assert wrong_stages(found, deals, stages=4) == []


@pytest.mark.parametrize("model", ["win_rate_curve", "funnel_stage"])
def test_neither_threads_nor_the_order_of_deals_changes_a_digit(models: dict[str, str], model: str) -> None:
    chance = random.Random(3)  # noqa: S311
    deals = [with_stays(chance, deal, stages=3) for deal in random_deals(chance, managers=40, most=80)]
    sql = f"select * from ({models[model]}) order by all"
    assert ask(sql, deals, stages=3, threads=1) == ask(sql, deals[::-1], stages=3, threads=4)


# --------------------------------------------------------------------------------------------------- the real export


@pytest.fixture(scope="module")
def exported(export: Path) -> list[Deal]:
    """The deals with dates. Only of open ones does the export say in which stage they are: the second, of two."""
    with (export / "sales_pipeline.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["engage_date"]]
    return [
        Deal(
            manager=f"files:{row['sales_agent']}",
            created_on=(created_on := date.fromisoformat(row["engage_date"])),
            outcome={"Won": "won", "Lost": "lost"}.get(row["deal_stage"], "open"),
            closed_on=date.fromisoformat(row["close_date"]) if row["close_date"] else None,
            stays=(Stay(2, created_on),) if row["deal_stage"] == "Engaging" else (),
        )
        for row in rows
    ]


def published(release: Release, select: str, table: str) -> Figures:
    with duckdb.connect(str(release.path), read_only=True) as connection:
        sql = f"{select.format(table=f'reporting.{table}')} where entity_level in ('company', 'manager')"
        return by_key(connection.execute(sql).fetchall())


def test_published_curves_are_those_of_the_export(first_run: Release, exported: list[Deal]) -> None:
    assert wrong_points(published(first_run, CURVE, "win_rate_curve"), exported) == []


def test_published_funnels_are_those_of_the_export(first_run: Release, exported: list[Deal]) -> None:
    assert wrong_stages(published(first_run, FUNNEL, "funnel_stage"), exported, stages=2) == []


def test_the_curve_at_90_days_is_the_cohorts_win_rate(first_run: Release) -> None:
    rates = first_run.query(
        """
        select curve.mature_win_rate, figures.value
        from reporting.win_rate_curve as curve
        inner join reporting.kpi_value as figures using (period_grain, period_start, entity_level, entity_key)
        where curve.within_days = 90 and figures.kpi_code = 'win_rate_cohort_90d' and figures.is_complete
        """
    )
    assert len(rates) > 100
    assert (rates["mature_win_rate"] == rates["value"]).all()


def test_the_first_quarter_of_2017_by_hand(first_run: Release) -> None:
    """1,619 deals were created; 606 of them are won within 90 days, 898 at all, and 297 are still open."""
    points = published(first_run, CURVE, "win_rate_curve")
    quarter = {days: points["quarter", date(2017, 1, 1), "company", "company", days] for days in WITHIN_DAYS}
    assert quarter[90] == (1619, 606, 297, 716, 0, True, Decimal("0.37430513"), Decimal("0.37430513"))
    assert quarter[270] == (1619, 898, 424, 297, 0, True, Decimal("0.55466337"), Decimal("0.55466337"))
    assert quarter[365] == (1619, 898, 424, 0, 297, False, None, None)


# -------------------------------------------------------------------------------------------------------- comparing


def by_key(rows: Iterable[tuple[Any, ...]]) -> Figures:
    return {tuple(row[:5]): tuple(row[5:]) for row in rows}


def period_of(grain: str, day: date) -> tuple[date, date]:
    """First and last day of the calendar month, quarter or year of a day."""
    length = {"month": 1, "quarter": 3, "year": 12}[grain]
    start = date(day.year, (day.month - 1) // length * length + 1, 1)
    months = start.year * 12 + start.month - 1 + length
    return start, date(months // 12, months % 12 + 1, 1) - timedelta(days=1)


def cohorts_of(deals: Iterable[Deal]) -> dict[tuple[str, date, date, str, str], list[Deal]]:
    """Grain, first and last day, and entity → the deals."""
    cohorts: dict[tuple[str, date, date, str, str], list[Deal]] = {}
    for deal in deals:
        for grain in ("month", "quarter", "year"):
            for entity in (("company", "company"), ("manager", deal.manager)):
                cohorts.setdefault((grain, *period_of(grain, deal.created_on), *entity), []).append(deal)
    return cohorts


def wrong_points(found: Figures, deals: Sequence[Deal]) -> list[str]:
    expected = {
        (grain, start, level, key, within): point
        for (grain, start, end, level, key), cohort in cohorts_of(deals).items()
        for within, point in curve(cohort, period_end=end, last_day=LAST_DAY).items()
    }
    return compared(found, expected, is_point)


def is_point(found: tuple[Any, ...], expected: Point) -> bool:
    *counts, rate, mature_rate = found
    plain = Fraction(expected.won, expected.created) if expected.is_mature else None
    return (
        (expected.created, expected.won, expected.lost, expected.open, expected.censored, expected.is_mature)
        == tuple(counts)
        and is_rounded(rate, expected.rate, TINY)
        and is_rounded(mature_rate, plain, TINY)
    )


def wrong_stages(found: Figures, deals: Sequence[Deal], *, stages: int) -> list[str]:
    expected = {
        (grain, start, level, key, number): stage
        for (grain, start, end, level, key), cohort in cohorts_of(deals).items()
        for number, stage in funnel(cohort, stages=stages, period_end=end, last_day=LAST_DAY).items()
    }
    return compared(found, expected, is_stage)


def is_stage(found: tuple[Any, ...], expected: Stage) -> bool:
    reached, entered, converted, won, lost, still_open, is_complete, *measured = found
    to_next, to_won, finished, mean_days, median_days, open_stays, median_open_days = measured
    shares = [
        Fraction(part, expected.reached) if expected.reached else None for part in (expected.converted, expected.won)
    ]
    return (
        (expected.reached, expected.entered, expected.converted, expected.won, expected.lost, expected.open)
        == (reached, entered, converted, won, lost, still_open)
        and expected.is_complete == is_complete
        and (len(expected.finished_days), len(expected.open_days)) == (finished, open_stays)
        and is_rounded(to_next, shares[0], TINY)
        and is_rounded(to_won, shares[1], TINY)
        and is_rounded(mean_days, expected.mean_stay_days, HUNDREDTH)
        and is_rounded(median_days, median_of(expected.finished_days), HUNDREDTH)
        and is_rounded(median_open_days, median_of(expected.open_days), HUNDREDTH)
    )


def compared(found: Figures, expected: dict[Key, Any], is_same: Callable[[tuple[Any, ...], Any], bool]) -> list[str]:
    """What differs, as text; the keys that one side lacks, and the cells that are not the same."""
    keys = [f"only {'found' if key in found else 'expected'}: {key}" for key in found.keys() ^ expected.keys()]
    cells = [
        f"{key}: found {found[key]}, expected {expected[key]}"
        for key in found.keys() & expected.keys()
        if not is_same(found[key], expected[key])
    ]
    return sorted(keys + cells)[:20]
