"""Prices by Newton's method on a smoothed dual: each customer chooses offers with logit probabilities.

The dual ``D(u)`` of `_prices` has kinks where a customer's best choice changes. With logit probabilities,
``p_ij = exp((v_ij - w_ij u) / mu) / (1 + sum_j exp((v_ij - w_ij u) / mu))``, it is smooth,

    D_mu(u) = mu * sum_i log(1 + sum_j exp((v_ij - w_ij u) / mu)) + u'b,

and it lies between D and D + mu * n * log(1 + k). One pass over the customers gives the value, the gradient
``b - sum_i w p`` and the Hessian ``sum_i (sum_j w w' p - (sum_j w p)(sum_j w p)') / mu``. From prices that are best at
one mu, a few steps lead to those at a smaller one, until few customers are undecided.

References
----------
Nesterov (2005), "Smooth minimization of non-smooth functions", Mathematical Programming 103, section 4.
Bertsekas (1982), "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control 20.
"""

from __future__ import annotations

import attrs
import numpy as np

from relmark.campaigns._limits import Allotment
from relmark.core.checks import FloatArray

__all__ = ["smoothed_prices"]

_BLOCK = 4_096
_FIRST, _SHRINK, _LAST = 0.1, 0.25, 1e-7
_STEPS, _HALVES = 12, 12
_DECIDED = 6.0


@attrs.frozen(eq=False)
class _Look:
    """The smoothed dual at some prices."""

    value: float
    gradient: FloatArray
    hessian: FloatArray
    undecided: float
    """The sum over customers of 1 - sum_j p_ij^2, roughly the number of undecided customers."""


def smoothed_prices(
    problem: Allotment, start: FloatArray, unit: float, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return the prices in a box that minimize D_mu, for a mu at which few customers are undecided.

    Parameters
    ----------
    problem : Allotment
        A problem with at most one offer per customer.
    start, low, high : ndarray of float64, shape (limits,)
    unit : float
        The scale of the values.
    """
    price = np.clip(start, low, high)
    mu = _FIRST * unit
    while True:
        price, undecided = _newton(problem, price, mu, low, high)
        if undecided <= _DECIDED * max(len(price), 1) or mu <= _LAST * unit:
            return price
        mu *= _SHRINK


def _newton(
    problem: Allotment, price: FloatArray, mu: float, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, float]:
    """Return the best prices at one mu, and roughly how many customers are undecided there."""
    here = _look(problem, price, mu)
    size = np.maximum(np.abs(problem.limits.bound), problem.limits.scale())
    for _ in range(_STEPS):
        held = ((price <= low) & (here.gradient > 0)) | ((price >= high) & (here.gradient < 0))
        free = np.flatnonzero(~held)
        slope = here.gradient[free]
        if not len(free) or (np.abs(slope) <= 1e-6 * size[free]).all():
            break
        curve = here.hessian[np.ix_(free, free)]
        ridge = 1e-10 * max(float(np.trace(curve)), np.finfo(np.float64).tiny)
        step = np.zeros(len(price))
        step[free] = -np.linalg.solve(curve + ridge * np.eye(len(free)), slope)
        worth = 1.0
        for _ in range(_HALVES):
            there = np.clip(price + worth * step, low, high)
            other = _look(problem, there, mu)
            if other.value <= here.value + 1e-4 * float((here.gradient * (there - price)).sum()):
                break
            worth *= 0.25
        else:
            break
        gained, price, here = here.value - other.value, there, other
        if gained <= 1e-9 * abs(here.value):
            break
    return price, here.undecided


def _look(problem: Allotment, price: FloatArray, mu: float) -> _Look:
    limits, k, n = problem.limits, len(problem.values), problem.n
    plain = limits.plain
    asked = (plain * price[:, None]).sum(axis=0)[:, None]
    rows = sorted({limit for limit, _ in limits.dense})
    place = {limit: position for position, limit in enumerate(rows)}
    counts, pairs = np.zeros(k), np.zeros((k, k))
    sums, across = np.zeros((len(rows), k)), np.zeros((len(rows), k))
    squares, totals = np.zeros((len(rows), len(rows))), np.zeros((len(rows), len(rows)))
    value = undecided = 0.0
    for first in range(0, n, _BLOCK):
        part = slice(first, min(first + _BLOCK, n))
        left = problem.values[:, part] - asked
        for (limit, offer), weights in limits.dense.items():
            left[offer] -= price[limit] * weights[part]
        left /= mu
        top = np.maximum(left.max(axis=0), 0.0)
        left -= top
        p = np.exp(left, out=left)
        whole = p.sum(axis=0)
        whole += np.exp(-top)
        p /= whole
        value += mu * float((top + np.log(whole)).sum())
        counts += p.sum(axis=1)
        pairs += np.einsum("ji,li->jl", p, p)
        if rows:
            weighed = np.zeros((len(rows), *p.shape))
            for (limit, offer), weights in limits.dense.items():
                np.multiply(p[offer], weights[part], out=weighed[place[limit], offer])
            mine = weighed.sum(axis=1)
            sums += weighed.sum(axis=2)
            across += np.einsum("di,ji->dj", mine, p)
            totals += np.einsum("di,ei->de", mine, mine)
            for (limit, offer), weights in limits.dense.items():
                for other in rows:
                    if (other, offer) in limits.dense:
                        squares[place[limit], place[other]] += float(
                            (weighed[place[other], offer] * weights[part]).sum()
                        )
        undecided += float(p.shape[1]) - float((p * p).sum()) - float((np.exp(-2 * top) / whole**2).sum())
    loads = (plain * counts).sum(axis=1)
    hessian = np.einsum("lj,j,mj->lm", plain, counts, plain) - np.einsum("lj,ji,mi->lm", plain, pairs, plain)
    if rows:
        loads[rows] += sums.sum(axis=1)
        mixed = np.einsum("lj,dj->ld", plain, sums) - np.einsum("lj,dj->ld", plain, across)
        hessian[:, rows] += mixed
        hessian[rows, :] += mixed.T
        hessian[np.ix_(rows, rows)] += squares - totals
    bound = limits.bound
    return _Look(value + float((price * bound).sum()), bound - loads, hessian / mu, undecided)
