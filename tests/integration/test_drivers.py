"""Drivers: those published of the real export, by the definition; and changes put into generated companies."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import combinations, pairwise, permutations
from math import factorial, prod, sqrt
from pathlib import Path
from statistics import fmean, stdev

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from product import Product, Release

from kpimart.errors import SettingsError
from kpimart.insight.drivers import read_change
from kpimart.insight.statistics.drivers import decompose

# ---------------------------------------------------------------------------------------------- the definition


@dataclass(frozen=True)
class Decided:
    """What was decided of a product in a period."""

    closed: int = 0
    won: int = 0
    amount: int = 0


@dataclass(frozen=True)
class Inputs:
    """An entity in a period."""

    working_days: int
    head_days: int
    created: int
    products: Mapping[str, Decided]

    @property
    def closed(self) -> int:
        return sum(each.closed for each in self.products.values())

    @property
    def amount(self) -> int:
        return sum(each.amount for each in self.products.values())


def over(above: float, below: float) -> float | None:
    return above / below if below else None


def filled(before: float | None, after: float | None) -> tuple[float, float]:
    """What is undefined on one side is as on the other."""
    known = next((each for each in (before, after) if each is not None), 1.0)
    return (known if before is None else before, known if after is None else after)


def game_of(before: Inputs, after: Inputs) -> tuple[tuple[str, ...], Callable[[frozenset[str]], float]]:
    """The players, and what won_amount would be if some of them were as they are after, the others as they were."""
    both = (before, after)
    is_dry = any(each.closed and not each.created for each in both)
    per_day = "closed_deals" if is_dry else "created_deals"
    common = {
        "calendar": filled(*(float(each.working_days) for each in both)),
        "headcount": filled(*(over(each.head_days, each.working_days) for each in both)),
        per_day: filled(*(over(each.closed if is_dry else each.created, each.head_days) for each in both)),
    }
    if not is_dry:
        common["cycle_time"] = filled(*(over(each.closed, each.created) for each in both))
    names = sorted({*before.products, *after.products})
    of_products = [[each.products.get(name, Decided()) for each in both] for name in names]
    shares = [
        filled(*(over(x.closed, each.closed) for x, each in zip(pair, both, strict=True))) for pair in of_products
    ]
    rates = [filled(*(over(x.won, x.closed) for x in pair)) for pair in of_products]
    averages = [filled(*(over(x.amount, x.won) for x in pair)) for pair in of_products]

    @cache
    def of_terms(mix: bool, win_rate: bool, average: bool) -> float:
        terms = zip(shares, rates, averages, strict=True)
        return sum(share[mix] * rate[win_rate] * amount[average] for share, rate, amount in terms)

    def value(changed: frozenset[str]) -> float:
        terms = of_terms("mix" in changed, "win_rate" in changed, "avg_won_amount" in changed)
        return terms * prod(factor[name in changed] for name, factor in common.items())

    return (*common, "mix", "win_rate", "avg_won_amount"), value


def by_sets(players: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """The Shapley values, by all sets of players that may have changed before each."""
    worth = {
        frozenset(each): value(frozenset(each))
        for size in range(len(players) + 1)
        for each in combinations(players, size)
    }
    weights = [
        factorial(size) * factorial(len(players) - size - 1) / factorial(len(players)) for size in range(len(players))
    ]
    return {
        player: sum(
            weights[len(changed)] * (worth[changed | {player}] - worth[changed])
            for changed in worth
            if player not in changed
        )
        for player in players
    }


def by_orders(players: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """The Shapley values, by all orders in which the players may change."""
    worth = cache(value)
    sums = dict.fromkeys(players, 0.0)
    for order in permutations(players):
        changed: frozenset[str] = frozenset()
        for player in order:
            sums[player] += worth(changed | {player}) - worth(changed)
            changed |= {player}
    return {player: total / factorial(len(players)) for player, total in sums.items()}


# ---------------------------------------------------------------------------------------------- the real export

FIRST_DAY, LAST_DAY = date(2016, 10, 20), date(2017, 12, 31)
GRAINS = ("month", "quarter", "year")
Node = tuple[str, str]
"""Level and key of an entity."""
Key = tuple[str, date, str, str]


def start_of(grain: str, day: date) -> date:
    match grain:
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        case _:
            return date(day.year, 1, 1)


class Counts:
    """Counts by grain and period, and by whatever they are of."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[object, ...]] = Counter()

    def add(self, day: date, *what: object, amount: int = 1) -> None:
        for grain in GRAINS:
            self.counts[grain, start_of(grain, day), *what] += amount

    def decide(self, deal: Mapping[str, str], nodes: Iterable[Node]) -> None:
        """Count a deal for every node that its agent is below."""
        for node in nodes:
            if deal["engage_date"]:
                self.add(date.fromisoformat(deal["engage_date"]), node, "created")
            if deal["close_date"]:
                closed_on, is_won = date.fromisoformat(deal["close_date"]), deal["deal_stage"] == "Won"
                self.add(closed_on, node, deal["product"], "closed")
                self.add(closed_on, node, deal["product"], "won", amount=int(is_won))
                self.add(closed_on, node, deal["product"], "amount", amount=int(deal["close_value"]) * is_won)

    def inputs(self, period: tuple[str, date], node: Node, heads: int, products: Iterable[str]) -> Inputs:
        days = self.counts[*period, "days"]
        decided = {
            product: Decided(*(self.counts[*period, node, product, what] for what in ("closed", "won", "amount")))
            for product in products
        }
        return Inputs(days, heads * days, self.counts[*period, node, "created"], decided)


@pytest.fixture(scope="module")
def recounted(export: Path) -> dict[Key, Inputs]:
    """The inputs of every entity and period, counted from the export's files."""
    with (export / "sales_teams.csv").open(newline="") as file:
        nodes: dict[str, list[Node]] = {
            row["sales_agent"]: [
                ("company", "company"),
                ("department", f"files:{row['manager']}"),
                ("department", f"files:{row['regional_office']}"),
                ("manager", f"files:{row['sales_agent']}"),
            ]
            for row in csv.DictReader(file)
        }
    with (export / "sales_pipeline.csv").open(newline="") as file:
        deals = list(csv.DictReader(file))
    counts = Counts()
    days = [FIRST_DAY + timedelta(offset) for offset in range((LAST_DAY - FIRST_DAY).days + 1)]
    for day in days:
        counts.add(day, "days", amount=int(day.weekday() < 5))
    for deal in deals:
        counts.decide(deal, nodes[deal["sales_agent"]])
    heads = Counter(node for of_agent in nodes.values() for node in of_agent)
    products = {deal["product"] for deal in deals}
    return {
        (*period, *node): counts.inputs(period, node, count, products)
        for period in {(grain, start_of(grain, day)) for grain in GRAINS for day in days}
        for node, count in heads.items()
    }


def pairs_of(recounted: Mapping[Key, Inputs]) -> Iterator[tuple[Key, Inputs, Inputs]]:
    """Every entity and period with what it was in the period before, if all of that is known."""
    for grain in GRAINS:
        starts = sorted({start for of_grain, start, *_ in recounted if of_grain == grain})
        for before, after in pairwise(start for start in starts if start >= FIRST_DAY):
            for key, inputs in recounted.items():
                if key[:2] == (grain, after):
                    yield key, recounted[(grain, before, *key[2:])], inputs


def published(release: Release) -> dict[Key, dict[str, Decimal]]:
    rows = release.query(
        """
        select period_grain, period_start, entity_level, entity_key, driver, contribution from reporting.kpi_driver
        where kpi_code = 'won_amount' and comparison = 'previous_period'
        """
    )
    found: dict[Key, dict[str, Decimal]] = {}
    for grain, start, level, entity, driver, contribution in rows.itertuples(index=False):
        found.setdefault((grain, start.date(), level, entity), {})[driver] = contribution
    return found


def test_the_second_and_the_third_quarter_reconcile(first_run: Release) -> None:
    rows = first_run.query(
        """
        select sum(contribution) as contributions, max(value_before) as value_before,
            max(value_after) as value_after
        from reporting.kpi_driver
        where kpi_code = 'won_amount' and comparison = 'previous_period' and entity_level = 'company'
            and period_grain = 'quarter' and period_start = date '2017-07-01'
        """
    )
    assert rows.iloc[0].to_dict() == {"contributions": -103_856, "value_before": 3_086_111, "value_after": 2_982_255}


def test_drivers_sum_to_the_difference_at_every_node_and_period(
    first_run: Release, recounted: dict[Key, Inputs]
) -> None:
    found = published(first_run)
    wrong = [
        key
        for key, before, after in pairs_of(recounted)
        if sum(found.get(key, {}).values(), Decimal()) != after.amount - before.amount
    ]
    assert wrong == []


def test_drivers_are_shapley_values_at_every_node_and_period(first_run: Release, recounted: dict[Key, Inputs]) -> None:
    found = published(first_run)
    # Each is rounded to a cent, and the largest takes what that leaves.
    allowed = 0.06
    wrong = [
        (key, driver, contribution, found.get(key, {}).get(driver, 0))
        for key, before, after in pairs_of(recounted)
        for driver, contribution in by_sets(*game_of(before, after)).items()
        if abs(float(found.get(key, {}).get(driver, 0)) - contribution) > allowed
    ]
    assert wrong == []


def test_they_are_the_mean_over_all_orders(first_run: Release, recounted: dict[Key, Inputs]) -> None:
    found = published(first_run)
    for key in (
        ("quarter", date(2017, 7, 1), "company", "company"),
        ("quarter", date(2017, 10, 1), "department", "files:East"),
    ):
        starts = sorted(start for grain, start, *node in recounted if grain == key[0] and node == [*key[2:]])
        before = recounted[(key[0], starts[starts.index(key[1]) - 1], key[2], key[3])]
        expected = by_orders(*game_of(before, recounted[key]))
        shown = found[key]
        assert {driver: float(shown.get(driver, 0)) for driver in expected} == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    ("code", "whose"),
    [
        ("won_amount", {}),
        ("won_amount", {"department": "East"}),
        ("won_amount", {"manager": "Darcel Schlecht"}),
        ("win_rate", {}),
        ("closed_deals", {"department": "East"}),
    ],
)
def test_the_command_finds_what_is_published(first_run: Release, code: str, whose: dict[str, str]) -> None:
    change = read_change(first_run.path, code, period="2017-Q3", **whose)  # type: ignore[arg-type]
    rows = first_run.query(
        f"""
        select driver, part, factor_before, factor_after, contribution from reporting.kpi_driver
        where kpi_code = '{code}' and comparison = 'previous_period' and period_grain = 'quarter'
            and period_start = date '2017-07-01' and entity_key = '{change.entity.key}'
        order by abs(contribution) desc, driver, part
        """
    )
    assert [(each.driver, each.part, each.contribution) for each in change.drivers] == list(
        rows[["driver", "part", "contribution"]].itertuples(index=False, name=None)
    )
    assert sum(each.contribution for each in change.drivers) == change.difference != 0


@pytest.mark.parametrize("compared_with", ["previous", "2016-Q4"])
def test_nothing_is_compared_with_a_quarter_of_which_only_a_part_is_known(
    first_run: Release, compared_with: str
) -> None:
    with pytest.raises(SettingsError, match=r"known|knows"):
        read_change(first_run.path, "won_amount", period="2017-Q1", compared_with=compared_with)
    published_since = first_run.query(
        "select min(period_start) as first from reporting.kpi_driver where period_grain = 'quarter'"
    )
    assert published_since["first"].iloc[0].date() == date(2017, 4, 1)


def test_what_goes_there_comes_back(first_run: Release) -> None:
    there = read_change(first_run.path, "won_amount", period="2017-Q4", compared_with="2017-Q1")
    back = read_change(first_run.path, "won_amount", period="2017-Q1", compared_with="2017-Q4")
    assert {each.driver: each.contribution for each in there.drivers} == {
        each.driver: -each.contribution for each in back.drivers
    }


@pytest.mark.parametrize("threads", [1, 4])
def test_neither_threads_nor_the_order_of_rows_changes_a_cent(first_run: Release, threads: int) -> None:
    expected = first_run.query("select * from reporting.kpi_driver where comparison = 'previous_period' order by all")
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute(f"attach '{first_run.path}' as release (read_only)")
        for table in ("kpi_value", "kpi_catalogue", "dim_period", "target_attainment", "driver_input"):
            connection.execute(f"create table {table} as from release.{table} order by hash(rowid + {threads})")
        connection.execute(
            """
            create table compared as
            select
                'previous_period' as comparison, period_grain, period_start, period_end, is_complete,
                lag(case when is_covered then period_start end) over (
                    partition by period_grain order by period_start
                ) as from_start
            from dim_period
            where period_grain in ('month', 'quarter', 'year')
            """
        )
        decompose(connection)
        found = connection.sql("select * from driver_row order by all").to_arrow_table().to_pandas(date_as_object=False)
    assert found.astype(str).equals(expected.astype(str))


# ---------------------------------------------------------------------------------------------- changes put in

JANUARY, FEBRUARY = date(2017, 1, 1), date(2017, 2, 1)
STAGES = ("Talk", "Demo", "Offer")
CREATED = 400
"""Deals that each manager creates and decides in a month."""


@dataclass(frozen=True)
class Selling:
    """How a manager sells in a month: conversions of the stages, and the average amount in currency units."""

    conversions: tuple[float, float, float] = (0.8, 0.6, 0.5)
    average: float = 1000.0
    department: str = "east"

    @property
    def expected_amount(self) -> float:
        return CREATED * prod(self.conversions) * self.average


Month = Mapping[str, Selling]
"""Manager → how they sell."""


@pytest.fixture(scope="module")
def model(product: Product, first_run: Release) -> str:
    """The SQL that made driver_input in the run."""
    assert first_run.is_current
    compiled = "dbt/warehouse/compiled/kpimart/models/marts/insight/driver_input.sql"
    return (product.home / compiled).read_text()


def changes_of(model: str, january: Month, february: Month, seed: int) -> dict[tuple[str, str], dict[str, float]]:
    """Level and name of each entity → its drivers from January to February, of deals drawn at random."""
    chance = np.random.default_rng(seed)
    events: list[tuple[object, ...]] = []
    stays: list[tuple[object, ...]] = []
    for month, selling in ((JANUARY, january), (FEBRUARY, february)):
        for manager, how in selling.items():
            for number in range(CREATED):
                deal = f"{manager} {month} {number}"
                day = month + timedelta(number % 20)
                passed = 0
                while passed < 3 and chance.random() < how.conversions[passed]:
                    passed += 1
                stays += [(deal, stage, day) for stage in STAGES[: passed + 1]]
                amount = round(chance.gamma(4, how.average / 4), 2)
                outcome = "won" if passed == 3 else "lost"
                events += [(deal, kind, manager, how.department, day, amount) for kind in ("created", outcome)]
    assignments = [
        (manager, how.department, start, end)
        for selling, start, end in ((january, date(1, 1, 1), FEBRUARY), (february, FEBRUARY, date(9999, 12, 31)))
        for manager, how in selling.items()
    ]
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        connection.execute(_COMPANY)
        insert(connection, "core.manager_assignment", assignments)
        insert(connection, "core.fct_deal_stage_interval", stays)
        insert(connection, "events", events)
        connection.execute(_SOLD)
        connection.execute(f"create table driver_input as {model}")
        connection.execute(_FIGURES)
        decompose(connection)
        rows = connection.execute(
            "select entity_level, entity_key, driver, contribution, difference from driver_row"
        ).fetchall()
    found: dict[tuple[str, str], dict[str, float]] = {}
    for level, entity, driver, contribution, _ in rows:
        found.setdefault((level, entity), {})[driver] = float(contribution)
    for level, entity, _, _, difference in rows:
        assert round(sum(found[level, entity].values()), 2) == float(difference)
    return found


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    columns = pa.table(
        [pa.array(column) for column in zip(*rows, strict=True)], [f"c{at}" for at in range(len(rows[0]))]
    )
    connection.register("columns", columns)
    connection.execute(f"insert into {table} from columns")


_COMPANY = """
create schema core; create schema kpi;

create table core.dim_day as
select day::date as day, true as is_covered, extract(day from day) <= 20 as is_working_day,
    date_trunc('month', day)::date as month_start, date '2017-01-01' as quarter_start, date '2017-01-01' as year_start
from generate_series(date '2017-01-01', date '2017-02-28', interval 1 day) as days (day);

create table core.dim_organisation as
select 1 as organisation_id, date '0001-01-01' as valid_from, date '9999-12-31' as valid_to;
create table core.manager_assignment (manager_id text, department_id text, valid_from date, valid_to date);
create table core.fct_deal_stage_interval (deal_id text, stage_id text, entered_at timestamptz);
create table core.dim_pipeline_stage as
select stage_id, stage_id as stage_name, 'p' as pipeline_id, 'open' as outcome, position
from (values ('Talk', 1), ('Demo', 2), ('Offer', 3)) as stages (stage_id, position);
create table events (deal_id text, event_type text, manager_id text, department_id text, occurred_on date,
    amount double);
create table kpi.kpi_measure (cut_id integer, period_grain text, period_start date, entity_id integer, won_deals bigint,
    lost_deals bigint);
"""
_SOLD = """
create table core.dim_manager as
select distinct manager_id, manager_id as manager_name, false as is_inferred, null::date as hired_on,
    null::date as left_on
from core.manager_assignment;

create table core.dim_entity as
select (row_number() over (order by entity_level, entity_key))::integer as entity_id, * from (
    select 'company' as entity_level, 'company' as entity_key, null as department_id, null as manager_id,
        'Company' as entity_name
    union
    select 'department', department_id, department_id, null, department_id from core.manager_assignment
    union
    select 'manager', manager_id, null, manager_id, manager_id from core.manager_assignment
);

create table core.bridge_entity as
select distinct 1 as organisation_id, seats.manager_id, seats.department_id, entities.entity_id
from core.manager_assignment as seats
inner join core.dim_entity as entities
    on entities.entity_level = 'company' or entities.manager_id = seats.manager_id
    or entities.department_id = seats.department_id;

create table kpi.kpi_counted_event as
select deal_id || event_type as deal_event_id, * replace (amount::decimal(18, 2) as amount), 1 as sign,
    1 as organisation_id, 'p' as pipeline_id, 'Disk' as product, occurred_on::timestamptz as credited_at,
    amount::decimal(18, 2) as constant_amount
from events;
"""
_FIGURES = """
create table kpi_catalogue as select 'won_amount' as kpi_code, 'won_amount' as formula;

create table kpi_value as
select 'won_amount' as kpi_code, period_grain, period_start, entity_level, entity_key, department_id, manager_id,
    entity_name, 'EUR' as unit, null::decimal(38, 6) as numerator, null::decimal(38, 6) as denominator,
    sum(value)::decimal(28, 8) as value
from driver_input
where input = 'won_amount' and entity_level in ('company', 'department', 'manager')
group by all;

create table target_attainment (kpi_code text, period_grain text, period_start date, entity_level text,
    entity_key text, department_id text, manager_id text, entity_name text, unit text, value decimal(28, 8),
    target_value decimal(28, 8));

create table compared as
select 'previous_period' as comparison, 'month' as period_grain, date '2017-02-01' as period_start,
    date '2017-02-28' as period_end, true as is_complete, date '2017-01-01' as from_start;
"""

MANAGERS = [f"m{number:02}" for number in range(24)]


def is_within(found: Iterable[float], expected: float) -> bool:
    """The mean of independent findings is within three of its standard errors of what was put in."""
    values = list(found)
    return abs(fmean(values) - expected) <= 3 * stdev(values) / sqrt(len(values))


def test_a_stage_that_converts_half_as_many_is_found(model: str) -> None:
    before, after = Selling(), Selling(conversions=(0.8, 0.3, 0.5))
    found = changes_of(model, dict.fromkeys(MANAGERS, before), dict.fromkeys(MANAGERS, after), seed=1)
    managers = [drivers for (level, _), drivers in found.items() if level == "manager"]

    assert {max(drivers, key=lambda name: abs(drivers[name])) for drivers in managers} == {"stage_conversion:Demo"}
    loss = after.expected_amount - before.expected_amount
    assert is_within((drivers["stage_conversion:Demo"] for drivers in managers), loss)
    for driver in ("stage_conversion:Talk", "stage_conversion:Offer", "avg_won_amount"):
        assert is_within((drivers.get(driver, 0) for drivers in managers), 0)
    # As many were created and decided, by as many, in as many days.
    assert {"created_deals", "cycle_time", "headcount", "calendar", "mix"} & {
        name for each in managers for name in each
    } == set()
    # Of the company, which is the sum of them, the interval is that of one manager times the root of how many they are.
    spread = stdev(drivers["stage_conversion:Demo"] for drivers in managers) * sqrt(len(managers))
    assert abs(found["company", "company"]["stage_conversion:Demo"] - loss * len(managers)) <= 3 * spread


def test_one_managers_larger_deals_are_found(model: str) -> None:
    usual, larger = Selling(), Selling(average=1500.0)
    january = dict.fromkeys(MANAGERS, usual)
    found = changes_of(model, january, {**january, "m07": larger}, seed=2)

    of_others = [
        drivers["avg_won_amount"]
        for (level, entity), drivers in found.items()
        if level == "manager" and entity != "m07"
    ]
    gain = larger.expected_amount - usual.expected_amount
    assert abs(found["manager", "m07"]["avg_won_amount"] - gain) <= 3 * stdev(of_others) * 1.5
    assert is_within(of_others, 0)
    assert max(map(abs, of_others)) < found["manager", "m07"]["avg_won_amount"]
    spread = stdev(of_others) * sqrt(len(MANAGERS))
    assert abs(found["department", "east"]["avg_won_amount"] - gain) <= 3 * spread


def test_what_moved_with_a_manager_is_a_transfer(model: str) -> None:
    january = {"ann": Selling(), "bob": Selling(), "cyd": Selling(department="west")}
    found = changes_of(model, january, {**january, "bob": Selling(department="west")}, seed=3)

    assert found["department", "east"]["transfer"] < 0 < found["department", "west"]["transfer"]
    # In January east had what bob sold then, in February west had what he sold.
    moved = found["department", "east"]["transfer"] + found["department", "west"]["transfer"]
    assert round(moved, 2) == round(sum(found["manager", "bob"].values()), 2)
    # What is left are those who stayed: ann, and cyd.
    for department, manager in (("east", "ann"), ("west", "cyd")):
        own = {driver: part for driver, part in found["department", department].items() if driver != "transfer"}
        assert own == found["manager", manager]
    assert "transfer" not in found["company", "company"]
