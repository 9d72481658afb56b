"""Tables of customers: those of random companies, and those published of the real export, recomputed in every cell."""

import csv
import random
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import customers as again
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from cohorts import HUNDREDTH, TINY, is_rounded
from customers import GRAINS, Entities, Win
from product import Product, Release

LAST_DAY = date(2017, 12, 31)
FIRST_DAY = date(2016, 10, 1)
RANDOM_FROM = date(2013, 1, 1)
TABLES = ("customer_base", "cohort_retention", "customer_segment", "buying_interval")

BASE = """
select period_grain, period_start, entity_level, entity_key,
    opening_customers, first_time_customers, returned_customers, taken_over_customers, handed_over_customers,
    lost_customers, closing_customers, lapsed_customers, {measured}
    customers_with_amount, top_1_share, top_5_share, top_10_share, herfindahl_index
from {table}
"""
MEASURED = "new_customers, active_customers, repeat_customers, regular_customers,"
COHORTS = """
select period_grain, cohort_start, entity_level, entity_key, periods_since,
    cohort_customers, retained_customers, won_amount * 100, cumulative_won_amount * 100, retention_rate
from {table}
"""
SEGMENTS = """
select account_id, manager_id, purchases, won_amount * 100, customer_state, recency_days, frequency,
    monetary_amount * 100, recency_score, frequency_score, monetary_score
from {table}
"""
INTERVALS = """
select entity_level, entity_key, intervals, q1_days, median_days, q3_days, customers, overdue_customers
from {table}
"""


# ------------------------------------------------------------------------------------------- what is wrong, by recount


def wrong_bases(found: list[tuple[Any, ...]], purchases: pd.DataFrame, entities: Entities, first: date) -> list[Any]:
    """Rows of customer_base that are not as recounted; those of whom nothing is to be told may be missing."""
    rows = {row[:4]: row[4:] for row in found}
    wrong = []
    for grain in GRAINS:
        for period in again.periods_of(grain, first, LAST_DAY):
            for (level, key), managers in entities.items():
                counts = again.base_of(purchases, managers, period)
                accounts, *shares = again.concentration_of(purchases, managers, period)
                row = rows.pop((grain, period.start_time.date(), level, key), None)
                if row is None:
                    wrong += [(grain, period, key)] if any(counts) or accounts else []
                    continue
                counted = row[:-5]
                is_right = counted == counts[: len(counted)] and row[-5] == accounts
                if not (is_right and all(map(is_rounded, row[-4:], shares, [TINY] * 4))):
                    wrong.append((grain, period, key, row, counts, shares))
    return [*wrong, *rows]


def wrong_cohorts(found: list[tuple[Any, ...]], purchases: pd.DataFrame, entities: Entities, first: date) -> list[Any]:
    rows = {row[:5]: row[5:] for row in found}
    wrong = []
    for grain in GRAINS:
        periods = again.periods_of(grain, first, LAST_DAY)
        for (level, key), managers in entities.items():
            for cohort, since, size, retained, *cents in again.cohorts_of(purchases, managers, periods):
                row = rows.pop((grain, cohort.start_time.date(), level, key, since), None)
                if row is None or row[:-1] != (size, retained, *cents):
                    wrong.append((grain, cohort, key, since, row, size, retained, cents))
                elif not is_rounded(row[-1], Fraction(retained, size), TINY):
                    wrong.append((grain, cohort, key, since, row))
    return [*wrong, *rows]


def wrong_segments(found: list[tuple[Any, ...]], purchases: pd.DataFrame) -> list[Any]:
    return sorted(
        {*found} ^ {(account, *told) for account, told in again.segments_of(purchases, LAST_DAY).items()}, key=str
    )


def wrong_intervals(found: list[tuple[Any, ...]], purchases: pd.DataFrame, entities: Entities) -> list[Any]:
    rows = {row[:2]: row[2:] for row in found}
    intervals = again.intervals_of(purchases)
    now = again.holders(purchases, pd.Timestamp(LAST_DAY))
    company_q3 = again.quartiles_of(intervals["days"])[2]
    overdue = set()
    wrong = []
    for account, is_lost in now["is_lost"].items():
        own = intervals[intervals["account"] == account]["days"]
        quartiles = again.quartiles_of(own)
        third = quartiles[2] if len(own) >= 3 else company_q3
        last = purchases[purchases["account"] == account]["day"].max()
        days_since = (pd.Timestamp(LAST_DAY) - last).days
        if not is_lost and third is not None and days_since > third * Fraction(3, 2):
            overdue.add(account)
        wrong += differing(rows, ("account", account), len(own), quartiles, int(not is_lost), int(account in overdue))
    for entity, managers in entities.items():
        own = intervals[intervals["manager"].isin(managers)]["days"]
        held = now.index[now["manager"].isin(managers) & ~now["is_lost"]]
        if len(own) or len(held):
            wrong += differing(rows, entity, len(own), again.quartiles_of(own), len(held), len(overdue & {*held}))
    return [*wrong, *rows]


def differing(
    rows: dict[Any, Any], key: Any, intervals: int, quartiles: Any, customers: int, overdue: int
) -> list[Any]:
    row = rows.pop(key, None)
    if row is None or (row[0], row[4], row[5]) != (intervals, customers, overdue):
        return [(key, row, intervals, customers, overdue)]
    return [] if all(map(is_rounded, row[1:4], quartiles, [HUNDREDTH] * 3)) else [(key, row, quartiles)]


# --------------------------------------------------------------------------------------------------- random companies


@pytest.fixture(scope="module")
def models(product: Product, first_run: Release) -> dict[str, str]:
    """Model → the SQL that made its table in the run."""
    assert first_run.is_current
    folder = product.home / "dbt/warehouse/compiled/kpimart/models/marts/insight"
    return {table: (folder / f"{table}.sql").read_text() for table in TABLES}


def random_wins(chance: random.Random) -> list[Win]:
    """Accounts that stay with a manager or do not, buy often or hardly ever, several times a day or after years."""
    wins = []
    for account in range(150):
        day, manager = RANDOM_FROM + timedelta(days=chance.randint(0, 900)), f"m{chance.randint(1, 4)}"
        for _ in range(chance.choice([1, 1, 2, 5, 12])):
            cents = None if chance.random() < 0.05 else chance.choice([0, 100, 100, chance.randint(1, 10**7)])
            wins.append(Win(f"d{len(wins):05}", f"a{account:03}", manager, day, cents))
            day += timedelta(days=chance.choice([0, 1, 30, 90, 364, 365, 366, chance.randint(0, 500)]))
            manager = manager if chance.random() < 0.6 else f"m{chance.randint(1, 4)}"
            if day > LAST_DAY:
                break
    return wins


def entities_of(managers: Sequence[str]) -> Entities:
    """The company, and each manager; `west` is the department of the first two."""
    return {
        ("company", "company"): frozenset(managers),
        ("department", "west"): frozenset(managers[:2]),
        **{("manager", name): frozenset([name]) for name in managers},
    }


def lost_by(purchases: pd.DataFrame, entities: Entities) -> pa.Table:
    """How many customers each entity lost in each period; entities by their place."""
    lost = [
        (at, grain, period.start_time.date(), again.base_of(purchases, managers, period)[5])
        for at, managers in enumerate(entities.values())
        for grain in GRAINS
        for period in again.periods_of(grain, RANDOM_FROM, LAST_DAY)
    ]
    columns = ("entity_id", "period_grain", "period_start", "lost_customers")
    return pa.table(dict(zip(columns, map(list, zip(*lost, strict=True)), strict=True)))


def ask(
    sql: str, purchases: pd.DataFrame, entities: Entities, lost: pa.Table, *, threads: int = 2
) -> list[tuple[Any, ...]]:
    """What a model's SQL makes of purchases; figures of KPIs are none, but for who is lost."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        connection.execute("create schema core; create schema kpi")
        told = purchases.assign(day=purchases["day"].dt.date, lapsed_on=purchases["lapsed_on"].dt.date)
        connection.register("purchases", pa.Table.from_pandas(told, preserve_index=False))
        numbered = list(enumerate(entities.items()))
        bridge = [(at, name) for at, (_, managers) in numbered for name in sorted(managers)]
        connection.register(
            "bridge", pa.table({"entity_id": [at for at, _ in bridge], "name": [name for _, name in bridge]})
        )
        connection.register(
            "entities",
            pa.table(
                {
                    "entity_id": [at for at, _ in numbered],
                    "entity_level": [level for _, ((level, _), _) in numbered],
                    "entity_key": [key for _, ((_, key), _) in numbered],
                }
            ),
        )
        connection.register("lost", lost)
        connection.execute(
            f"""
            create table core.build_moment as select date '{LAST_DAY}' as last_day;
            create table core.dim_day as
            select day::date as day, true as is_covered, date_trunc('month', day)::date as month_start,
                date_trunc('quarter', day)::date as quarter_start, date_trunc('year', day)::date as year_start
            from generate_series(date '{RANDOM_FROM}', date '{LAST_DAY}', interval 1 day) as days (day);
            create table core.dim_period as
            select period_grain, date_trunc(period_grain, day)::date as period_start, max(day) as period_end,
                true as is_complete
            from core.dim_day, (values ('month'), ('quarter'), ('year')) as grains (period_grain)
            group by all;
            create table core.dim_entity as
            select entity_id, entity_level, entity_key, null::varchar as department_id, null::varchar as manager_id,
                entity_key as entity_name
            from entities;
            create table core.bridge_entity as
            select 1 as organisation_id, name as manager_id, 'd' as department_id, entity_id from bridge;
            create table core.dim_account as select null::varchar as account_id, null::varchar as account_name;
            create table core.dim_manager as
            select distinct manager as manager_id, manager as manager_name from purchases;
            create table core.dim_department as select 'd' as department_id, 'D' as department_name;
            create table kpi.kpi_credited_purchase as
            select 'at_event' as credit_lens, deal as deal_id, account as account_id, day as won_on,
                lapsed_on, number as purchase_number, is_regular, manager as manager_id, 'd' as department_id,
                1 as organisation_id
            from purchases;
            create table kpi.kpi_counted_event as
            select 'won' as event_type, 1 as sign, deal as deal_id, (cents / 100)::decimal(18, 2) as amount,
                day as occurred_on, manager as manager_id, 'd' as department_id, 1 as organisation_id
            from purchases;
            create table kpi.kpi_measure as
            select 0 as cut_id, *, false as is_employed, 0 as new_customers, 0 as active_customers,
                0 as repeat_customers, 0 as regular_customers, 0 as potential_customers, 0.00 as won_amount,
                0.00 as new_customer_amount, 0.00 as returning_amount
            from lost;
            """
        )
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def purchases() -> pd.DataFrame:
    return again.purchases_of(random_wins(random.Random(5)), LAST_DAY)  # noqa: S311


@pytest.fixture(scope="module")
def sellers(purchases: pd.DataFrame) -> Entities:
    return entities_of(sorted(purchases["manager"].unique()))


@pytest.fixture(scope="module")
def lost(purchases: pd.DataFrame, sellers: Entities) -> pa.Table:
    return lost_by(purchases, sellers)


def test_bases_of_random_companies_are_as_recounted(
    models: dict[str, str], purchases: pd.DataFrame, sellers: Entities, lost: pa.Table
) -> None:
    sql = BASE.format(table=f"({models['customer_base']})", measured="")
    assert purchases["lapsed_on"].notna().any()
    assert purchases["lapsed_before"].notna().any()
    assert wrong_bases(ask(sql, purchases, sellers, lost), purchases, sellers, RANDOM_FROM) == []


def test_cohorts_of_random_companies_are_as_recounted(
    models: dict[str, str], purchases: pd.DataFrame, sellers: Entities, lost: pa.Table
) -> None:
    sql = COHORTS.format(table=f"({models['cohort_retention']})")
    assert wrong_cohorts(ask(sql, purchases, sellers, lost), purchases, sellers, RANDOM_FROM) == []


def test_segments_of_random_companies_are_as_recounted(
    models: dict[str, str], purchases: pd.DataFrame, sellers: Entities, lost: pa.Table
) -> None:
    found = ask(SEGMENTS.format(table=f"({models['customer_segment']})"), purchases, sellers, lost)
    assert {None, 1, 5} <= {row[-1] for row in found} | {row[-3] for row in found}
    assert wrong_segments(found, purchases) == []


def test_intervals_of_random_companies_are_as_recounted(
    models: dict[str, str], purchases: pd.DataFrame, sellers: Entities, lost: pa.Table
) -> None:
    found = ask(INTERVALS.format(table=f"({models['buying_interval']})"), purchases, sellers, lost)
    assert wrong_intervals(found, purchases, sellers) == []


@pytest.mark.parametrize("model", TABLES)
def test_neither_threads_nor_the_order_of_purchases_changes_a_digit(
    models: dict[str, str], purchases: pd.DataFrame, sellers: Entities, lost: pa.Table, model: str
) -> None:
    sql = f"select * from ({models[model]}) order by all"
    assert ask(sql, purchases, sellers, lost, threads=1) == ask(sql, purchases[::-1], sellers, lost, threads=4)


# --------------------------------------------------------------------------------------------------- the real export


@pytest.fixture(scope="module")
def exported(export: Path) -> pd.DataFrame:
    with (export / "sales_pipeline.csv").open(newline="") as file:
        return again.purchases_of(
            [
                Win(
                    f"files:{row['opportunity_id']}",
                    f"files:{row['account']}",
                    f"files:{row['sales_agent']}",
                    date.fromisoformat(row["close_date"]),
                    100 * int(row["close_value"]),
                )
                for row in csv.DictReader(file)
                if row["deal_stage"] == "Won"
            ],
            LAST_DAY,
        )


@pytest.fixture(scope="module")
def teams(export: Path) -> Entities:
    members: dict[tuple[str, str], set[str]] = {}
    with (export / "sales_teams.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            agent = f"files:{row['sales_agent']}"
            for entity in (
                ("company", "company"),
                ("department", f"files:{row['regional_office']}"),
                ("department", f"files:{row['manager']}"),
                ("manager", agent),
            ):
                members.setdefault(entity, set()).add(agent)
    return {entity: frozenset(names) for entity, names in members.items()}


def published(release: Release, select: str, table: str, **values: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(release.path), read_only=True) as connection:
        return connection.execute(select.format(table=f"reporting.{table}", **values)).fetchall()


def test_published_bases_are_those_of_the_export(first_run: Release, exported: pd.DataFrame, teams: Entities) -> None:
    found = published(first_run, BASE, "customer_base", measured=MEASURED)
    assert wrong_bases(found, exported, teams, FIRST_DAY) == []


def test_published_cohorts_are_those_of_the_export(first_run: Release, exported: pd.DataFrame, teams: Entities) -> None:
    assert wrong_cohorts(published(first_run, COHORTS, "cohort_retention"), exported, teams, FIRST_DAY) == []


def test_published_segments_are_those_of_the_export(first_run: Release, exported: pd.DataFrame) -> None:
    assert wrong_segments(published(first_run, SEGMENTS, "customer_segment"), exported) == []


def test_published_intervals_are_those_of_the_export(
    first_run: Release, exported: pd.DataFrame, teams: Entities
) -> None:
    assert wrong_intervals(published(first_run, INTERVALS, "buying_interval"), exported, teams) == []


def test_the_command_tells_of_the_base_as_published(product: Product, first_run: Release) -> None:
    told = product.command("kpi", "customers", "--period", "2017-Q4", "--lang", "ru", "--release", first_run.release_id)
    ((closing,),) = published(
        first_run,
        "select closing_customers from {table} where entity_level = 'company' and period_start = date '2017-10-01'"
        " and period_grain = 'quarter'",
        "customer_base",
    )
    assert "2017-10-01 … 2017-12-31" in told
    assert f" {closing} " in told
    assert "на конец = на начало + первая покупка + вернулись + приняты - переданы - потеряны" in told
