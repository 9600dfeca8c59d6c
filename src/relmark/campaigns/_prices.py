"""Prices of limits: the Lagrangian dual of an allocation, minimised by cutting planes.

At prices u everybody takes what leaves most, and the dual is ``D(u) = sum over customers of what is left + u'b``, convex
and piecewise linear, above the value of every allocation that keeps the limits. One evaluation is one pass over the
customers and gives a plane below D. The next prices are those nearest to the best ones so far, in the 1-norm, at which
all planes lie below a level between the lowest that D can be and the lowest it was: two small linear programs.

References
----------
Lemarechal, Nemirovskii, Nesterov (1995), "New variants of bundle methods", Mathematical Programming 69, section 2.
"""

from __future__ import annotations

import attrs
import numpy as np

from relmark.campaigns._limits import Chosen, Problem, choose
from relmark.core.checks import FloatArray

__all__ = ["Priced", "dual_bound", "find_prices"]

_SAMPLE = 8_192
_ACTIVE = 16_384
_ROUNDS = 12
_STEPS = 150
_LEVEL = 0.3
_FAR = 1e4


@attrs.frozen(eq=False)
class Priced:
    """Prices, and the bound that they prove."""

    price: FloatArray
    bound: float
    chosen: Chosen


def dual_bound(problem: Problem, price: FloatArray, chosen: Chosen) -> float:
    """Return D(u), raised by more than its rounding errors, so that it is above every allocation."""
    paid = price * problem.limits.bound
    size = abs(chosen.size) + float(np.abs(paid).sum())
    return float(chosen.total + paid.sum() + size * 64 * np.finfo(np.float64).eps)


def find_prices(problem: Problem, unit: float) -> Priced:
    """Return prices near the best ones; `unit` is the scale of the values."""
    limits = problem.limits
    start = np.zeros(len(limits))
    if not len(limits):
        return _priced(problem, start)
    if problem.n > 2 * _SAMPLE:
        step = problem.n // _SAMPLE
        rows = np.arange(0, problem.n, step)
        sample = problem.take(rows, limits.bound * (len(rows) / problem.n))
        start = _descend(sample, start, unit, tolerance=1e-6)
    if problem.n <= _ACTIVE:
        return _priced(problem, _descend(problem, start, unit, tolerance=1e-10))
    best = _priced(problem, start)
    for _ in range(_ROUNDS):
        # Far from their margins customers keep their choice: what they weigh is a constant of the smaller problem.
        margin = best.chosen.margin
        assert margin is not None
        assert best.chosen.pairs is not None
        active = np.sort(np.argpartition(margin, _ACTIVE)[:_ACTIVE])
        rest = best.chosen.pairs.copy()
        rest[:, active] = False
        near = problem.take(active, limits.bound - limits.loads(rest))
        span = float(np.max(margin[active]))
        price = _descend(near, best.price, unit, tolerance=1e-11, span=span)
        other = _priced(problem, price)
        gained = best.bound - other.bound
        if gained > 0:
            best = other
        if gained <= 1e-9 * max(abs(best.bound), unit):
            break
    return best


def _priced(problem: Problem, price: FloatArray) -> Priced:
    chosen = choose(problem, price, pairs=True)
    return Priced(price, dual_bound(problem, price, chosen), chosen)


def _descend(
    problem: Problem, start: FloatArray, unit: float, *, tolerance: float, span: float | None = None
) -> FloatArray:
    """Return prices at which D is nearly least; with `span`, not farther from the start than choices are sure."""
    from scipy.optimize import linprog

    limits, m = problem.limits, len(problem.limits)
    size = unit / limits.scale()  # the unit of each price
    bound = limits.bound
    value_unit = max(unit, 1e-300) * max(problem.n, 1)
    low, high = np.zeros(m), np.full(m, _FAR)
    if span is not None:
        reach = max(span / unit, 1e-12)
        low, high = np.maximum(start / size - reach, 0.0), start / size + reach

    planes: list[FloatArray] = []
    heights: list[float] = []

    def look(at: FloatArray) -> float:
        found = choose(problem, at * size)
        slope = (bound - found.loads) * size / value_unit
        value = (found.total + float((at * size * bound).sum())) / value_unit
        planes.append(slope)
        heights.append(value - float((slope * at).sum()))
        return value

    best = np.clip(start / size, low, high)
    least = look(best)
    for _ in range(_STEPS):
        slopes, height = np.array(planes), np.array(heights)
        lowest = linprog(
            np.append(np.zeros(m), 1.0),
            A_ub=np.column_stack([slopes, -np.ones(len(slopes))]), b_ub=-height,
            bounds=[*zip(low, high, strict=True), (None, None)], method="highs",
        )  # fmt: skip
        if lowest.status != 0:
            break
        floor = float(lowest.x[-1])
        if least - floor <= tolerance * max(abs(least), 1e-6):
            break
        level = floor + _LEVEL * (least - floor)
        # min sum of d, -d <= u - best <= d, below the level
        eye = np.eye(m)
        nearest = linprog(
            np.concatenate([np.zeros(m), np.ones(m)]),
            A_ub=np.block([[slopes, np.zeros((len(slopes), m))], [eye, -eye], [-eye, -eye]]),
            b_ub=np.concatenate([level - height, best, -best]),
            bounds=[*zip(low, high, strict=True), *[(0, None)] * m], method="highs",
        )  # fmt: skip
        at = np.clip(nearest.x[:m] if nearest.status == 0 else lowest.x[:m], low, high)
        value = look(at)
        if value < least:
            least, best = value, at
    return np.asarray(best * size)
