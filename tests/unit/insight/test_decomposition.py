from itertools import permutations
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kpimart.insight.statistics.decomposition import NotDecomposed, in_cents, shapley

# Zeros and reversals too: a deal that was taken back counts against what was won.
FACTORS = st.one_of(st.just(0.0), st.just(1.0), st.floats(-3, 50, allow_subnormal=False))


def close(left: object, right: object, scale: float = 1.0) -> bool:
    return bool(np.allclose(left, right, rtol=1e-9, atol=1e-9 * max(1.0, scale)))


def over_all_orders(before: list[float], after: list[float]) -> list[float]:
    """The definition: the mean effect of changing each factor, over all orders of changing them."""
    effects = [0.0] * len(before)
    for order in permutations(range(len(before))):
        now = list(before)
        for place in order:
            was = prod(now)
            now[place] = after[place]
            effects[place] += prod(now) - was
    return [effect / factorial(len(before)) for effect in effects]


@st.composite
def products(draw: st.DrawFn, factors: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    count = factors or draw(st.integers(1, 6))
    row = arrays(float, (1, count), elements=FACTORS)
    return draw(row), draw(row)


def scale_of(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.prod(np.maximum(1, np.maximum(np.abs(before), np.abs(after)))))


def test_two_factors_share_what_both_changed_together() -> None:
    # 10 × 5 = 50 becomes 12 × 8 = 96: 2 × (5 + 8) / 2, and 3 × (10 + 12) / 2.
    assert close(shapley(np.array([[10.0, 5.0]]), np.array([[12.0, 8.0]])), [[13, 33]])


def test_what_comes_from_nothing_is_shared_alike() -> None:
    # 0 × 0 becomes 2 × 3: neither makes anything without the other.
    assert close(shapley(np.zeros((1, 2)), np.array([[2.0, 3.0]])), [[3, 3]])


@given(products())
def test_it_is_the_mean_over_all_orders(product: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = product
    expected = over_all_orders(before[0].tolist(), after[0].tolist())
    assert close(shapley(before, after)[0], expected, scale_of(before, after))


@given(products())
def test_the_parts_sum_to_the_change(product: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = product
    assert close(shapley(before, after).sum(), np.prod(after) - np.prod(before), scale_of(before, after))


@given(products(factors=12))
def test_a_factor_that_did_not_change_contributes_nothing(product: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = product
    after[0, 3] = before[0, 3]
    assert shapley(before, after)[0, 3] == 0


@given(products(factors=5))
def test_factors_that_changed_alike_contribute_alike(product: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = product
    before[0, 4], after[0, 4] = before[0, 1], after[0, 1]
    parts = shapley(before, after)[0]
    assert close(parts[1], parts[4], scale_of(before, after))


@given(products(factors=6), st.permutations(range(6)))
def test_the_order_of_factors_does_not_matter(product: tuple[np.ndarray, np.ndarray], order: list[int]) -> None:
    before, after = product
    reordered = shapley(before[:, order], after[:, order])
    assert close(reordered, shapley(before, after)[:, order], scale_of(before, after))


def test_sixteen_factors_are_still_exact() -> None:
    # Alike, each has a sixteenth of 2^16 - 1.
    assert close(shapley(np.ones((1, 16)), np.full((1, 16), 2.0)), np.full((1, 16), 65_535 / 16), 65_535)


# ------------------------------------------------------------------------------------------------------ whole cents


def test_the_largest_part_takes_what_rounding_leaves() -> None:
    assert in_cents(np.array([[33.4, 33.4, -0.4, 33.6]]), np.array([100])).tolist() == [[33, 33, 0, 34]]
    assert in_cents(np.array([[0.4, 0.4, 0.2]]), np.array([1])).tolist() == [[1, 0, 0]]


@given(arrays(float, (4, 7), elements=st.floats(-1e11, 1e11, allow_subnormal=False)))
def test_cents_sum_to_the_change_and_are_near_their_parts(parts: np.ndarray) -> None:
    changes = np.rint(parts.sum(axis=1)).astype(np.int64)
    cents = in_cents(parts, changes)
    assert cents.sum(axis=1).tolist() == changes.tolist()
    assert (np.abs(cents - parts) <= 5).all()


def test_parts_of_something_else_are_refused() -> None:
    with pytest.raises(NotDecomposed, match="is 300 cents, and its parts sum to 200"):
        in_cents(np.array([[100.0, 100.0]]), np.array([300]))


def test_nothing_is_split_into_nothing() -> None:
    assert in_cents(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)).shape == (0, 3)
    assert shapley(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)
