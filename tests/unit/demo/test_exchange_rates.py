"""The rates that come with the product: enough of them for every day of the demo."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from kpimart.demo import UNTIL
from kpimart.demo.clock import years_before

RATES = Path(__file__).parents[3] / "seeds" / "exchange_rate.csv"
MAX_AGE_DAYS = 31

Rates = dict[tuple[str, str], dict[date, Decimal]]


@pytest.fixture(scope="module")
def rates() -> Rates:
    by_pair: Rates = {}
    with RATES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_day = by_pair.setdefault((row["from_currency"], row["to_currency"]), {})
            by_day[date.fromisoformat(row["valid_on"])] = Decimal(row["rate"])
    return by_pair


def test_both_directions_are_there_for_the_same_days(rates: Rates) -> None:
    assert rates.keys() == {("EUR", "USD"), ("USD", "EUR")}
    assert rates["EUR", "USD"].keys() == rates["USD", "EUR"].keys()


def test_there_and_back_is_where_one_was(rates: Rates) -> None:
    for day, rate in rates["EUR", "USD"].items():
        assert abs(rate * rates["USD", "EUR"][day] - 1) < Decimal("0.00000002")


def test_every_day_of_the_demo_has_a_rate_that_is_young_enough(rates: Rates) -> None:
    days = rates["USD", "EUR"]
    day = years_before(UNTIL, 3)
    while day < UNTIL:
        latest = max(known for known in days if known <= day)
        assert (day - latest).days <= MAX_AGE_DAYS
        day += timedelta(days=1)


def test_a_rate_has_at_most_eight_decimals(rates: Rates) -> None:
    for by_day in rates.values():
        assert all(-int(rate.as_tuple().exponent) <= 8 for rate in by_day.values())
