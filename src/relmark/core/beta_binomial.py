"""The beta-binomial distribution: kernels for models in which chances differ by a beta distribution.

Arguments of the gamma functions are parameters plus whole numbers, so that values are read from small tables.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, gammaln, zeta

from relmark.core.checks import FloatArray, IntArray
from relmark.core.newton import Terms

__all__ = ["betaln_table", "digamma_table", "likelihood_of_counts"]


def betaln_table(a: float, b: float, i: IntArray, j: IntArray, longest: int) -> FloatArray:
    """Return ln B(a + i, b + j) for whole i and j, from tables."""
    whole = np.arange(longest + 1)
    both = gammaln(a + b + np.arange(2 * longest + 1))
    result: FloatArray = gammaln(a + whole)[i] + gammaln(b + whole)[j] - both[i + j]
    return result


def digamma_table(a: float, i: IntArray, order: int = 0) -> FloatArray:
    """Return digamma(a + i), or its derivative, for whole i, from a table."""
    whole = a + np.arange(int(i.max(initial=0)) + 1)
    table: FloatArray = zeta(2.0, whole) if order else digamma(whole)
    return table[i]


def likelihood_of_counts(parameters: FloatArray, x: IntArray, n: IntArray, w: FloatArray) -> Terms:
    """Return the log-likelihood of x successes in n trials of each row, with gradient and Hessian in (alpha, beta).

    Skellam (1948): L = B(alpha + x, beta + n - x) / B(alpha, beta), without the constant; `w` weighs the rows.
    """
    alpha, beta = parameters.tolist()
    misses, total = n - x, float(w.sum())
    longest = int(n.max(initial=0))
    value = float(w @ betaln_table(alpha, beta, x, misses, longest)) - total * float(betaln(alpha, beta))
    both = w @ digamma_table(alpha + beta, n) - total * digamma(alpha + beta)
    spread = w @ digamma_table(alpha + beta, n, 1) - total * zeta(2.0, alpha + beta)
    own = [
        (w @ digamma_table(p, count) - total * digamma(p), w @ digamma_table(p, count, 1) - total * zeta(2.0, p))
        for p, count in ((alpha, x), (beta, misses))
    ]
    gradient = np.array([first - both for first, _ in own])
    hessian = np.full((2, 2), -spread) + np.diag([second for _, second in own])
    return value, gradient, hessian
