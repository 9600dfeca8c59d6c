"""Prices of limits: the Lagrangian dual of an allocation, minimized by Newton steps and cutting planes.

At prices u every customer takes the offers that are worth most after their prices, and the dual D(u) is the sum of
these worths over customers, plus u'b. It is convex and piecewise linear, and at least the value of every allocation
within the limits. One evaluation is one pass over the customers and gives a plane below D. The next prices are the ones
nearest to the best so far, in the 1-norm, at which all planes lie below a level between the lower bound of D and the
lowest value so far; this takes two small linear programs. For thousands of customers D is nearly smooth, and Newton's
method on a smoothed D is ten times as fast (`_smoothing`).

References
----------
Lemarechal, Nemirovskii, Nesterov (1995), "New variants of bundle methods", Mathematical Programming 69, section 2.
"""

from __future__ import annotations

import attrs
import numpy as np

from relmark.campaigns._limits import Allotment, Chosen, choose
from relmark.campaigns._smoothing import smoothed_prices
from relmark.core.checks import FloatArray

__all__ = ["Priced", "dual_bound", "find_prices"]

_SAMPLE = 16_384
_ACTIVE = ((65_536, 1e-5), (8_192, 1e-6), (1_024, 1e-8))
_ROUNDS = 6
_FEW = 8.0
_STEPS = 100
_LEVEL = 0.3
_SMOOTHED = 2_000
_NEAR, _FAR = 2.0, 1e5


@attrs.frozen(eq=False)
class Priced:
    """Prices, and the bound that they prove."""

    price: FloatArray
    bound: float
    chosen: Chosen


def dual_bound(problem: Allotment, price: FloatArray, chosen: Chosen) -> float:
    """Return D(u) plus more than its rounding errors, so that it is an upper bound of every allocation."""
    paid = price * problem.limits.bound
    size = abs(chosen.size) + float(np.abs(paid).sum())
    return float(chosen.total + paid.sum() + size * 64 * np.finfo(np.float64).eps)


def find_prices(problem: Allotment, unit: float) -> Priced:
    """Return prices near the best ones; `unit` is the scale of the values."""
    limits = problem.limits
    start = np.zeros(len(limits))
    if not len(limits):
        return _priced(problem, start)
    if problem.n > _ACTIVE[-1][0]:
        step = max(problem.n // _SAMPLE, 4)
        rows = np.arange(0, problem.n, step)
        sample = problem.take(rows, limits.bound * (len(rows) / problem.n))
        start = _descend(sample, start, unit, tolerance=1e-4)
    best = _priced(problem, start)
    for size, tolerance in _ACTIVE:
        if size < problem.n and not _settled(problem, best):
            best = _nearer(problem, best, unit, size, tolerance)
    if problem.n <= _ACTIVE[-1][0]:
        other = _priced(problem, _descend(problem, start, unit, tolerance=1e-9))
        best = other if other.bound <= best.bound else best
    return best


def _nearer(problem: Allotment, best: Priced, unit: float, size: int, tolerance: float) -> Priced:
    """Return better prices, computed from the customers whose choice is least clear.

    The others keep their choice while prices stay near, so their weights are constants of the smaller problem.
    """
    for _ in range(_ROUNDS):
        margin, pairs = best.chosen.margin, best.chosen.pairs
        assert margin is not None
        assert pairs is not None
        active = np.sort(np.argpartition(margin, size)[:size])
        rest = (
            problem.limits.bound - best.chosen.loads + problem.limits.take(active, best.price).loads(pairs[:, active])
        )
        span = float(np.max(margin[active]))
        price = _descend(problem.take(active, rest), best.price, unit, tolerance=tolerance, span=span)
        other = _priced(problem, price)
        gained = best.bound - other.bound
        if gained > 0:
            best = other
        if gained <= 3e-5 * max(abs(best.bound), unit) or _settled(problem, best):
            break
    return best


def _settled(problem: Allotment, priced: Priced) -> bool:
    """Return whether no limit is missed by more than a few customers; an integer program then decides these."""
    missed = (priced.chosen.loads - problem.limits.bound) / problem.limits.scale()
    return bool((np.where(priced.price > 0, np.abs(missed), missed) <= _FEW).all())


def _priced(problem: Allotment, price: FloatArray) -> Priced:
    chosen = choose(problem, price, pairs=True)
    return Priced(price, dual_bound(problem, price, chosen), chosen)


def _descend(
    problem: Allotment, start: FloatArray, unit: float, *, tolerance: float, span: float | None = None
) -> FloatArray:
    """Return prices that nearly minimize D; with `span`, only so far from the start that clear choices stay."""
    from scipy.optimize import linprog

    limits, m = problem.limits, len(problem.limits)
    size = unit / limits.scale()  # the unit of each price
    bound = limits.bound
    value_unit = max(unit, 1e-300) * max(problem.n, 1)
    low, high = np.zeros(m), np.full(m, _NEAR)
    if span is not None:
        reach = max(2 * span / unit, 1e-12)
        low, high = np.maximum(start / size - reach, 0.0), start / size + reach

    if problem.most == 1 and problem.n >= _SMOOTHED:
        return smoothed_prices(problem, start, unit, low * size, _FAR * size if span is None else high * size)
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
        lowest_at = np.asarray(lowest.x)
        floor = float(lowest_at[-1])
        if least - floor <= tolerance * max(abs(least), 1e-6):
            edge = (best >= high * (1 - 1e-9)) & (high < _FAR) if span is None else np.zeros(m, dtype=np.bool_)
            if not edge.any():
                break
            high = np.where(edge, high * 10, high)  # the prices lie farther out
            continue
        level = floor + _LEVEL * (least - floor)
        # min sum of d, -d <= u - best <= d, below the level
        eye = np.eye(m)
        nearest = linprog(
            np.concatenate([np.zeros(m), np.ones(m)]),
            A_ub=np.block([[slopes, np.zeros((len(slopes), m))], [eye, -eye], [-eye, -eye]]),
            b_ub=np.concatenate([level - height, best, -best]),
            bounds=[*zip(low, high, strict=True), *[(0, None)] * m], method="highs",
        )  # fmt: skip
        at = np.clip(np.asarray(nearest.x if nearest.status == 0 else lowest_at)[:m], low, high)
        value = look(at)
        if value < least:
            least, best = value, at
    return np.asarray(best * size)
