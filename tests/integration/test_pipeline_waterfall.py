"""Waterfalls of random companies, and those published of the real export, recomputed deal by deal; and discipline."""

import csv
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from cohorts import TINY, is_rounded
from pipelines import STEPS, Closing, Deal, Open, Seat, total, undated_of, waterfall_of
from product import Product, Release

GRAINS = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
IDLE_AFTER = timedelta(days=90)
LONG_AGO = date.min
Entities = Mapping[tuple[str, str], frozenset[Seat]]
Key = tuple[str, str, date, str, str]
Period = tuple[Key, date | None, date]
"""Scope, grain, start, level and entity of a waterfall; by when its deals are due, and its last evening."""

SELECT = f"""
select scope, period_grain, period_start, entity_level, entity_key,
    {", ".join(f"{step}_deals, cast({step}_amount * 100 as bigint)" for step in STEPS)}, closing_undated_deals
from {{table}}
"""


def wrong_waterfalls(
    rows: dict[Key, tuple[Any, ...]], deals: Sequence[Deal], entities: Entities, periods: Iterable[Period]
) -> list[Any]:
    """Rows of periods that are not as recounted, taken out of `rows`; where nothing is to be told there may be none."""
    wrong: list[Any] = []
    for key, due_by, end in periods:
        *_, start, level, name = key
        seats = entities[level, name]
        counts = waterfall_of(deals, seats, start, end, due_by)
        row = rows.pop(key, None)
        if row is None:
            wrong += [(key, counts)] if any(told for told, _ in counts) else []
        elif row != (*(side for pair in counts for side in pair), undated_of(deals, seats, end)):
            wrong.append((key, row, counts))
    return wrong


def periods_of(entities: Entities, first: date, last: date) -> Iterator[Period]:
    """Of the company, and by week and longer of all."""
    for grain, frequency in GRAINS.items():
        for period in pd.period_range(first, last, freq=frequency):
            start, end = period.start_time.date(), min(period.end_time.date(), last)
            due = pd.Period(end, freq=GRAINS["year" if grain == "year" else "quarter"]).end_time.date()
            for level, key in entities:
                if grain != "day" or level == "company":
                    yield ("open", grain, start, level, key), None, end
                    yield ("due", grain, start, level, key), due, end


# --------------------------------------------------------------------------------------------------- random companies

FIRST_DAY, LAST_DAY = date(2025, 1, 1), date(2026, 2, 20)
SEATS = (("m1", "west"), ("m2", "west"), ("m3", "east"), ("m3", "west"))
SELLERS: Entities = {
    ("company", "company"): frozenset(SEATS),
    **{("department", name): frozenset(seat for seat in SEATS if seat[1] == name) for name in ("west", "east")},
    **{("manager", name): frozenset(seat for seat in SEATS if seat[0] == name) for name in ("m1", "m2", "m3")},
}
EVENTS = ("amount", "owner", "due", "stage", "won", "won", "lost", "vanish")
Event = tuple[str, str, int, date, date, str, str, Decimal | None]
Interval = tuple[str, bool, date, date | None, str, str, Decimal | None, date | None]


def random_deal(name: str, chance: random.Random) -> tuple[Deal, list[Interval], list[Event]]:
    """A deal as it was from day to day, and the rows that tell of it, one a step, however short."""
    is_dated = chance.random() < 0.9
    day = FIRST_DAY + timedelta(days=chance.randint(0, 300)) if is_dated else FIRST_DAY
    state: Open | None = Open(chance.choice(SEATS), some_cents(chance), some_day(chance, day))
    steps: list[tuple[date, Open | None]] = [(day, state)]
    last, events, closings = state, list[Event](), list[Closing]()
    for _ in range(chance.randint(0, 9)):
        pause = chance.choice([0, 0, 1, 1, 7, chance.randint(0, 90)])
        # what has no dates is open on its first evening
        day += timedelta(days=pause if is_dated or day > FIRST_DAY else 1 + pause)
        if day > LAST_DAY:
            break
        what = chance.choice(EVENTS) if state else "reopened"
        if what == "vanish" and chance.random() < 0.5:
            continue
        if state is None or last is None:
            events.append(event_of(name, closings[-1], day, -1))
            state = last
        elif what in ("won", "lost"):
            closings.append(Closing(day, what, state.seat, state.cents))
            events.append(event_of(name, closings[-1], day, 1))
            last, state = state, None
        elif what == "vanish":
            state = None
        else:
            state = Open(
                chance.choice(SEATS) if what == "owner" else state.seat,
                some_cents(chance) if what == "amount" else state.cents,
                some_day(chance, day) if what == "due" else state.due,
            )
        steps.append((day, state))
        if what == "vanish":
            break
    intervals = [
        (name, is_dated or place > 0, started, steps[place + 1][0] if place + 1 < len(steps) else None, *told_of(each))
        for place, (started, each) in enumerate(steps)
        if each
    ]
    days = [started if place or is_dated else LONG_AGO for place, (started, _) in enumerate(steps)]
    return Deal(name, tuple(days), tuple(each for _, each in steps), standing(events)), intervals, events


def standing(events: Sequence[Event]) -> tuple[Closing, ...]:
    """What a deal was closed by on days that end with more closings of a kind and a seat than were taken back."""
    days: dict[tuple[date, str, Seat], list[Event]] = {}
    for event in events:
        _, outcome, _, _, credited, manager, department, _ = event
        days.setdefault((credited, outcome, (manager, department)), []).append(event)
    closings = []
    for (credited, outcome, seat), entries in sorted(days.items()):
        of_day = [event for event in entries if event[3] == credited]
        if sum(sign for _, _, sign, *_ in of_day) > 0:
            until = min((day for _, _, _, day, *_ in entries if day != credited), default=date.max)
            closings.append(Closing(credited, outcome, seat, total([cents_of(event) for event in of_day]), until))
    return tuple(closings)


def some_cents(chance: random.Random) -> int | None:
    return None if chance.random() < 0.2 else chance.choice([0, 100, 100, chance.randint(1, 10**6)])


def some_day(chance: random.Random, day: date) -> date | None:
    return None if chance.random() < 0.2 else day + timedelta(days=chance.randint(-20, 150))


def amount_of(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents) / 100


def told_of(state: Open) -> tuple[str, str, Decimal | None, date | None]:
    return *state.seat, amount_of(state.cents), state.due


def event_of(name: str, closing: Closing, day: date, sign: int) -> Event:
    """A closing; or what takes it back, with its credit and its amount, when that happens."""
    return name, closing.outcome, sign, day, closing.day, *closing.seat, amount_of(closing.cents)


def cents_of(event: Event) -> int | None:
    _, _, sign, *_, amount = event
    return None if amount is None else sign * int(100 * amount)


@pytest.fixture(scope="module")
def company() -> tuple[list[Deal], list[Interval], list[Event]]:
    chance = random.Random(8)  # noqa: S311
    told = [random_deal(f"d{number:03}", chance) for number in range(200)]
    return (
        [deal for deal, _, _ in told],
        [row for _, rows, _ in told for row in rows],
        [row for _, _, rows in told for row in rows],
    )


@pytest.fixture(scope="module")
def model(product: Product, first_run: Release) -> str:
    """The SQL that made the table in the run."""
    assert first_run.is_current
    return (product.home / "dbt/warehouse/compiled/kpimart/models/marts/insight/pipeline_waterfall.sql").read_text()


def columns_of(names: str, rows: Sequence[tuple[Any, ...]], **types: pa.DataType) -> pa.Table:
    """A table whose columns stand in `names`; types are given where values may all be missing."""
    sides = zip(names.split(), zip(*rows, strict=True), strict=True)
    return pa.table({name: pa.array(side, type=types.get(name)) for name, side in sides})


def ask(model: str, intervals: Sequence[Interval], events: Sequence[Event], threads: int = 2) -> list[tuple[Any, ...]]:
    """What the model's SQL makes of rows of deals."""
    money = pa.decimal128(18, 2)
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        connection.execute("create schema core; create schema kpi")
        names = "deal_id is_dated started_on ended_on manager_id department_id amount expected_close_on"
        connection.register("intervals", columns_of(names, intervals, amount=money))
        names = "deal_id event_type sign occurred_on credited_on manager_id department_id amount"
        connection.register("events", columns_of(names, events, amount=money))
        numbered = list(enumerate(SELLERS.items()))
        entities = [(number, level, key) for number, ((level, key), _) in numbered]
        connection.register("entities", columns_of("entity_id entity_level entity_key", entities))
        bridge = [(number, *seat) for number, (_, seats) in numbered for seat in sorted(seats)]
        connection.register("bridge", columns_of("entity_id manager_id department_id", bridge))
        connection.execute(
            f"""
            create table core.dim_period_day as
            select day::date as day, period_grain, date_trunc(period_grain, day)::date as period_start
            from generate_series(date '{FIRST_DAY}', date '{LAST_DAY}', interval 1 day) as days (day),
                (values ('day'), ('week'), ('month'), ('quarter'), ('year')) as grains (period_grain);
            create table core.dim_period as
            select period_grain, period_start,
                (period_start + ('1 ' || period_grain)::interval - interval 1 day)::date as period_end,
                max(day) as last_day, true as is_complete
            from core.dim_period_day group by all;
            create table core.dim_entity as
            select *, null::varchar as department_id, null::varchar as manager_id, entity_key as entity_name
            from entities;
            create table core.bridge_entity as select *, 1 as organisation_id from bridge;
            create table kpi.kpi_open_interval as
            select *, 1 as organisation_id, case when is_dated then started_on::timestamptz end as started_at
            from intervals;
            create table kpi.kpi_counted_event as select *, 1 as organisation_id from events;
            """
        )
        return connection.execute(SELECT.format(table=f"({model})")).fetchall()


def test_waterfalls_of_random_companies_are_as_recounted(
    model: str, company: tuple[list[Deal], list[Interval], list[Event]]
) -> None:
    deals, intervals, events = company
    found = ask(model, intervals, events)
    of_company = [row for row in found if row[3] == "company"]
    moved = {step for place, step in enumerate(STEPS) if any(row[5 + 2 * place] for row in of_company)}
    assert moved == {*STEPS} - {"transferred_in", "transferred_out"}
    assert any(row[5 + 2 * STEPS.index("transferred_in")] for row in found)
    rows = {row[:5]: row[5:] for row in found}
    assert wrong_waterfalls(rows, deals, SELLERS, periods_of(SELLERS, FIRST_DAY, LAST_DAY)) == []
    assert rows == {}


def test_neither_threads_nor_the_order_of_deals_changes_a_waterfall(
    model: str, company: tuple[list[Deal], list[Interval], list[Event]]
) -> None:
    _, intervals, events = company
    one_way = ask(model, intervals, events, threads=1)
    other_way = ask(model, intervals[::-1], events[::-1], threads=4)
    assert sorted(one_way, key=str) == sorted(other_way, key=str)


# --------------------------------------------------------------------------------------------------- the real export

EXPORT_FROM, EXPORT_TO = date(2016, 10, 20), date(2017, 12, 31)


@pytest.fixture(scope="module")
def teams(export: Path) -> Entities:
    members: dict[tuple[str, str], set[Seat]] = {}
    with (export / "sales_teams.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            agent, head = f"files:{row['sales_agent']}", f"files:{row['manager']}"
            for entity in (
                ("company", "company"),
                ("department", f"files:{row['regional_office']}"),
                ("department", head),
                ("manager", agent),
            ):
                members.setdefault(entity, set()).add((agent, head))
    return {entity: frozenset(seats) for entity, seats in members.items()}


@pytest.fixture(scope="module")
def exported(export: Path, teams: Entities) -> list[Deal]:
    """Deals without history: open from their day of engagement to that of closing; undated ones, ever."""
    seats = {agent: (agent, head) for agent, head in teams["company", "company"]}
    deals = []
    with (export / "sales_pipeline.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            seat = seats[f"files:{row['sales_agent']}"]
            cents = 100 * int(row["close_value"]) if row["close_value"] else None
            days = [date.fromisoformat(row["engage_date"]) if row["engage_date"] else LONG_AGO]
            states: list[Open | None] = [Open(seat, cents, None)]
            closings = []
            if row["close_date"]:
                days.append(date.fromisoformat(row["close_date"]))
                states.append(None)
                closings.append(Closing(days[-1], row["deal_stage"].lower(), seat, cents))
            deals.append(Deal(row["opportunity_id"], tuple(days), tuple(states), tuple(closings)))
    return deals


def published(release: Release, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(release.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_published_waterfalls_are_those_of_the_export(
    first_run: Release, exported: list[Deal], teams: Entities
) -> None:
    """Of the company by day of a quarter and by month, of all others by quarter."""
    rows = {row[:5]: row[5:] for row in published(first_run, SELECT.format(table="reporting.pipeline_waterfall"))}
    periods = [
        ((scope, grain, start, level, name), due_by, end)
        for (scope, grain, start, level, name), due_by, end in periods_of(teams, EXPORT_FROM, EXPORT_TO)
        if grain == "quarter"
        or (grain, level) == ("month", "company")
        or (grain == "day" and date(2017, 4, 1) <= start <= date(2017, 6, 30))
    ]
    assert len(periods) == 2 * (91 + 15 + 5 * len(teams))
    assert wrong_waterfalls(rows, exported, teams, periods) == []


def test_the_second_quarter_of_the_export_is_that_of_its_kpis(first_run: Release) -> None:
    sql = """
    select won_deals + won_within_deals, lost_deals + lost_within_deals, won_amount + won_within_amount
    from reporting.pipeline_waterfall
    where scope = '{}' and entity_level = 'company' and period_grain = 'quarter' and period_start = date '2017-04-01'
    """
    assert published(first_run, sql.format("open")) == [(1254, 778, Decimal("3086111.00"))]
    assert published(first_run, sql.format("due")) == [(1254, 778, Decimal("3086111.00"))]


def test_win_rates_treated_strictly_are_those_of_the_export(
    first_run: Release, exported: list[Deal], teams: Entities
) -> None:
    """Nothing is told of an open deal but when it was engaged; 90 days later it is idle."""
    rows = published(
        first_run,
        """
        select entity_level, entity_key, strict_deals, strict_kpi_value from reporting.crm_discipline
        where rule = 'loser_never_closed' and period_grain = 'year' and period_start = date '2017-01-01'
        """,
    )
    found = {row[:2]: row[2:] for row in rows}
    assert found["company", "company"] == (1479, Decimal("0.51746032"))
    wrong = []
    for entity, seats in teams.items():
        closed = [each for deal in exported for each in deal.closings if each.day.year == 2017 and each.seat in seats]
        standing = [(deal.days[-1], deal.on(EXPORT_TO)) for deal in exported]
        since = [day for day, state in standing if state and state.seat in seats and day != LONG_AGO]
        idle = sum(1 for day in since if (day + IDLE_AFTER).year == 2017)
        decided = len(closed) + idle
        rate = Fraction(sum(1 for each in closed if each.outcome == "won"), decided) if decided else None
        strict_deals, strict_rate = found.get(entity, (0, None))
        if strict_deals != idle or not is_rounded(strict_rate, rate, TINY):
            wrong.append((entity, strict_deals, idle, strict_rate, rate))
    assert wrong == []
