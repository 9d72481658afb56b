"""Spreading of targets: to the cent, by hand and for whatever Hypothesis thinks of."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpimart.finance.spreading import (
    DoesNotAddUp,
    Month,
    Seller,
    Tree,
    apportion,
    months_since,
    productivity,
    ramped_days,
    seasonal_rates,
    spread,
)

CENT = Decimal("0.01")
YEAR = Tree("2027", {"2027": ["Q1", "Q2"], "Q1": ["01", "02", "03"], "Q2": ["04", "05", "06"]})


def evenly(_: str) -> Fraction:
    return Fraction(1)


def spread_equally(values: dict[str, str]) -> dict[str, Decimal]:
    return spread(YEAR, {name: Decimal(value) for name, value in values.items()}, evenly, CENT)


# ----------------------------------------------------------------------------------------------------------- apportion


def test_cents_that_are_left_go_to_the_largest_remainders() -> None:
    """100.00 by 1, 1, 1 is 33.33 each and a cent for the first; by 1, 2, 4: 14.2857, 28.5714, 57.1428."""
    assert apportion(Decimal("100.00"), [Fraction(1)] * 3, CENT) == [Decimal(x) for x in ("33.34", "33.33", "33.33")]
    assert apportion(Decimal("100.00"), [Fraction(x) for x in (1, 2, 4)], CENT) == [
        Decimal("14.29"),
        Decimal("28.57"),
        Decimal("57.14"),
    ]


def test_whole_deals_stay_whole() -> None:
    assert apportion(Decimal(7), [Fraction(x) for x in (3, 2, 2, 1)], Decimal(1)) == [2, 2, 2, 1]


def test_without_any_weight_all_have_the_same() -> None:
    assert apportion(Decimal(4), [Fraction(0)] * 2, Decimal(1)) == [2, 2]


@given(
    st.integers(0, 10**12),
    st.lists(st.fractions(0, 1000, max_denominator=997), min_size=1, max_size=60),
    st.sampled_from([CENT, Decimal(1)]),
)
def test_parts_sum_to_their_whole_and_are_within_a_step_of_their_share(
    steps: int, weights: list[Fraction], step: Decimal
) -> None:
    total = step * steps
    parts = apportion(total, weights, step)
    shares = weights if any(weights) else [Fraction(1)] * len(weights)
    assert sum(parts) == total
    assert all(part >= 0 and part % step == 0 for part in parts)
    assert all(
        abs(Fraction(part) - Fraction(total) * share / sum(shares)) < Fraction(step)
        for part, share in zip(parts, shares, strict=True)
    )


# --------------------------------------------------------------------------------------------------------------- spread


def test_a_year_goes_to_its_months_and_quarters_are_their_sums() -> None:
    values = spread_equally({"2027": "600"})
    assert {values[month] for month in YEAR.leaves("2027")} == {100}
    assert values["Q1"] == values["Q2"] == 300


def test_what_is_set_below_stands_and_the_rest_goes_to_the_others() -> None:
    """Of 600 March has 150 and the second quarter 300: January and February share 150."""
    values = spread_equally({"2027": "600", "03": "150", "Q2": "300"})
    assert [values[name] for name in ("01", "02", "03", "04", "Q1")] == [75, 75, 150, 100, 300]


def test_what_is_set_for_parts_alone_is_a_whole_only_if_all_have_something() -> None:
    assert spread_equally({"01": "1", "02": "2"}) == {"01": 1, "02": 2}
    assert spread_equally({"01": "1", "02": "2", "03": "3"})["Q1"] == 6


def test_a_sum_does_not_wait_for_what_is_optional() -> None:
    tree = Tree("west", {"west": ["north", "south", "head"]})
    values = {"north": Decimal(1), "south": Decimal(2)}
    assert "west" not in spread(tree, values, evenly, CENT)
    assert spread(tree, values, evenly, CENT, optional={"head"})["west"] == 3
    assert spread(tree, {}, evenly, CENT, optional={"north", "south", "head"}) == {}
    assert "head" not in spread(tree, values | {"west": Decimal(3)}, evenly, CENT, optional={"head"})
    assert spread(tree, values | {"west": Decimal(4)}, evenly, CENT, optional={"head"})["head"] == 1


@pytest.mark.parametrize(
    ("values", "whole", "rest"),
    [
        ({"2027": "100", "01": "60", "Q2": "50"}, "2027", "-10"),
        ({"Q1": "100", "01": "30", "02": "30", "03": "30"}, "Q1", "10"),
    ],
)
def test_parts_that_cannot_be_the_whole_are_refused(values: dict[str, str], whole: str, rest: str) -> None:
    with pytest.raises(DoesNotAddUp) as refused:
        spread_equally(values)
    assert (refused.value.whole, refused.value.rest) == (whole, Decimal(rest))


@given(st.dictionaries(st.sampled_from(YEAR.nodes()), st.integers(0, 10**9), min_size=1), st.integers(1, 5))
def test_whatever_is_set_either_adds_up_everywhere_or_is_refused(cents: dict[str, int], heavy: int) -> None:
    values = {name: CENT * count for name, count in cents.items()}
    try:
        found = spread(YEAR, values, lambda month: Fraction(heavy if month == "02" else 1), CENT)
    except DoesNotAddUp:
        return
    assert values.items() <= found.items()
    for name, parts in YEAR.children.items():
        if name in found:
            assert sum(found[part] for part in parts) == found[name]


# -------------------------------------------------------------------------------------------------------------- weights


def test_a_month_weighs_what_a_working_day_brought_there() -> None:
    """Two Januaries of 20 and 22 working days brought 630 together: 15 a day."""
    months = [
        Month(date(2025 + year, place, 1), place, 20 + 2 * year, Decimal(place * 300 + 30 * year))
        for year in range(2)
        for place in range(1, 13)
    ]
    rates = seasonal_rates(months)
    assert rates is not None
    assert rates[1] == Fraction(630, 42) == 15
    assert seasonal_rates(months[:23]) is None
    assert seasonal_rates([Month(m.start, m.place, m.days, Decimal(m.place > 1)) for m in months]) is None


@pytest.mark.parametrize(
    ("hired_on", "start", "since"),
    [
        (None, date(2027, 1, 1), None),
        (date(2026, 11, 15), date(2027, 1, 1), 1),
        (date(2026, 12, 1), date(2027, 1, 1), 1),
        (date(2027, 3, 10), date(2027, 1, 1), 0),
    ],
)
def test_employment_is_counted_in_whole_months(hired_on: date | None, start: date, since: int | None) -> None:
    assert months_since(hired_on, start) == since


def test_who_is_new_is_asked_for_less() -> None:
    month = Month(date(2027, 1, 1), 1, 20)
    assert ramped_days(date(2027, 1, 1), month) == 2
    assert ramped_days(date(2026, 10, 15), month) == 10
    assert ramped_days(date(2026, 1, 1), month) == ramped_days(None, month) == 20


def test_productivity_is_per_day_at_full_speed_and_of_the_new_that_of_their_peers() -> None:
    """Ann brought 2,400 in 240 days, Bob 300 in 60. Cid's ten days tell nothing: 2,700 in 300 days are 9 a day."""
    at = date(2026, 1, 1)
    sellers = {
        "ann": Seller(None, (Month(at, 1, 240, Decimal(2400)),)),
        "bob": Seller(None, (Month(at, 1, 60, Decimal(300)),)),
        "cid": Seller(at, (Month(at, 1, 100, Decimal(5000)),)),
        "dan": Seller(None, ()),
    }
    peers = {name: ["ann", "bob", "cid"] for name in ("ann", "bob", "cid")} | {"dan": ["dan"]}
    assert productivity(sellers, peers) == {"ann": 10, "bob": 5, "cid": 9, "dan": 9}
