from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from kpimart.errors import BuildFailed
from kpimart.insight.statistics.won_amount import Pairs, Terms, split


@dataclass(frozen=True)
class Term:
    """What was decided before and after, in whole currency units; its stages as numbers that reached each of them."""

    closed: tuple[float, float]
    won: tuple[float, float]
    amount: tuple[int, int]
    constant: tuple[int, int] | None = None
    reached: tuple[tuple[float, float], ...] = ()


def drivers(
    *terms: Term,
    working_days: tuple[float, float] = (20, 20),
    head_days: tuple[float, float] = (40, 40),
    created: tuple[float, float] = (10, 10),
    moved: tuple[int, int] = (0, 0),
    value: tuple[int, int] | None = None,
) -> dict[str, tuple[float, float, float]]:
    """Driver → its contribution in currency units, and the factor before and after; of one pair of periods."""
    stages = max(1, *(len(term.reached) for term in terms))
    sums = [sum(term.amount[side] for term in terms) + moved[side] for side in (0, 1)]
    found = split(
        Pairs(
            value=cents(value or sums),
            moved=cents(moved),
            working_days=np.array([working_days], dtype=float),
            head_days=np.array([head_days], dtype=float),
            created=np.array([created], dtype=float),
        ),
        Terms(
            pairs=np.zeros(len(terms), dtype=np.intp),
            closed=np.array([term.closed for term in terms], dtype=float),
            won=np.array([term.won for term in terms], dtype=float),
            amount=np.concatenate([cents(term.amount) for term in terms]),
            constant=np.concatenate([cents(term.constant or term.amount) for term in terms]).astype(float),
            reached=np.array(
                [[*term.reached, *[(0, 0)] * (stages - len(term.reached))] for term in terms], dtype=float
            ),
            stages=np.array([[at if at < len(term.reached) else -1 for at in range(stages)] for term in terms]),
            names=tuple(f"S{at + 1}" for at in range(stages)),
        ),
    )
    assert found.cents.sum() == (cents(value or sums) @ [-1, 1])[0]
    return {
        driver: (amount / 100, before, after)
        for driver, amount, before, after in zip(
            found.drivers, found.cents.tolist(), found.before.tolist(), found.after.tolist(), strict=True
        )
    }


def cents(units: Any) -> Any:
    return np.array([units], dtype=np.int64) * 100


def test_what_alone_changed_has_the_whole_difference() -> None:
    one = Term(closed=(8, 8), won=(4, 4), amount=(400, 480))
    assert drivers(one) == {"avg_won_amount": (80, 100, 120)}


def test_more_days_and_more_heads_share_what_they_made_together() -> None:
    # 20 days × 2 heads and 25 × 3: the same per head and day, so 400 becomes 750. 5 × 2.5 and 1 × 22.5, ten a day each.
    one = Term(closed=(8, 15), won=(4, 7.5), amount=(400, 750))
    found = drivers(one, working_days=(20, 25), head_days=(40, 75), created=(10, 18.75))
    assert found == {"calendar": (125, 20, 25), "headcount": (225, 2, 3)}


def test_a_newcomer_is_headcount() -> None:
    one = Term(closed=(0, 8), won=(0, 4), amount=(0, 400))
    assert drivers(one, head_days=(0, 20), created=(0, 10)) == {"headcount": (400, 0, 1)}


def test_whoever_left_and_still_wins_has_no_headcount() -> None:
    # Deals created per working day, as there are no heads: from 0.5 to 0.25.
    one = Term(closed=(8, 4), won=(4, 2), amount=(400, 200))
    assert drivers(one, head_days=(20, 0), created=(10, 5)) == {"created_deals": (-200, 0.5, 0.25)}


def test_deals_decided_where_none_was_created_are_told_per_day() -> None:
    one = Term(closed=(8, 4), won=(4, 2), amount=(400, 200))
    assert drivers(one, created=(10, 0)) == {"closed_deals": (-200, 0.2, 0.1)}


def test_a_stage_that_lets_half_as_many_through_has_the_loss() -> None:
    one = Term(closed=(16, 16), won=(4, 2), amount=(400, 200), reached=((16, 16), (8, 4)))
    assert drivers(one) == {"stage_conversion:S1": (-200, 0.5, 0.25)}


def test_stages_are_told_only_where_both_periods_know_them() -> None:
    one = Term(closed=(16, 16), won=(4, 2), amount=(400, 200), reached=((16, 0), (8, 0)))
    assert drivers(one) == {"win_rate": (-200, 0.25, 0.125)}


def test_nobody_who_came_that_far_changes_no_conversion_after_it() -> None:
    one = Term(closed=(16, 16), won=(4, 0), amount=(400, 0), reached=((16, 16), (8, 0)))
    assert drivers(one) == {"stage_conversion:S1": (-400, 0.5, 0)}


def test_more_of_what_brings_more_is_mix() -> None:
    # Half of the deals are of the dear product, then three quarters of them.
    cheap = Term(closed=(4, 2), won=(2, 1), amount=(200, 100))
    dear = Term(closed=(4, 6), won=(2, 3), amount=(600, 900))
    found = drivers(cheap, dear)
    assert found.keys() == {"mix"}
    assert found["mix"][0] == 200


def test_a_new_product_is_mix_too() -> None:
    old = Term(closed=(8, 4), won=(4, 2), amount=(400, 200))
    new = Term(closed=(0, 4), won=(0, 1), amount=(0, 500))
    assert {driver: contribution for driver, (contribution, *_) in drivers(old, new).items()} == {"mix": 300}


def test_a_better_rate_is_currency() -> None:
    one = Term(closed=(8, 8), won=(4, 4), amount=(400, 440), constant=(400, 400))
    assert drivers(one) == {"currency": (40, 1, 1.1)}


def test_a_win_taken_back_is_not_attributed() -> None:
    usual = Term(closed=(8, 8), won=(4, 4), amount=(400, 400))
    taken_back = Term(closed=(0, -1), won=(0, -1), amount=(0, -90))
    found = drivers(usual, taken_back)
    assert found["unattributed"][0] == -90
    assert found.keys() == {"unattributed"}


def test_managers_who_moved_are_apart() -> None:
    usual = Term(closed=(8, 8), won=(4, 4), amount=(400, 480))
    found = drivers(usual, moved=(50, 0))
    assert {driver: contribution for driver, (contribution, *_) in found.items()} == {
        "avg_won_amount": 80,
        "transfer": -50,
    }


def test_inputs_of_something_else_are_refused() -> None:
    with pytest.raises(BuildFailed, match=r"has a won_amount of 480\.00 where kpi_value has 500\.00"):
        drivers(Term(closed=(8, 8), won=(4, 4), amount=(400, 480)), value=(400, 500))


def test_the_order_of_terms_changes_nothing() -> None:
    chance = np.random.default_rng(1)
    terms = [
        Term(closed=(won + 3, won + 1), won=(won, won), amount=tuple(chance.integers(10, 99, 2).tolist()))
        for won in range(1, 30)
    ]
    found, again = drivers(*terms), drivers(*terms[::-1])
    assert {driver: row[0] for driver, row in found.items()} == {driver: row[0] for driver, row in again.items()}
