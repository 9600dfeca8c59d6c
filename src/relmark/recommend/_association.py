"""How strongly two items are associated, from counts: n baskets, n_a and n_b with each item, n_ab with both."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from relmark.core.checks import FloatArray


def lift(n_ab: FloatArray, n_a: FloatArray, n_b: FloatArray, n: float) -> FloatArray:
    """Return P(ab) / (P(a) P(b)); above 1, the two occur together more often than by chance."""
    return n_ab / n / ((n_a / n) * (n_b / n))


def cosine(n_ab: FloatArray, n_a: FloatArray, n_b: FloatArray) -> FloatArray:
    """Return n_ab / sqrt(n_a n_b)."""
    return n_ab / np.sqrt(n_a * n_b)


def jaccard(n_ab: FloatArray, n_a: FloatArray, n_b: FloatArray) -> FloatArray:
    """Return n_ab / (n_a + n_b - n_ab)."""
    return n_ab / (n_a + n_b - n_ab)


def log_likelihood_ratio(n_ab: FloatArray, n_a: FloatArray, n_b: FloatArray, n: float) -> FloatArray:
    """Return Dunning's G2 of the two-by-two table, 2 sum O ln(O / E): the evidence that the two are associated.

    It is large for pairs with strong evidence, frequent or rare, whether they attract or avoid each other; lift gives
    the direction.
    (T. Dunning, Accurate methods for the statistics of surprise and coincidence, 1993, section 4.)
    """
    k = (n_ab, n_a - n_ab, n_b - n_ab, n - n_a - n_b + n_ab)
    rows, columns = (n_a, n - n_a), (n_b, n - n_b)
    # sum O ln(O / E) = sum O ln O - sum row ln row - sum column ln column + n ln n
    total = sum(xlogy(o, o) for o in k) - sum(xlogy(r, r) for r in rows) - sum(xlogy(c, c) for c in columns)
    return np.maximum(2.0 * (total + xlogy(n, n)), 0.0)
