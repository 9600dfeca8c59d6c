"""Kernels for shares: limits of a difference and of a ratio, and exact tests, over arrays of counts."""

from __future__ import annotations

import math
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.shares import wilson


def fisher_test(x1: int, n1: int, x2: int, n2: int, *, alternative: str = "two-sided") -> float:
    """Return the p-value of Fisher's exact test of equal shares.

    Parameters
    ----------
    x1, n1 : int
        The number of people with a yes, and of all people, in the first group.
    x2, n2 : int
        The same in the second group.
    alternative : {"two-sided", "greater", "less"}
        "greater" tests whether the first group's share is larger.

    Examples
    --------
    The lady who tasted tea, [[3, 1], [1, 3]]:

    >>> round(fisher_test(3, 4, 1, 4), 10)
    0.4857142857
    """
    from scipy.stats import fisher_exact

    (a, m), (b, n) = counted("x1", x1, "n1", n1), counted("x2", x2, "n2", n2)
    table = np.array([[int(a), int(m - a)], [int(b), int(n - b)]])
    return float(fisher_exact(table, alternative=_alternative(alternative))[1])


def boschloo_test(x1: int, n1: int, x2: int, n2: int, *, alternative: str = "two-sided") -> float:
    """Return the p-value of Boschloo's exact test, which is more powerful than Fisher's.

    Parameters
    ----------
    x1, n1, x2, n2, alternative
        As for `fisher_test`.

    Examples
    --------
    >>> round(boschloo_test(3, 4, 1, 4), 4)
    0.2891
    """
    from scipy.stats import boschloo_exact

    (a, m), (b, n) = counted("x1", x1, "n1", n1), counted("x2", x2, "n2", n2)
    if int(m) == 0 or int(n) == 0:
        return math.nan
    if int(a + b) in {0, int(m + n)}:
        return 1.0  # every table with these margins looks the same
    # scipy conditions on columns: one column per group.
    found = boschloo_exact([[int(a), int(b)], [int(m - a), int(n - b)]], alternative=_alternative(alternative))
    return float(min(found.pvalue, 1.0))


def _alternative(alternative: str) -> Literal["two-sided", "greater", "less"]:
    return cast(
        "Literal['two-sided', 'greater', 'less']",
        checks.one_of("alternative", alternative, ("two-sided", "greater", "less")),
    )


def counted(x_name: str, x: int, n_name: str, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the number of people with a yes and of all people, checked."""
    people = checks.whole(n_name, n, low=0)
    successes = checks.whole(x_name, x, low=0)
    if successes > people:
        raise InputError(
            f"{x_name} is {successes}: it cannot be more than {n_name}, which is {people}.",
            argument=x_name,
            code="wrong_value",
        )
    return np.asarray(float(successes)), np.asarray(float(people))


# The kernels below take float arrays of counts that broadcast; an empty group gives NaN.


def newcombe(
    x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of p1 - p2 by Newcombe's method 10."""
    l1, u1 = wilson(x1, n1, z)
    l2, u2 = wilson(x2, n2, z)
    p1, p2 = x1 / np.where(n1 > 0, n1, np.nan), x2 / np.where(n2 > 0, n2, np.nan)
    d = p1 - p2
    return d - np.hypot(p1 - l1, u2 - p2), d + np.hypot(u1 - p1, p2 - l2)


def agresti_caffo(
    x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of p1 - p2 by Agresti and Caffo."""
    empty = (n1 == 0) | (n2 == 0)
    p1, p2 = (x1 + 1) / (n1 + 2), (x2 + 1) / (n2 + 2)
    half = z * np.sqrt(p1 * (1 - p1) / (n1 + 2) + p2 * (1 - p2) / (n2 + 2))
    d = p1 - p2
    return np.where(empty, np.nan, np.maximum(d - half, -1.0)), np.where(empty, np.nan, np.minimum(d + half, 1.0))


def variance(x: FloatArray, n: FloatArray) -> FloatArray:
    """Return the variance of a share, p (1 - p) / n; where that is zero, with one yes and one no added.

    A few people without a yes do not prove that there never is one (Agresti and Caffo 2000).
    """
    p, more = x / n, (x + 1) / (n + 2)
    return np.where((x > 0) & (x < n), p * (1 - p) / n, more * (1 - more) / (n + 2))


def attainable(n1: FloatArray, n0: FloatArray, *, sides: int) -> FloatArray:
    """Return the smallest p-value that a valid test of so few people can have.

    It is the chance of the most extreme table, every yes in one arm, at the common share that makes it most likely.
    """
    n = np.maximum(n1 + n0, 1.0)
    w = n1 / n
    one = w**n1 * (1 - w) ** n0
    return one if sides == 1 else np.minimum(one + (1 - w) ** n1 * w**n0, 1.0)


def mover_ratio(
    x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of p1 / p2 from Wilson's limits of both shares (MOVER-R); NaN if nobody in group 2 has a yes.

    A. Donner and G. Y. Zou (2012), Statistical Methods in Medical Research 21, 347-359: eq. 9, the lower limit with its
    root made rational.
    """
    l1, u1 = wilson(x1, n1, z)
    l2, u2 = wilson(x2, n2, z)
    p1, p2 = x1 / np.where(n1 > 0, n1, np.nan), x2 / np.where(n2 > 0, n2, np.nan)
    both = np.where(p2 > 0, p1 * p2, np.nan)
    a, b = l1 * (2 * p1 - l1), u2 * (2 * p2 - u2)
    below = both + np.sqrt(np.maximum(both * both - a * b, 0.0))
    low = np.divide(a, below, out=np.where(np.isnan(below), np.nan, 0.0), where=below > 0)
    c, d = u1 * (2 * p1 - u1), l2 * (2 * p2 - l2)
    high = (both + np.sqrt(np.maximum(both * both - c * d, 0.0))) / np.where(d > 0, d, np.nan)
    return low, np.where(np.isnan(both), np.nan, np.where(d > 0, high, np.inf))


def farrington_manning(x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, delta: FloatArray) -> FloatArray:
    """Return the score statistic of p1 - p2 against a difference delta: Farrington and Manning (1990), eq. 2."""
    spread = restricted_variance(x1, n1, x2, n2, delta)
    away = x1 / n1 - x2 / n2 - delta
    return np.divide(away, np.sqrt(spread), out=np.copysign(np.inf, away), where=spread > 0)


def miettinen_nurminen(
    x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of p1 - p2 by Miettinen and Nurminen: where the score statistic is z, found by bisection."""
    x1, n1, x2, n2, z = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(x1, n1, x2, n2, z))
    empty = (n1 == 0) | (n2 == 0)
    m1, m2 = np.where(empty, 1.0, n1), np.where(empty, 1.0, n2)
    a1, a2 = np.minimum(x1, m1), np.minimum(x2, m2)
    d = a1 / m1 - a2 / m2

    def outside(delta: FloatArray) -> npt.NDArray[np.bool_]:
        variance = restricted_variance(a1, m1, a2, m2, delta)
        return (d - delta) ** 2 > z * z * variance

    limits = []
    for end in (-1.0, 1.0):
        inner, outer = d.copy(), np.full_like(d, end)
        for _ in range(60):
            middle = (inner + outer) / 2
            out = outside(middle)
            outer = np.where(out, middle, outer)
            inner = np.where(out, inner, middle)
        limits.append(np.where(empty, np.nan, (inner + outer) / 2))
    return limits[0], limits[1]


def restricted_variance(
    x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray, delta: FloatArray
) -> FloatArray:
    """Return the variance of p1 - p2 at the most likely shares whose difference is delta (their eq. 9, appendix I)."""
    n = n1 + n2
    c = x1 + x2
    l3 = n
    # The paper writes R1 = R0 + RD; here group 2 plays the part of their group 0.
    l2 = (n1 + 2 * n2) * delta - n - c
    l1 = (n2 * delta - n - 2 * x2) * delta + c
    l0 = x2 * delta * (1 - delta)
    q = (l2 / (3 * l3)) ** 3 - l1 * l2 / (6 * l3 * l3) + l0 / (2 * l3)
    root = np.sqrt(np.maximum((l2 / (3 * l3)) ** 2 - l1 / (3 * l3), 0.0))
    p = np.where(q >= 0, root, -root)
    ratio = np.divide(q, p**3, out=np.zeros_like(q), where=p != 0)
    angle = (math.pi + np.arccos(np.clip(ratio, -1.0, 1.0))) / 3
    r2 = np.clip(2 * p * np.cos(angle) - l2 / (3 * l3), np.maximum(0.0, -delta), np.minimum(1.0, 1.0 - delta))
    r1 = np.clip(r2 + delta, 0.0, 1.0)
    return np.asarray((r1 * (1 - r1) / n1 + r2 * (1 - r2) / n2) * n / np.maximum(n - 1, 1.0))


def pooled_z(x1: FloatArray, n1: FloatArray, x2: FloatArray, n2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the z statistic of equal shares with pooled variance, and its two-sided p."""
    n = np.where((n1 > 0) & (n2 > 0), n1 + n2, np.nan)
    p = (x1 + x2) / n
    variance = p * (1 - p) * (1 / np.maximum(n1, 1) + 1 / np.maximum(n2, 1))
    z = np.divide(
        x1 / np.maximum(n1, 1) - x2 / np.maximum(n2, 1),
        np.sqrt(variance),
        out=np.full(np.shape(variance), np.nan),
        where=variance > 0,
    )
    return z, 2 * ndtr(-np.abs(z))
