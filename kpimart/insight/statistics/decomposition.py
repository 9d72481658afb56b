"""Splits the change of a product among its factors, and rounds the parts so that they sum to the change exactly.

The game is the product, the players its factors, and a coalition has those factors as they are after, all others as
they were before. Its Shapley value is the mean effect of changing a factor over all orders in which all could have
changed, so no order is preferred.

Source: Shapley, A Value for n-Person Games (1953); the integral along the diagonal of the multilinear extension, which
is how it is computed here, is by Owen, Multilinear Extensions of Games (1972). On additive decomposition: Ang, Liu and
Chew, Perfect decomposition techniques in energy and environmental analysis (2003).
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Cents = NDArray[np.int64]

CHUNK = 16_384


class NotDecomposed(ValueError):
    """Contributions that are further from what they must sum to than rounding explains."""


def shapley(before: Numbers, after: Numbers) -> Numbers:
    """What each factor contributes to the change of its product.

    before, after: (products, factors). Returns (products, factors), each row of which sums to the change of the
    product, but for the last bits of doubles. Along the diagonal every factor goes from before to after at once, and
    the effect of one of them is a polynomial of the others, which Gauss' quadrature integrates exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss(max(1, (before.shape[1] + 1) // 2))
    contributions = np.empty_like(before)
    # So many rows at a time as stay in the processor's cache.
    for start in range(0, len(before), CHUNK):
        part = slice(start, start + CHUNK)
        change = after[part] - before[part]
        effect = np.zeros_like(change)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            effect += weight * _products_of_the_others(before[part] + node * change)
        contributions[part] = change * effect
    return contributions


def _products_of_the_others(factors: Numbers) -> Numbers:
    """For each factor the product of all but itself; without a division, as a factor may be 0."""
    products = np.ones_like(factors)
    products[:, 1:] = np.cumprod(factors[:, :-1], axis=1)
    products[:, :-1] *= np.cumprod(factors[:, :0:-1], axis=1)[:, ::-1]
    return products


def in_cents(contributions: Numbers, changes: Cents) -> Cents:
    """The contributions as whole cents that sum to the change exactly: the largest one takes what rounding leaves.

    contributions: (changes, drivers), in cents; of equally large ones the first takes it. changes: (changes,).
    Raises NotDecomposed if more is left than rounding can leave.
    """
    rounded = np.rint(contributions).astype(np.int64)
    left = changes - rounded.sum(axis=1)
    # Half a cent each, and the last bits of doubles.
    allowed = 1 + contributions.shape[1] / 2 + 1e-9 * np.abs(contributions).sum(axis=1)
    if np.any(np.abs(left) > allowed):
        place = int(np.argmax(np.abs(left) - allowed))
        raise NotDecomposed(f"change {place} is {changes[place]} cents, and its parts sum to {rounded[place].sum()}")
    if rounded.size:
        rounded[np.arange(len(rounded)), np.argmax(np.abs(contributions), axis=1)] += left
    return rounded
