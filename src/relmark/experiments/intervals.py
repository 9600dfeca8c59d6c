"""Intervals for shares from counts alone: for one share, and for the difference of two.

Newcombe's interval (method 10: Wilson's interval of each share, combined) is the default of a `Proportion`. Wald's
covers far less than it promises if one arm is small and events are rare, which is typical of control groups.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.intervals import Interval
from relmark.core.shares import wilson
from relmark.experiments.proportions import agresti_caffo, counted, miettinen_nurminen, newcombe

__all__ = [
    "agresti_caffo_interval",
    "miettinen_nurminen_interval",
    "newcombe_interval",
    "wilson_interval",
]


def wilson_interval(x: int, n: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for one share, ``x / n``.

    Parameters
    ----------
    x, n : int
        The number of people with a yes, and of all people.
    level : float
        The confidence level.

    References
    ----------
    E. B. Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> wilson_interval(81, 263)
    [0.2553, 0.3662] (95 %, Wilson)
    """
    successes, people = counted("x", x, "n", n)
    low, high = wilson(successes, people, _z(level))
    return Interval(float(low), float(high), level, "Wilson")


def newcombe_interval(x1: int, n1: int, x2: int, n2: int, *, level: float = 0.95) -> Interval:
    """Return Newcombe's interval for the difference of two shares, ``x1 / n1 - x2 / n2``.

    Parameters
    ----------
    x1, n1 : int
        The number of people with a yes, and of all people, in the first group.
    x2, n2 : int
        The same in the second group.
    level : float
        The confidence level.

    Returns
    -------
    Interval
        The interval of the first share minus the second.

    Notes
    -----
    With Wilson's limits l and u of each share p, the interval is d - sqrt((p1 - l1)^2 + (u2 - p2)^2) to
    d + sqrt((u1 - p1)^2 + (p2 - l2)^2).

    References
    ----------
    R. G. Newcombe (1998), Statistics in Medicine 17, 873-890: method 10.

    Examples
    --------
    >>> newcombe_interval(56, 70, 48, 80)
    [0.05243, 0.3339] (95 %, Newcombe)
    """
    (a, m), (b, n) = counted("x1", x1, "n1", n1), counted("x2", x2, "n2", n2)
    low, high = newcombe(a, m, b, n, _z(level))
    return Interval(float(low), float(high), level, "Newcombe")


def miettinen_nurminen_interval(x1: int, n1: int, x2: int, n2: int, *, level: float = 0.95) -> Interval:
    """Return Miettinen and Nurminen's score interval for the difference of two shares, first minus second.

    References
    ----------
    O. Miettinen and M. Nurminen (1985), Statistics in Medicine 4, 213-226: eqs 8 and 9, appendix I.

    Examples
    --------
    >>> miettinen_nurminen_interval(56, 70, 48, 80)
    [0.05283, 0.3382] (95 %, Miettinen-Nurminen)
    """
    (a, m), (b, n) = counted("x1", x1, "n1", n1), counted("x2", x2, "n2", n2)
    low, high = miettinen_nurminen(a, m, b, n, _z(level))
    return Interval(float(low), float(high), level, "Miettinen-Nurminen")


def agresti_caffo_interval(x1: int, n1: int, x2: int, n2: int, *, level: float = 0.95) -> Interval:
    """Return Agresti and Caffo's interval for the difference: Wald's, with one yes and one no added to each group.

    References
    ----------
    A. Agresti and B. Caffo (2000), The American Statistician 54, 280-288.

    Examples
    --------
    >>> agresti_caffo_interval(56, 70, 48, 80)
    [0.05245, 0.3358] (95 %, Agresti-Caffo)
    """
    (a, m), (b, n) = counted("x1", x1, "n1", n1), counted("x2", x2, "n2", n2)
    low, high = agresti_caffo(a, m, b, n, _z(level))
    return Interval(float(low), float(high), level, "Agresti-Caffo")


def _z(level: float) -> FloatArray:
    return np.asarray(-ndtri((1 - checks.fraction("level", level)) / 2))
