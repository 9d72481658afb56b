"""Every KPI of the real export once more: from its CSV files, in pandas, sharing no code with the product.

`recompute` goes from deals to facts (what happened, to whom, on which day), from facts to measures (one small function
each, at one grain), and from measures to KPIs. Money is counted in whole cents, so that every sum is exact.

The export knows one amount and one manager for a deal, and no history of either. What it says of a deal is therefore
held to have been so at every moment of the deal's life: a deal won in March for 1,054 was open in February with 1,054.
Only where a later export says otherwise are there two amounts: a deal was created, and was open, with what the first
export said, and was won or lost with what the last one says, because nobody knows when a closed deal was edited.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd

SOURCE = "files"
GRAINS = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
SPARSE_GRAINS = ("day", "week")
CELL = ["period_start", "entity_level", "entity_key"]
KEY = ["kpi_code", "period_grain", *CELL]

REGULAR_PURCHASES, REGULAR_WINDOW = 3, pd.Timedelta(days=365)
LOST_AFTER = pd.Timedelta(days=365)
STALE_AFTER = pd.Timedelta(days=30)
COHORT_WINDOW = pd.Timedelta(days=90)
COMPLETABLE_COLUMNS = 3  # account, amount, expected close date; the export has no column for the last

EIGHT_DECIMALS = Decimal("1e-8")


@dataclass(frozen=True)
class Kpi:
    """Measures, over other measures where `under` is given; `sample` counts what the figure rests on."""

    over: str
    sample: str
    under: str | None = None
    finest_grain: str = "week"


KPIS = {
    "won_amount": Kpi("won_amount", "won_deals", finest_grain="day"),
    "won_deals": Kpi("won_deals", "won_deals", finest_grain="day"),
    "lost_deals": Kpi("lost_deals", "lost_deals", finest_grain="day"),
    "closed_deals": Kpi("won_deals + lost_deals", "closed_deals", finest_grain="day"),
    "avg_won_amount": Kpi("won_amount", "won_deals", under="won_deals", finest_grain="day"),
    "created_deals": Kpi("created_deals", "created_deals", finest_grain="day"),
    "created_amount": Kpi("created_amount", "created_deals", finest_grain="day"),
    "win_rate": Kpi("won_deals", "closed_deals", under="won_deals + lost_deals", finest_grain="day"),
    "win_rate_value": Kpi("won_amount", "closed_deals", under="won_amount + lost_amount"),
    "win_rate_cohort_90d": Kpi("won_within_90d", "created_deals", under="created_deals"),
    "leads_created": Kpi("leads", "leads", finest_grain="day"),
    "lead_conversion": Kpi("leads_converted", "leads", under="leads"),
    "sales_cycle_days": Kpi("cycle_days", "deals_with_cycle", under="deals_with_cycle"),
    "sales_cycle_days_median": Kpi("cycle_days_median", "deals_with_cycle"),
    "sales_velocity": Kpi(
        "open_deals * won_amount * deals_with_cycle", "closed_deals", under="(won_deals + lost_deals) * cycle_days"
    ),
    "open_deals": Kpi("open_deals", "open_deals"),
    "open_amount": Kpi("open_amount", "open_deals"),
    "weighted_open_amount": Kpi("weighted_open_amount", "open_deals"),
    "stale_open_share": Kpi("stale_open_deals", "open_deals", under="open_deals"),
    "slipped_amount": Kpi("slipped_amount", "slips", finest_grain="day"),
    "data_completeness": Kpi("filled_columns", "open_deals", under=f"{COMPLETABLE_COLUMNS} * open_deals"),
    "new_customers": Kpi("first_purchases", "first_purchases", finest_grain="day"),
    "repeat_deals": Kpi("repeat_purchases", "repeat_purchases", finest_grain="day"),
    "active_customers": Kpi("active_customers", "active_customers"),
    "repeat_customers": Kpi("repeat_customers", "repeat_customers"),
    "regular_customers": Kpi("regular_customers", "regular_customers"),
    "potential_customers": Kpi("potential_customers", "potential_customers"),
    "lost_customers": Kpi("lost_customers", "lost_customers"),
    "repeat_rate": Kpi("repeat_customers", "active_customers", under="active_customers"),
    "returning_amount_share": Kpi("returning_amount", "won_deals", under="won_amount"),
    "reopened_deals": Kpi("reopenings", "reopenings"),
    "lost_amount": Kpi("lost_amount", "lost_deals"),
    "avg_created_amount": Kpi("created_amount", "created_deals", under="created_deals"),
    "avg_open_amount": Kpi("open_amount", "open_deals_of_known_value", under="open_deals_of_known_value"),
    "new_customer_amount": Kpi("first_purchase_amount", "first_purchases", finest_grain="day"),
    "leads_converted": Kpi("leads_converted", "leads_converted"),
    "first_response_hours": Kpi("response_hours", "leads_answered", under="leads_answered"),
    "lead_response_share": Kpi("leads_answered", "leads", under="leads"),
    "calls": Kpi("calls", "calls", finest_grain="day"),
    "meetings": Kpi("meetings", "meetings", finest_grain="day"),
    "emails": Kpi("emails", "emails", finest_grain="day"),
    "next_step_share": Kpi("open_deals_with_step", "open_deals_of_planners", under="open_deals_of_planners"),
    "activities": Kpi("activities", "activities", finest_grain="day"),
    "plan_attainment": Kpi("won_amount", "won_deals", under="planned", finest_grain="month"),
    "pipeline_coverage": Kpi("open_amount", "open_deals", under="planned", finest_grain="month"),
    "activities_per_won_deal": Kpi("activities", "won_deals", under="won_deals"),
}


@dataclass(frozen=True)
class Facts:
    """What happened before `as_of`: frames with the manager, the day (`on`), the account and the cents of each.

    `until_closed` are all deals, with the amounts that they have while they are open.
    """

    as_of: pd.Timestamp
    until_closed: pd.DataFrame
    created: pd.DataFrame
    won: pd.DataFrame
    lost: pd.DataFrame
    purchases: pd.DataFrame
    lapses: pd.DataFrame

    @property
    def first_day(self) -> pd.Timestamp:
        first_days = [happened["on"].min() for happened in (self.created, self.won, self.lost)]
        first: pd.Timestamp = pd.Series(first_days).min()
        return first

    @property
    def last_day(self) -> pd.Timestamp:
        return self.as_of - pd.Timedelta(days=1)


@dataclass(frozen=True)
class Cut:
    """The facts at one grain: each with the start of its period, once for every entity it counts for."""

    created: pd.DataFrame
    won: pd.DataFrame
    lost: pd.DataFrame
    purchases: pd.DataFrame
    lapses: pd.DataFrame
    open: pd.DataFrame

    @property
    def repeat_purchases(self) -> pd.DataFrame:
        return self.purchases[self.purchases["number"] >= 2]


def recompute(folder: Path, as_of: date, *, first_export: Path | None = None) -> pd.DataFrame:
    """All KPI values of the export in `folder` as of the local midnight on which the day `as_of` begins.

    first_export: the export that was seen before the one in `folder`, with the same deals, if there was one.
    Returns one row a cell: KEY, period_end, is_complete, numerator, denominator, value (Decimal or None), sample_size.
    """
    facts = gather_facts(read_deals(folder), read_deals(first_export or folder), pd.Timestamp(as_of))
    entities = read_entities(folder)
    at_each_grain = [kpis_at(grain, facts, entities) for grain in GRAINS]
    return pd.concat(at_each_grain, ignore_index=True)


# ---------------------------------------------------------------------------------------------------- reading


def read_csv(path: Path) -> pd.DataFrame:
    """The file as text; an empty cell is missing, and nothing else is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])


def read_deals(folder: Path) -> pd.DataFrame:
    """One row a deal. Engagement is the clock's start, so it is when a deal was created."""
    rows = read_csv(folder / "sales_pipeline.csv")
    return pd.DataFrame(
        {
            "deal_id": SOURCE + ":" + rows["opportunity_id"],
            "manager_id": SOURCE + ":" + rows["sales_agent"],
            "account": rows["account"],
            "outcome": rows["deal_stage"].map(
                {"Prospecting": "open", "Engaging": "open", "Won": "won", "Lost": "lost"}
            ),
            "created_on": pd.to_datetime(rows["engage_date"], format="%Y-%m-%d"),
            "closed_on": pd.to_datetime(rows["close_date"], format="%Y-%m-%d"),
            "cents": rows["close_value"].map(lambda text: int(Decimal(text) * 100), na_action="ignore").astype("Int64"),
        }
    )


def read_entities(folder: Path) -> pd.DataFrame:
    """One row for each entity that a manager's facts count for: themselves, their team, its region, the company."""
    teams = read_csv(folder / "sales_teams.csv")
    manager = SOURCE + ":" + teams["sales_agent"]
    team = SOURCE + ":" + teams["manager"]
    region = SOURCE + ":" + teams["regional_office"]
    keys = {
        "company": [pd.Series("company", index=teams.index)],
        "department": [team, region],
        "manager": [manager],
        "manager_in_department": [manager + "|" + team],
    }
    frames = [
        pd.DataFrame({"manager_id": manager, "entity_level": level, "entity_key": key})
        for level, several in keys.items()
        for key in several
    ]
    return pd.concat(frames, ignore_index=True)


# ------------------------------------------------------------------------------------------------------ facts


def gather_facts(deals: pd.DataFrame, first_stated: pd.DataFrame, as_of: pd.Timestamp) -> Facts:
    closed = deals[deals["closed_on"] < as_of]
    won = closed[closed["outcome"] == "won"].assign(
        on=lambda deal: deal["closed_on"], cycle_days=lambda deal: (deal["closed_on"] - deal["created_on"]).dt.days
    )
    lost = closed[closed["outcome"] == "lost"].assign(on=lambda deal: deal["closed_on"])
    until_closed = deals.assign(cents=deals["deal_id"].map(first_stated.set_index("deal_id")["cents"]))
    created = until_closed[deals["created_on"] < as_of].assign(on=lambda deal: deal["created_on"])
    purchases = number_purchases(won)
    return Facts(
        as_of=as_of,
        until_closed=until_closed,
        created=created.assign(
            is_won_within_90d=created["deal_id"].isin(won["deal_id"])
            & (created["closed_on"] - created["created_on"] <= COHORT_WINDOW)
        ),
        won=won,
        lost=lost,
        purchases=purchases,
        lapses=find_lapses(purchases, as_of),
    )


def number_purchases(won: pd.DataFrame) -> pd.DataFrame:
    """Won deals of an account, first to last over the whole company; on one day by the deal's id."""
    purchases = won.dropna(subset=["account"]).sort_values(["account", "on", "deal_id"])
    of_account = purchases.groupby("account")
    second_before = of_account["on"].shift(REGULAR_PURCHASES - 1)
    return purchases.assign(
        number=of_account.cumcount() + 1,
        is_regular=second_before > purchases["on"] - REGULAR_WINDOW,
        next_on=of_account["on"].shift(-1),
    )


def find_lapses(purchases: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Purchases after which the account bought nothing for a year, dated by the end of that year."""
    lapse_on = purchases["on"] + LOST_AFTER
    lapsed = (lapse_on < as_of) & ~(purchases["next_on"] <= lapse_on)
    return purchases[lapsed].assign(on=lapse_on[lapsed])


def spine(grain: str, facts: Facts) -> pd.DataFrame:
    """The periods from the first fact's to the last counted day's; a snapshot is taken at the end of day `moment`."""
    periods = pd.period_range(facts.first_day, facts.last_day, freq=GRAINS[grain])
    ends = periods.end_time.normalize()
    return pd.DataFrame(
        {
            "period_start": periods.start_time,
            "period_end": ends,
            "moment": ends.where(ends < facts.as_of, facts.last_day),
            "is_complete": ends < facts.as_of,
        }
    )


def open_at_the_end(periods: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Deals × period ends at which they were open: an undated deal at all, and none on the day that it is closed."""
    pairs = facts.until_closed.merge(periods, how="cross")
    is_there = pairs["created_on"].isna() | (pairs["created_on"] <= pairs["moment"])
    is_closed = pairs["closed_on"] <= pairs["moment"]
    first_bought_on = pairs["account"].map(facts.purchases.groupby("account")["on"].min())
    return pairs.assign(
        # With no stage history a deal entered its open stage when it was created.
        is_stale=pairs["moment"] - pairs["created_on"] > STALE_AFTER,
        filled=pairs["account"].notna().astype(int) + pairs["cents"].notna().astype(int),
        never_bought=~(first_bought_on <= pairs["moment"]),
    )[is_there & ~is_closed]


# --------------------------------------------------------------------------------------------------- measures


def cut_at(grain: str, facts: Facts, entities: pd.DataFrame, periods: pd.DataFrame) -> Cut:
    def of_entities(happened: pd.DataFrame) -> pd.DataFrame:
        period_start = happened["on"].dt.to_period(GRAINS[grain]).dt.start_time
        return happened.assign(period_start=period_start).merge(entities, on="manager_id")

    # No snapshot is asked for by day, where it would be the largest table of all.
    snapshots = periods if grain != "day" else periods.head(0)
    return Cut(
        created=of_entities(facts.created),
        won=of_entities(facts.won),
        lost=of_entities(facts.lost),
        purchases=of_entities(facts.purchases),
        lapses=of_entities(facts.lapses),
        open=open_at_the_end(snapshots, facts).merge(entities, on="manager_id"),
    )


def count(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby(CELL).size()


def total(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows.groupby(CELL)[column].sum()


def amount(rows: pd.DataFrame) -> pd.Series:
    """The sum of the known amounts in cents; missing where something happened and no amount is known."""
    return rows.groupby(CELL)["cents"].sum(min_count=1)


def customers(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby(CELL)["account"].nunique()


def lost_amount(lost: pd.DataFrame) -> pd.Series:
    """Missing where any lost deal of the cell has no amount or 0, which is how a CRM writes that it does not know."""
    is_unknown = lost.assign(is_unknown=lost["cents"].fillna(0) == 0).groupby(CELL)["is_unknown"].any()
    return amount(lost).mask(is_unknown)


def weighted_open_amount(still_open: pd.DataFrame) -> pd.Series:
    """Unknown wherever something is open: no open stage in the export's configuration has a probability."""
    return amount(still_open.assign(cents=pd.array([pd.NA] * len(still_open), dtype="Int64")))


def nothing(cut: Cut) -> pd.Series:
    """The export has no leads, no activities, no history and no expected close dates."""
    return count(cut.won.head(0))


MEASURES: dict[str, Callable[[Cut], pd.Series]] = {
    "won_amount": lambda cut: amount(cut.won),
    "won_deals": lambda cut: count(cut.won),
    "lost_amount": lambda cut: lost_amount(cut.lost),
    "lost_deals": lambda cut: count(cut.lost),
    "closed_deals": lambda cut: count(pd.concat([cut.won, cut.lost])),
    "created_amount": lambda cut: amount(cut.created),
    "created_deals": lambda cut: count(cut.created),
    "won_within_90d": lambda cut: count(cut.created[cut.created["is_won_within_90d"]]),
    "leads": nothing,
    "leads_converted": nothing,
    "cycle_days": lambda cut: total(cut.won, "cycle_days"),
    "cycle_days_median": lambda cut: cut.won.groupby(CELL)["cycle_days"].median(),
    "deals_with_cycle": lambda cut: count(cut.won.dropna(subset=["cycle_days"])),
    "open_deals": lambda cut: count(cut.open),
    "open_amount": lambda cut: amount(cut.open),
    "weighted_open_amount": lambda cut: weighted_open_amount(cut.open),
    "stale_open_deals": lambda cut: count(cut.open[cut.open["is_stale"]]),
    "filled_columns": lambda cut: total(cut.open, "filled"),
    "slipped_amount": nothing,
    "slips": nothing,
    "reopenings": nothing,
    "planned": nothing,
    "leads_answered": nothing,
    "response_hours": nothing,
    "open_deals_with_step": nothing,
    "open_deals_of_planners": nothing,
    "activities": nothing,
    "calls": nothing,
    "meetings": nothing,
    "emails": nothing,
    "open_deals_of_known_value": lambda cut: count(cut.open[cut.open["cents"].notna()]),
    "first_purchases": lambda cut: count(cut.purchases[cut.purchases["number"] == 1]),
    "first_purchase_amount": lambda cut: amount(cut.purchases[cut.purchases["number"] == 1]),
    "repeat_purchases": lambda cut: count(cut.repeat_purchases),
    "returning_amount": lambda cut: amount(cut.repeat_purchases),
    "active_customers": lambda cut: customers(cut.purchases),
    "repeat_customers": lambda cut: customers(cut.repeat_purchases),
    "regular_customers": lambda cut: customers(cut.purchases[cut.purchases["is_regular"]]),
    "lost_customers": lambda cut: customers(cut.lapses),
    "potential_customers": lambda cut: customers(cut.open[cut.open["never_bought"]]),
}
UNDEFINED_OVER_NOTHING = ("cycle_days_median", "planned")


def measures_at(grain: str, cut: Cut, entities: pd.DataFrame, periods: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: where something is, by day and week, else every entity in every period. Nothing counts 0."""
    measured = {name: measure(cut) for name, measure in MEASURES.items()}
    if grain in SPARSE_GRAINS:
        cells = pd.concat(measured.values()).index.unique()
    else:
        everyone = entities[["entity_level", "entity_key"]].drop_duplicates()
        cells = pd.MultiIndex.from_frame(periods[["period_start"]].merge(everyone, how="cross"))
    aligned = {name: align(series, cells) for name, series in measured.items() if name not in UNDEFINED_OVER_NOTHING}
    medians = {name: measured[name].reindex(cells).astype("Float64") for name in UNDEFINED_OVER_NOTHING}
    return pd.DataFrame({**aligned, **medians})


def align(series: pd.Series, cells: pd.MultiIndex) -> pd.Series:
    return series.reindex(cells, fill_value=0).astype("Int64")


# ------------------------------------------------------------------------------------------------------- KPIs


def kpis_at(grain: str, facts: Facts, entities: pd.DataFrame) -> pd.DataFrame:
    periods = spine(grain, facts)
    measures = measures_at(grain, cut_at(grain, facts, entities, periods), entities, periods)
    finer = list(GRAINS)[: list(GRAINS).index(grain) + 1]
    wanted = {code: kpi for code, kpi in KPIS.items() if kpi.finest_grain in finer}
    values = pd.concat([evaluate(kpi, measures).assign(kpi_code=code) for code, kpi in wanted.items()])
    if grain in SPARSE_GRAINS:
        is_something = (values["sample_size"] > 0) | values["value"].map(lambda value: value is not None and value != 0)
        values = values[is_something]
    dated = values.reset_index().merge(periods, on="period_start")
    is_cohort = dated["kpi_code"] == "win_rate_cohort_90d"
    matures_on = dated["period_end"].mask(is_cohort, dated["period_end"] + COHORT_WINDOW)
    return dated.assign(period_grain=grain, is_complete=matures_on < facts.as_of)[
        [*KEY, "period_end", "is_complete", "numerator", "denominator", "value", "sample_size"]
    ]


def evaluate(kpi: Kpi, measures: pd.DataFrame) -> pd.DataFrame:
    over = as_decimals(kpi.over, measures)
    if kpi.under is None:
        columns = {"numerator": None, "denominator": None, "value": over}
    else:
        under = as_decimals(kpi.under, measures)
        columns = {"numerator": over, "denominator": under, "value": list(map(quotient, over, under))}
    frame = pd.DataFrame(columns, index=measures.index, dtype=object)
    return frame.assign(sample_size=measures[kpi.sample].astype("int64"))


def as_decimals(expression: str, measures: pd.DataFrame) -> list[Decimal | None]:
    """The expression in each cell; amounts come in cents, and no expression multiplies two of them."""
    unit = Decimal(100 if "_amount" in expression else 1)
    numbers = pd.Series(measures.eval(expression, engine="python"), dtype=object)
    return [None if number is pd.NA else Decimal(number) / unit for number in numbers.tolist()]


def quotient(over: Decimal | None, under: Decimal | None) -> Decimal | None:
    """Undefined over nothing, over less than nothing, and over what is not known."""
    if over is None or under is None or under <= 0:
        return None
    return (over / under).quantize(EIGHT_DECIMALS, rounding=ROUND_HALF_UP)
