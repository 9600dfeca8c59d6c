"""The score interval of a net share: the share of promoters less the share of detractors among n answers.

The two shares are cells of one multinomial, so their difference is the paired difference of Tango (1998). The interval
holds every theta with |b - c - n theta| <= z sqrt(n (2 q + theta (1 - theta))), where q is the maximum likelihood share
of detractors given theta. For three promoters out of three the interval is not [1, 1], because the variance is taken at
theta, not at the estimate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray

__all__ = ["net_share_interval"]

_STEPS = 60  # halvings of [-1, 1]: below 1e-17


def net_share_interval(b: npt.ArrayLike, c: npt.ArrayLike, n: npt.ArrayLike, z: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of Tango's interval of (b - c) / n; NaN where n is 0."""
    up, down, total = (np.asarray(one, dtype=np.float64) for one in (b, c, n))
    people = np.where(total > 0, total, np.nan)

    def statistic(theta: FloatArray) -> FloatArray:
        # Tango (1998), section 3: the root of A q^2 + B q + C = 0
        A = 2 * people
        B = -up - down + (2 * people - up + down) * theta
        C = -down * theta * (1 - theta)
        q = (np.sqrt(np.maximum(B * B - 4 * A * C, 0.0)) - B) / (2 * A)
        variance = np.maximum(people * (2 * q + theta * (1 - theta)), 0.0)
        return np.asarray((up - down - people * theta) / np.sqrt(np.maximum(variance, 1e-300)))

    def end(bound: float) -> FloatArray:
        low, high = np.full(people.shape, -1.0), np.full(people.shape, 1.0)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            above = statistic(middle) > bound  # it falls as theta rises
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.asarray(np.where(np.isnan(people), np.nan, (low + high) / 2))

    lower, upper = end(z), end(-z)
    # At the ends of [-1, 1] the bound is that end itself; bisection stops one rounding error before it.
    lower = np.where(down == people, -1.0, lower)
    upper = np.where(up == people, 1.0, upper)
    return lower, upper
