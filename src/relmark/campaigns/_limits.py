"""An allocation as numbers: values by offer and customer, and limits of the form ``sum of weight x <= bound``."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from relmark.core.checks import BoolArray, FloatArray, IntArray

__all__ = ["Allotment", "Chosen", "Limits", "choose"]

_BLOCK = 8_192


@attrs.frozen(eq=False)
class Limits:
    """Limits of an allocation; a lower bound is stored as an upper bound with the opposite sign.

    Attributes
    ----------
    names : tuple of str
    kinds : tuple of str
        The kind of each limit: capacity, minimum, budget, at_most or at_least.
    plain : ndarray of float64, shape (limits, offers)
        Weights that are the same for every customer.
    dense : mapping of (limit, offer) to ndarray of float64, shape (n,)
        Weights that differ between customers, to be added to the plain ones.
    bound : ndarray of float64, shape (limits,)
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    plain: FloatArray
    dense: dict[tuple[int, int], FloatArray]
    bound: FloatArray

    def __len__(self) -> int:
        """Return the number of limits."""
        return len(self.names)

    def weight(self, limit: int, offer: int, rows: Any) -> Any:
        """Return the weights of an offer for some customers."""
        own = self.dense.get((limit, offer))
        return self.plain[limit, offer] if own is None else own[rows] + self.plain[limit, offer]

    def loads(self, chosen: BoolArray) -> FloatArray:
        """Return the total weight in every limit, shape (limits,), for chosen pairs, shape (offers, n)."""
        counts = chosen.sum(axis=1)
        found = (self.plain * counts).sum(axis=1)
        for (limit, offer), weights in self.dense.items():
            found[limit] += weights[chosen[offer]].sum()
        return np.asarray(found)

    def scale(self) -> FloatArray:
        """Return the largest weight of each limit, or 1 if all are 0."""
        found = np.abs(self.plain).max(axis=1, initial=0.0)
        for (limit, _), weights in self.dense.items():
            found[limit] = max(found[limit], float(np.abs(weights).max(initial=0.0)))
        return np.where(found > 0, found, 1.0)

    def take(self, rows: Any, bound: FloatArray) -> Limits:
        """Return the limits for some customers, with other bounds."""
        dense = {key: weights[rows] for key, weights in self.dense.items()}
        return attrs.evolve(self, dense=dense, bound=bound)


@attrs.frozen(eq=False)
class Allotment:
    """An allocation problem.

    Attributes
    ----------
    values : ndarray of float64, shape (offers, n)
        The value of each offer to each customer; -inf if the customer may not get it.
    limits : Limits
    most : int
        The largest number of offers for one customer.
    """

    values: FloatArray
    limits: Limits
    most: int

    def take(self, rows: Any, bound: FloatArray) -> Allotment:
        """Return the problem for some customers, with other bounds."""
        return Allotment(np.ascontiguousarray(self.values[:, rows]), self.limits.take(rows, bound), self.most)

    @property
    def n(self) -> int:
        """The number of customers."""
        return int(self.values.shape[1])


@attrs.frozen(eq=False)
class Chosen:
    """What every customer would choose at some prices."""

    total: float
    """The sum of the chosen values minus their prices."""
    size: float
    """The sum of their absolute values, to which rounding errors are proportional."""
    loads: FloatArray
    pairs: BoolArray | None
    margin: FloatArray | None
    """How much less each customer's next best choice is worth after prices."""


def choose(problem: Allotment, price: FloatArray, *, pairs: bool = False) -> Chosen:
    """Return each customer's best choice at some prices: the offers that are worth most after their prices."""
    limits, k, n = problem.limits, len(problem.values), problem.n
    asked = (limits.plain * price[:, None]).sum(axis=0)[:, None]
    dense = [(limit, offer, weights) for (limit, offer), weights in limits.dense.items() if price[limit]]
    counts = np.zeros(k)
    loads = np.zeros(len(limits))
    found = np.zeros((k, n), dtype=np.bool_) if pairs else None
    margin = np.empty(n) if pairs else None
    total = 0.0
    for low in range(0, n, _BLOCK):
        part = slice(low, min(low + _BLOCK, n))
        left = problem.values[:, part] - asked
        for limit, offer, weights in dense:
            left[offer] -= price[limit] * weights[part]
        taken, best = _best(left) if problem.most == 1 else _best_of_several(left, problem.most)
        total += float(best.sum())
        counts += taken.sum(axis=1)
        for (limit, offer), weights in limits.dense.items():
            loads[limit] += weights[part][taken[offer]].sum()
        if found is not None and margin is not None:
            found[:, part] = taken
            margin[part] = _margin(left, taken, problem.most)
    loads += (limits.plain * counts).sum(axis=1)
    return Chosen(total, total, loads, found, margin)


def _best(left: FloatArray) -> tuple[BoolArray, FloatArray]:
    best = np.zeros(left.shape[1])
    code = np.full(left.shape[1], -1, dtype=np.int8 if len(left) < 128 else np.int32)
    for offer, row in enumerate(left):
        better = row > best
        np.copyto(best, row, where=better)
        np.copyto(code, offer, where=better, casting="unsafe")
    return code == np.arange(len(left), dtype=code.dtype)[:, None], best


def _best_of_several(left: FloatArray, most: int) -> tuple[BoolArray, FloatArray]:
    taken = left > 0
    crowded = np.flatnonzero(taken.sum(axis=0) > most)
    if len(crowded):
        order: IntArray = np.argsort(-left[:, crowded], axis=0, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(left))[:, None], axis=0)
        taken[:, crowded] &= rank < most
    return taken, np.where(taken, left, 0.0).sum(axis=0)


def _margin(left: FloatArray, taken: BoolArray, most: int) -> FloatArray:
    """Return by how much each customer's choice is better than the next best one."""
    out = np.where(taken, -np.inf, left).max(axis=0, initial=-np.inf)  # the best that was left
    least = np.where(taken, left, np.inf).min(axis=0, initial=np.inf)  # the least that was taken
    full = taken.sum(axis=0) == most
    if not len(left):
        return np.full(left.shape[1], np.inf)
    with np.errstate(invalid="ignore"):
        free = np.minimum(least, -out)
        return np.asarray(np.where(full, np.minimum(least, least - np.maximum(out, 0.0)), free))
