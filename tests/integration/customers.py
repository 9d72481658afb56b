"""Tables of customers once more, from a list of wins, purchase by purchase; shares no code with the product."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import pandas as pd

LOST_AFTER, REGULAR_WINDOW, REGULAR_PURCHASES = (pd.Timedelta(days=365), pd.Timedelta(days=365), 3)
GRAINS = {"month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
FIFTHS, MIN_SCORED = 5, 25
UNSCORED = (None, None, None)

Entities = Mapping[tuple[str, str], frozenset[str]]
"""Level and key → the managers whose purchases count for it."""


@dataclass(frozen=True)
class Win:
    """A deal won from an account; the amount in cents, None: not known."""

    deal: str
    account: str
    manager: str
    day: date
    cents: int | None


def purchases_of(wins: Sequence[Win], last_day: date) -> pd.DataFrame:
    """One row a purchase in the order of its account, with the one before and the one after, and when it lapsed."""
    rows = pd.DataFrame([vars(win) for win in wins]).sort_values(["account", "day", "deal"], ignore_index=True)
    rows["day"] = pd.to_datetime(rows["day"])
    rows["cents"] = rows["cents"].astype("Int64")
    of_account = rows.groupby("account")
    rows["number"] = of_account.cumcount() + 1
    rows["next_day"] = of_account["day"].shift(-1)
    lapses = rows["day"] + LOST_AFTER
    is_lapsed = (rows["next_day"].isna() | (rows["next_day"] > lapses)) & (lapses <= pd.Timestamp(last_day))
    rows["lapsed_on"] = lapses.where(is_lapsed)
    rows["lapsed_before"] = of_account["lapsed_on"].shift(1)
    earlier = of_account["day"].shift(REGULAR_PURCHASES - 1)
    rows["is_regular"] = (rows["day"] - earlier) < REGULAR_WINDOW
    return rows


def periods_of(grain: str, first_day: date, last_day: date) -> list[pd.Period]:
    return list(pd.period_range(first_day, last_day, freq=GRAINS[grain]))


def holders(purchases: pd.DataFrame, evening: pd.Timestamp) -> pd.DataFrame:
    """Account → manager of its last purchase by an evening, and whether it is lost then."""
    last = purchases[purchases["day"] <= evening].groupby("account").last()
    return pd.DataFrame({"manager": last["manager"], "is_lost": last["day"] + LOST_AFTER <= evening})


def base_of(purchases: pd.DataFrame, managers: frozenset[str], period: pd.Period) -> tuple[int, ...]:
    """opening, first_time, returned, taken_over, handed_over, lost, closing, lapsed, new, active, repeat, regular."""
    start, end = period.start_time.normalize(), period.end_time.normalize()
    before, after = (holders(purchases, evening) for evening in (start - pd.Timedelta(days=1), end))
    has_before = set(before.index[before["manager"].isin(managers) & ~before["is_lost"]])
    has_after = set(after.index[after["manager"].isin(managers) & ~after["is_lost"]])
    lapsed = after.index[after["manager"].isin(managers) & after["is_lost"]]
    own = purchases[purchases["manager"].isin(managers)]
    bought = own[own["day"].between(start, end)]
    first = bought[bought["number"] == 1]
    returns = bought[bought["lapsed_before"].notna()]
    lapses = own[own["lapsed_on"].between(start, end)]
    moves = [
        (account in has_after)
        - (account in has_before)
        - int((first["account"] == account).sum())
        - int((returns["account"] == account).sum())
        + int((lapses["account"] == account).sum())
        for account in has_before | has_after | {*bought["account"], *lapses["account"]}
    ]
    return (
        len(has_before),
        len(first),
        len(returns) - (len(lapses) - lapses["account"].nunique()),
        sum(max(move, 0) for move in moves),
        sum(max(-move, 0) for move in moves),
        lapses["account"].nunique(),
        len(has_after),
        len(lapsed),
        len(first),
        bought["account"].nunique(),
        bought[bought["number"] > 1]["account"].nunique(),
        bought[bought["is_regular"]]["account"].nunique(),
    )


def concentration_of(
    purchases: pd.DataFrame, managers: frozenset[str], period: pd.Period
) -> tuple[int, Fraction | None, Fraction | None, Fraction | None, Fraction | None]:
    """Accounts with an amount; shares of the largest, of five and of ten; the sum of squared shares."""
    bought = purchases[purchases["manager"].isin(managers) & (purchases["day"].dt.to_period(period.freq) == period)]
    amounts = [int(cents) for cents in bought.groupby("account")["cents"].sum(min_count=1).dropna() if cents > 0]
    total = sum(amounts)
    if not amounts:
        return 0, None, None, None, None
    top = sorted(amounts, reverse=True)
    shares = (Fraction(sum(top[:places]), total) for places in (1, 5, 10))
    return (len(amounts), *shares, sum((Fraction(amount, total) ** 2 for amount in amounts), Fraction(0)))


def cohorts_of(
    purchases: pd.DataFrame, managers: frozenset[str], periods: Sequence[pd.Period]
) -> Iterator[tuple[pd.Period, int, int, int, int | None, int | None]]:
    """Cohort, periods since, customers, retained, cents of the period, cents up to its end."""
    rows = purchases.assign(period=purchases["day"].dt.to_period(periods[0].freq))
    first = rows[rows["number"] == 1]
    for at, cohort in enumerate(periods):
        members = set(first[(first["period"] == cohort) & first["manager"].isin(managers)]["account"])
        of_cohort = rows[rows["account"].isin(members)]
        for since, period in enumerate(periods[at:] if members else []):
            bought = of_cohort[of_cohort["period"] == period]
            cents = cents_of(bought)
            in_all = cents_of(of_cohort[of_cohort["period"] <= period])
            yield cohort, since, len(members), bought["account"].nunique(), cents if len(bought) else 0, in_all


def cents_of(rows: pd.DataFrame) -> int | None:
    total = rows["cents"].sum(min_count=1)
    return None if pd.isna(total) else int(total)


def segments_of(purchases: pd.DataFrame, last_day: date) -> dict[str, tuple[object, ...]]:
    """Account → manager, purchases, cents, state, recency, frequency, cents of the window, and the three scores."""
    evening = pd.Timestamp(last_day)
    of_account = dict(iter(purchases.groupby("account")))
    recent = {account: rows[rows["day"] > evening - LOST_AFTER] for account, rows in of_account.items()}
    customers = [account for account, rows in recent.items() if len(rows)]
    recency = {account: (evening - rows["day"].max()).days for account, rows in of_account.items()}
    scores = {
        account: tuple(
            1 + FIFTHS * sum(other < mine for other in others) // len(customers)
            for mine, others in (
                (-recency[account], [-recency[other] for other in customers]),
                (len(recent[account]), [len(recent[other]) for other in customers]),
                (cents_of(recent[account]) or 0, [cents_of(recent[other]) or 0 for other in customers]),
            )
        )
        for account in customers
    }
    told: dict[str, tuple[object, ...]] = {}
    for account, rows in of_account.items():
        regular = (rows["day"] > evening - REGULAR_WINDOW).sum() >= REGULAR_PURCHASES
        state = "new" if len(rows) == 1 else "regular" if regular else "repeat"
        told[str(account)] = (
            rows["manager"].iloc[-1],
            len(rows),
            cents_of(rows),
            state if account in scores else "lost",
            recency[account],
            len(recent[account]),
            cents_of(recent[account]) if account in scores else 0,
            *(scores.get(account, UNSCORED) if len(customers) >= MIN_SCORED else UNSCORED),
        )
    return told


def intervals_of(purchases: pd.DataFrame) -> pd.DataFrame:
    """One row an interval between two days on which an account bought, with the manager whose purchase ended it."""
    days = purchases.groupby(["account", "day"], as_index=False).first()
    days["days"] = (days["day"] - days.groupby("account")["day"].shift(1)).dt.days
    return days.dropna(subset=["days"])[["account", "manager", "days"]]


def quartiles_of(days: pd.Series) -> tuple[Fraction | None, ...]:
    """The three quartiles, by linear interpolation."""
    ordered = sorted(int(each) for each in days)
    if not ordered:
        return None, None, None
    found = []
    for share in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
        place = share * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        found.append(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
    return tuple(found)
