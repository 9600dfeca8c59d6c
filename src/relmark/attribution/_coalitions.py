"""Shapley values over all coalitions of up to 22 players, as bit masks.

The value of player i is the mean of its marginal contributions v(S with i) - v(S) with weights
1 / (n binom(n - 1, |S|)). These are sums of 2^(n-1) bounded terms with weights that add up to 1. The dividends of the
same game, in contrast, alternate in sign and may grow like 2^n (Shapley 1953; Harsanyi 1959).
"""

from __future__ import annotations

import math

import numpy as np

from relmark.core.checks import FloatArray


def subset_sums(amounts: FloatArray) -> FloatArray:
    """Return the sum of the amounts of all subsets of each coalition, shape (2^n,)."""
    out = amounts.copy()
    width = 1
    while width < len(out):
        pairs = out.reshape(-1, 2, width)
        pairs[:, 1] += pairs[:, 0]
        width *= 2
    return out


def shapley_values(worth: FloatArray) -> FloatArray:
    """Return the value of each player of a game, from the worth of all coalitions, shape (2^n,)."""
    n = len(worth).bit_length() - 1
    size = np.zeros(len(worth), dtype=np.int8)
    width = 1
    while width < len(size):
        size[width : 2 * width] = size[:width] + 1
        width *= 2
    weight = np.array([1.0 / (n * math.comb(n - 1, s)) for s in range(n)] + [0.0])
    values = np.empty(n)
    for player in range(n):
        pairs = worth.reshape(-1, 2, 1 << player)
        without = size.reshape(-1, 2, 1 << player)[:, 0]
        values[player] = np.sum((pairs[:, 1] - pairs[:, 0]) * weight[without])
    return values
