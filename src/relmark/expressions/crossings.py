"""When a figure that grows with time passes a bound: days since an event, and arithmetic with them.

Between two instants at which an event enters or leaves a window, such a figure is a ratio of two polynomials in the
days from now. Their roots show near which microsecond a comparison changes; bisection with the same function that
evaluates the rule then finds the exact microsecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from relmark.core.time import DAY

__all__ = ["Line", "Polynomial", "combined", "first_change", "minus", "roots"]

Polynomial = tuple[float, ...]
"""Coefficients by ascending power; the variable is the number of days after an instant."""

ONE: Polynomial = (1.0,)


class Line(NamedTuple):
    """A number that changes with time: ``over / under`` until an instant, unknown where `over` is None.

    `poles` are the divisors, polynomials that must not be 0.
    """

    over: Polynomial | None
    under: Polynomial
    until: int
    poles: tuple[Polynomial, ...] = ()


def combined(op: str, left: Line, right: Line) -> Line:
    """Return the sum, difference, product or quotient of two numbers that change with time."""
    until = min(left.until, right.until)
    poles = left.poles + right.poles
    if left.over is None or right.over is None:
        return Line(None, ONE, until, poles)
    if op == "mul":
        return Line(_times(left.over, right.over), _times(left.under, right.under), until, poles)
    if op == "div":
        over, under = _times(left.over, right.under), _times(left.under, right.over)
        return Line(over, under, until, (*poles, right.over))
    a, b = _times(left.over, right.under), _times(right.over, left.under)
    return Line(_plus(a, b, 1.0 if op == "add" else -1.0), _times(left.under, right.under), until, poles)


def minus(left: Line, right: Line) -> Polynomial:
    """Return the polynomial whose roots are the times at which two known numbers are equal."""
    assert left.over is not None
    assert right.over is not None
    return _plus(_times(left.over, right.under), _times(right.over, left.under), -1.0)


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    out = [0.0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(out)


def _plus(a: Polynomial, b: Polynomial, sign: float) -> Polynomial:
    n = max(len(a), len(b))
    return tuple((a[k] if k < len(a) else 0.0) + sign * (b[k] if k < len(b) else 0.0) for k in range(n))


def roots(polynomials: Iterable[Polynomial]) -> list[float]:
    """Return the real roots of polynomials that are not below 0, ascending; a constant has none."""
    found: list[float] = []
    for polynomial in polynomials:
        degree = len(polynomial) - 1
        while degree > 0 and polynomial[degree] == 0.0:
            degree -= 1
        if degree == 1:
            found.append(-polynomial[0] / polynomial[1])
        elif degree > 1:
            every = np.roots(polynomial[degree::-1]).astype(np.complex128)
            # Two equal roots are computed as a pair with a small imaginary part.
            found += every.real[np.abs(every.imag) <= 1e-6 * (1.0 + np.abs(every))].tolist()
    return sorted(root for root in found if root > -1e-9 and math.isfinite(root))


def first_change(sign: Callable[[int], Any], at: int, end: int, near: list[float]) -> int:
    """Return the first instant after `at` and before `end` at which `sign` differs from its value at `at`, or `end`.

    Parameters
    ----------
    sign : callable
        A function of an instant; between two neighbors of `near` it changes at most once.
    at, end : int
        Microseconds.
    near : list of float
        Days after `at` near which it may change, ascending.
    """
    now = sign(at)
    if end - at <= 1:
        return end
    places = sorted({place for days in near if (place := at + round(min(days, 1e9) * DAY)) < end})
    edges = [(a + b) // 2 for a, b in pairwise(places)] + [end - 1]
    low = at
    for k, high in enumerate(edges):
        if sign(high) != now:
            return _bisected(sign, now, low, high)
        for place in range(max(places[k] - 3, low + 1), min(places[k] + 4, high)) if k < len(places) else ():
            if sign(place) != now:  # it touches the bound, or is unknown for an instant
                return place
        low = high
    return end


def _bisected(sign: Callable[[int], Any], now: Any, low: int, high: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if sign(middle) == now:
            low = middle
        else:
            high = middle
    return high
