"""Weak spots: an injected change is found, and what is published agrees with scipy, statsmodels and a recount."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from product import Product, Release
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.weightstats import DescrStatsW

FEWEST = 10
TINY = 1e-9
YEAR = date(2025, 1, 1)
STAGES = ("talk", "demo", "offer")
GOES_ON = {"talk": 0.8, "demo": 0.6, "offer": 0.5}


@dataclass(frozen=True)
class Deal:
    """A closed deal: how many stages it went through, and for how many days it stayed in each."""

    manager: str
    product: str
    source: str
    outcome: str
    stays: tuple[int, ...]
    amount: int
    created_on: date


def sold(chance: random.Random, manager: str, goes_on: dict[str, float], slow: float = 1.0) -> Deal:
    """A deal that goes on from each stage by chance; pumps are easier to sell than valves."""
    product = chance.choice(["pump", "valve"])
    stays, outcome = [], "won"
    for stage in STAGES:
        stays.append(round(chance.lognormvariate(1.5, 0.8) * slow))
        if chance.random() > goes_on[stage] * (1.1 if product == "pump" else 0.9):
            outcome = "lost"
            break
    return Deal(
        manager, product, chance.choice(["fair", "web"]), outcome, tuple(stays), chance.randint(500, 1500),
        YEAR + timedelta(days=chance.randint(0, 200)),
    )  # fmt: skip


def a_company(seed: int, *, managers: int = 20, deals: int = 150, **weak: dict[str, float]) -> list[Deal]:
    """Managers who all sell alike, but for those who are named: they go on from stages by shares of their own."""
    chance = random.Random(seed)  # noqa: S311
    names = [f"m{at:02}" for at in range(managers)]
    return [sold(chance, name, {**GOES_ON, **weak.get(name, {})}) for name in names for _ in range(deals)]


@pytest.fixture(scope="module")
def found_in(product: Product, first_run: Release) -> Callable[..., dict[tuple[str, str, str, str], dict[str, Any]]]:
    """`found_in(deals)`: what the SQL makes of them: `year` or a quarter's start, manager, kind, stage → the row."""
    assert first_run.is_current
    path = next(product.home.glob("dbt/warehouse/compiled/kpimart/models/marts/insight/weak_spot.sql"))
    sql = path.read_text()

    def found(deals: Sequence[Deal], threads: int = 2) -> dict[tuple[str, str, str, str], dict[str, Any]]:
        with duckdb.connect(config={"threads": threads}) as connection:
            connection.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
            fill(connection, deals)
            rows = connection.execute(f"select * from ({sql})").to_arrow_table().to_pylist()
        return {
            (
                "year" if row["period_grain"] == "year" else f"{row['period_start']}",
                row["entity_key"],
                row["kind"],
                row["stage_name"] or row["loss_reason"],
            ): row
            for row in rows
        }

    return found


def fill(connection: duckdb.DuckDBPyConnection, deals: Sequence[Deal]) -> None:
    managers = sorted({deal.manager for deal in deals})
    numbered = list(enumerate(deals))
    stays = [
        (f"{at}", STAGES[step], deal.created_on + timedelta(days=sum(deal.stays[:step])), days)
        for at, deal in numbered
        for step, days in enumerate(deal.stays)
    ]
    tables = {
        "made": [
            (
                f"{at}",
                deal.manager,
                managers.index(deal.manager),
                deal.product,
                deal.source,
                deal.outcome,
                deal.amount,
                deal.created_on,
            )
            for at, deal in numbered
        ],
        "stayed": stays,
        "people": [(at, name) for at, name in enumerate(managers)],
    }
    for name, rows in tables.items():
        columns = pa.table(
            [pa.array(each) for each in zip(*rows, strict=True)], [f"c{at}" for at in range(len(rows[0]))]
        )
        connection.register(f"given_{name}", columns)
    connection.execute(
        """
        create schema core; create schema kpi;
        create table core.build_moment as select timestamptz '2027-01-01' as as_of, date '2026-12-31' as last_day;
        create table core.dim_day as
        select day::date as day, true as is_covered, date_trunc('month', day)::date as month_start,
            date_trunc('quarter', day)::date as quarter_start, date_trunc('year', day)::date as year_start
        from generate_series(date '2025-01-01', date '2025-12-31', interval 1 day) as days (day);
        create table core.dim_period as
        select period_grain, date_trunc(period_grain, day)::date as period_start, max(day) as period_end,
            true as is_complete
        from core.dim_day, (values ('quarter'), ('year')) as grains (period_grain) group by all;
        create table core.dim_entity as
        select 0 as entity_id, 'company' as entity_level, 'company' as entity_key, null::varchar as department_id,
            null::varchar as manager_id, 'Company' as entity_name
        union all select c0 + 1, 'manager', c1, null, c1, c1 from given_people;
        create table core.bridge_entity as
        select 1 as organisation_id, c1 as manager_id, 'd' as department_id, unnest([0, c0 + 1]) as entity_id
        from given_people;
        create table core.dim_department_closure as
        select 'd' as department_id, 'd' as ancestor_department_id, 0 as depth where false;
        create table core.dim_pipeline_stage as
        select 'p' as pipeline_id, 'P' as pipeline_name, stage as stage_id, stage as stage_name, 'open' as outcome,
            position
        from (values ('talk', 1), ('demo', 2), ('offer', 3)) as stages (stage, position);
        create table kpi.kpi_cohort_deal as
        select c0 as deal_id, c2 as seat_id, 1 as organisation_id, c1 as manager_id, 'd' as department_id,
            'p' as pipeline_id, c7 as created_on, date_trunc('month', c7)::date as month_start, c5 as outcome
        from given_made;
        create table core.fct_deal as
        select c0 as deal_id, c3 as product, c4 as lead_source, c6::decimal(18, 2) as amount,
            case when c5 = 'lost' then 'price' end as loss_reason
        from given_made;
        create table core.fct_deal_stage_interval as
        select c0 as deal_id, c1 as stage_id, c2::timestamptz as entered_at, (c2 + c3::integer)::timestamptz as left_at
        from given_stayed;
        """
    )


# ---------------------------------------------------------------------------------------------------- what is injected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_conversion_that_is_halved_is_found_and_is_the_largest_leak(seed: int, found_in: Any) -> None:
    """The demo of m07 halved: it is weak, its gap lies where it was put, and nothing else of m07 is to blame."""
    found = found_in(a_company(seed, m07={"demo": GOES_ON["demo"] / 2}))
    spot = found["year", "m07", "stage_conversion", "demo"]
    missing = GOES_ON["demo"] / 2

    assert spot["is_weak"]
    assert spot["leak_rank"] == 1
    assert spot["peer_median"] - spot["value_high"] < missing < spot["peer_median"] - spot["value_low"]
    assert spot["leak_low"] < spot["leak_amount"] < spot["leak_high"]
    assert not found["year", "m07", "stage_conversion", "talk"]["is_weak"]


def test_of_those_who_are_alike_few_are_told_to_be_weak(found_in: Any) -> None:
    """The interval has about 2 % on either side: of 300 conversions 6 by chance, and more than 15 hardly ever."""
    weak = [
        spot["is_weak"]
        for seed in range(5)
        for (grain, _, kind, _), spot in found_in(a_company(seed)).items()
        if grain == "year" and kind == "stage_conversion"
    ]
    assert len(weak) == 300
    assert sum(weak) <= 15


def test_a_mix_that_is_hard_to_sell_is_no_weakness(found_in: Any) -> None:
    """m00 has the hard product only, and sells it as all others do."""
    deals = a_company(5, deals=400)
    hard = [deal for deal in deals if deal.manager != "m00" or deal.product == "valve"]
    spot = found_in(hard)["year", "m00", "stage_conversion", "talk"]
    others = [deal for deal in hard if deal.manager != "m00"]
    plain = sum(len(deal.stays) > 1 or deal.outcome == "won" for deal in others) / len(others)

    assert spot["peer_value"] < plain - 0.05
    assert spot["value_low"] < spot["peer_value"] < spot["value_high"]


@pytest.mark.parametrize("threads", [1, 4])
def test_neither_threads_nor_the_order_of_deals_changes_a_digit(found_in: Any, threads: int) -> None:
    deals = a_company(4, managers=12, deals=60)
    shuffled = random.Random(9).sample(deals, len(deals))  # noqa: S311
    assert found_in(deals) == found_in(shuffled, threads)


# -------------------------------------------------------------------------------------------- what of a leak is likely


def closed(manager: str, won: int, lost: int) -> list[Deal]:
    """Deals of one product and source with one stage, each worth as much."""
    deal = Deal(manager, "pump", "web", "won", (3,), 1000, YEAR)
    return [deal] * won + [replace(deal, outcome="lost")] * lost


def test_few_deals_that_are_far_from_peers_rank_behind_many_that_are_near(found_in: Any) -> None:
    """The median peer wins 60 %: Ann, with 2 of 12, lacks 5.2 wins, and Bob, with 75 of 132, lacks 4.2."""
    peers = [closed(f"m{wins}-{at}", wins, 200 - wins) for at, wins in enumerate([100, 120, 120, 120, 140])]
    found = found_in([*closed("ann", 2, 10), *closed("bob", 75, 57), *(deal for each in peers for deal in each)])
    ann, bob = (found["year", name, "win_rate", "(none)"] for name in ("ann", "bob"))

    assert (ann["leak_amount"], bob["leak_amount"]) == (Decimal(5200), Decimal(4200))
    assert ann["shrunk_leak_amount"] < bob["shrunk_leak_amount"]
    assert ann["leak_rank"] > bob["leak_rank"]


def test_ranks_go_by_the_leak_of_the_shrunk_value(found_in: Any) -> None:
    priced = [
        (key[0], key[2], spot)
        for key, spot in found_in(a_company(3, deals=60, m07={"demo": 0.3})).items()
        if spot["leak_amount"] is not None
    ]
    assert {kind for _, kind, _ in priced} == {"stage_conversion", "win_rate", "loss_reason"}
    for grain, kind, spot in priced:
        shrunk_gap = (spot["shrunk_value"] - spot["peer_median"]) * (1 if kind == "loss_reason" else -1)
        amount = spot["sample_size"] * max(min(shrunk_gap, spot["gap"]), Decimal()) * spot["deal_worth"]
        assert spot["shrunk_leak_amount"] == amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        larger = [
            other
            for other_grain, other_kind, other in priced
            if (other_grain, other_kind) == (grain, kind) and other["shrunk_leak_amount"] > spot["shrunk_leak_amount"]
        ]
        assert spot["leak_rank"] == len(larger) + 1


def test_the_likely_leak_is_about_what_is_missing_and_the_whole_of_it_twice_that(found_in: Any) -> None:
    """Of twenty with 10 to 200 deals each and true win rates 5 points around 60 %: the five that rank first."""
    chance = np.random.default_rng(1)
    told = likely = missing = 0.0
    for _ in range(8):
        counts, rates = chance.integers(10, 200, 20), chance.normal(0.6, 0.05, 20)
        wins = chance.binomial(counts, rates)
        sold = [closed(f"{at:02}", wins[at], counts[at] - wins[at]) for at in range(20)]
        found = found_in([deal for each in sold for deal in each])
        ranked = sorted(
            (spot["leak_rank"], -spot["leak_amount"], int(name), spot)
            for (grain, name, kind, _), spot in found.items()
            if (grain, kind) == ("year", "win_rate") and spot["leak_rank"]
        )
        for _, _, at, spot in ranked[:5]:
            told += float(spot["leak_amount"]) / 1000
            likely += float(spot["shrunk_leak_amount"]) / 1000
            missing += counts[at] * (np.median(rates) - rates[at])
    assert told > 1.5 * missing
    assert likely == pytest.approx(missing, rel=0.25)


# -------------------------------------------------------------------------------------------------- reference figures


def test_intervals_and_shrinkage_are_those_of_the_reference_implementations(found_in: Any) -> None:
    """With one product and source the standard is the company, and the variance between is that of the textbooks."""
    deals = [replace(deal, product="pump", source="web") for deal in a_company(8, deals=90, m01={"talk": 0.3})]
    found = found_in(deals)
    people = sorted({deal.manager for deal in deals})
    trials = np.array([sum(deal.manager == name for deal in deals) for name in people])
    hits = np.array([sum(deal.manager == name and (len(deal.stays) > 1) for deal in deals) for name in people])
    share = hits.sum() / trials.sum()
    spread = (trials * (hits / trials - share) ** 2).sum() / (share * (1 - share))
    between = (spread - len(people) + 1) / ((trials - 1) * (1 - trials / trials.sum())).sum()
    assert between > 0

    logs = {name: np.log1p([deal.stays[0] for deal in deals if deal.manager == name]) for name in people}
    within = sum(((each - each.mean()) ** 2).sum() for each in logs.values()) / (trials.sum() - len(people))
    means = np.array([each.mean() for each in logs.values()])
    tau2 = combine_effects(means, within / trials, method_re="dl").tau2

    for at, name in enumerate(people):
        rate, time = found["year", name, "stage_conversion", "talk"], found["year", name, "stage_time", "talk"]
        low, high = stats.binomtest(int(hits[at]), int(trials[at])).proportion_ci(method="wilsoncc")
        peers = (hits.sum() - hits[at]) / (trials.sum() - trials[at])
        weight = trials[at] * between / (1 + (trials[at] - 1) * between)
        assert close(rate, value_low=low, value_high=high, value=hits[at] / trials[at], peer_value=peers)
        assert close(rate, shrunk_value=peers + weight * (hits[at] / trials[at] - peers))

        low, high = DescrStatsW(logs[name]).tconfint_mean()
        others = np.concatenate([logs[other] for other in people if other != name]).mean()
        weight = trials[at] * tau2 / within / (1 + trials[at] * tau2 / within)
        assert close(time, value=math.expm1(means[at]), value_low=math.expm1(low), value_high=math.expm1(high))
        assert close(time, shrunk_value=math.expm1(others + weight * (means[at] - others)))


def test_the_median_peer_is_the_median_of_the_others(found_in: Any) -> None:
    deals = [replace(deal, product="pump", source="web") for deal in a_company(11, managers=7, deals=40)]
    found = found_in(deals)
    rates = {key[1]: row["value"] for key, row in found.items() if key[0] == "year" and key[2] == "win_rate"}
    for name in rates:
        others = np.median([float(rate) for other, rate in rates.items() if other != name])
        assert close(found["year", name, "win_rate", "(none)"], peer_median=others)


@pytest.mark.parametrize("degrees", [1, 2, 9, 30, 60, 61, 100, 1000])
def test_the_quantile_of_student_is_that_of_scipy(product: Product, first_run: Release, degrees: int) -> None:
    assert first_run.is_current
    sql = next(product.home.glob("dbt/warehouse/compiled/kpimart/models/marts/insight/weak_spot.sql")).read_text()
    start = sql.index("case (deals - 1)")
    quantile = sql[start : sql.index("end", start) + 3]
    with duckdb.connect() as connection:
        row = connection.execute(f"select {quantile} from (select {degrees + 1} as deals)").fetchall()
    assert row[0][0] == pytest.approx(stats.t.ppf(0.975, degrees), rel=TINY)


def close(row: dict[str, Any], **expected: float) -> bool:
    """Whether published columns are as expected, to 1e-9 of what is as large as 1 or larger."""
    return all(abs(float(row[name]) - value) <= TINY * max(1, abs(value)) for name, value in expected.items())


# --------------------------------------------------------------------------------------------------- the real export


def test_the_win_rates_of_the_export_are_those_of_its_funnel(first_run: Release) -> None:
    """Without a history all that is lost is lost in the first stage, so its deals are all that closed."""
    rates = first_run.query(
        """
        select spots.value, funnels.won_deals, funnels.won_deals + funnels.lost_deals as closed, spots.sample_size
        from reporting.weak_spot as spots
        inner join reporting.funnel_stage as funnels
            using (period_grain, period_start, entity_level, entity_key, pipeline_id)
        where spots.kind = 'win_rate' and funnels.stage_number = 1 and spots.status = 'enough'
        """
    )
    assert len(rates) > 100
    assert (rates["closed"] == rates["sample_size"]).all()
    assert all(
        abs(value - Decimal(int(won)) / Decimal(int(closed))) < Decimal("1e-9")
        for value, won, closed in zip(rates["value"], rates["won_deals"], rates["closed"], strict=True)
    )


def test_nothing_is_said_below_the_minimum_count(first_run: Release) -> None:
    few = first_run.query("select * from reporting.weak_spot where sample_size < 10")
    assert len(few) > 0
    assert set(few["status"]) == {"too_few"}
    assert few[["value", "value_low", "shrunk_value", "leak_amount", "leak_rank"]].isna().all(axis=None)
