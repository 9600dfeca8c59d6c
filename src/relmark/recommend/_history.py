"""What a fitted model remembers about each customer: one entry per pair of customer and item, and no lines."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, IntArray
from relmark.core.frozen import Frozen, locked
from relmark.core.ordering import stable_order
from relmark.recommend._lines import Lines

Weight: TypeAlias = Literal["binary", "log", "quantity", "purchases"]
WEIGHTS: tuple[Weight, ...] = ("binary", "log", "quantity", "purchases")
Codes = npt.NDArray[np.integer[Any]]
NEVER = np.iinfo(np.int64).min // 2


@attrs.frozen(kw_only=True, eq=False)
class History(Frozen):
    """Rows of customers in CSR form, with items ascending within each row.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n + 1,)
    item : ndarray of int32, shape (p,)
    weight : ndarray of float32, shape (p,)
        The weight that the model scores with.
    last : ndarray of int64, shape (p,), or None
        When the customer last bought the item, in microseconds UTC; a time long ago if they only viewed it.
    count : ndarray of int32, shape (p,), or None
        The number of distinct purchases of the item, if the model counts them.
    bought : ndarray of bool, shape (p,), or None
        Whether the customer bought the item rather than only viewed it; None if all were bought.
    """

    indptr: IntArray = attrs.field(converter=locked)
    item: npt.NDArray[np.int32] = attrs.field(converter=locked)
    weight: npt.NDArray[np.float32] = attrs.field(converter=locked)
    last: IntArray | None = attrs.field(default=None, converter=attrs.converters.optional(locked))
    count: npt.NDArray[np.int32] | None = attrs.field(default=None, converter=attrs.converters.optional(locked))
    bought: BoolArray | None = attrs.field(default=None, converter=attrs.converters.optional(locked))

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> IntArray:
        """The number of items of each customer, shape (n,)."""
        return np.diff(self.indptr)

    @property
    def row(self) -> IntArray:
        """The row of each entry, shape (p,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: IntArray) -> History:
        """Return some customers' rows; -1 stands for a new customer, whose row is empty."""
        known = rows >= 0
        starts = np.where(known, self.indptr[rows], 0)
        counts = np.where(known, self.indptr[rows + 1] - starts, 0)
        indptr = np.concatenate(([0], np.cumsum(counts)))
        places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
        return History(
            indptr=indptr,
            item=self.item[places],
            weight=self.weight[places],
            last=None if self.last is None else self.last[places],
            count=None if self.count is None else self.count[places],
            bought=None if self.bought is None else self.bought[places],
        )

    def slice(self, low: int, high: int) -> History:
        """Return consecutive rows without copying their entries."""
        entries = slice(self.indptr[low], self.indptr[high])
        return History(
            indptr=self.indptr[low : high + 1] - self.indptr[low],
            item=self.item[entries],
            weight=self.weight[entries],
            last=None if self.last is None else self.last[entries],
            count=None if self.count is None else self.count[entries],
            bought=None if self.bought is None else self.bought[entries],
        )

    def keep(self, entries: npt.NDArray[np.bool_]) -> History:
        """Return the same customers with some of their entries."""
        indptr = np.concatenate(([0], np.cumsum(entries)))[self.indptr]
        return History(
            indptr=indptr,
            item=self.item[entries],
            weight=self.weight[entries],
            last=None if self.last is None else self.last[entries],
            count=None if self.count is None else self.count[entries],
            bought=None if self.bought is None else self.bought[entries],
        )

    @cached_property
    def of_bought(self) -> History:
        """The same customers with only the items that they bought, which rules about purchases use."""
        if self.bought is None or self.bought.all():
            return self
        return self.keep(self.bought)

    def matrix(self, n_items: int) -> Any:
        """Return the weights as a scipy CSR matrix, shape (n, n_items)."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.weight, self.item, self.indptr), shape=(len(self), n_items))


def history_of(
    x: Lines, *, weight: Weight = "binary", half_life: timedelta | None = None, now: int | None = None
) -> History:
    """Return the pairs of customer and item in lines, with weights; `x` has no line after `now`.

    If lines have different weights, a pair gets their largest with ``weight="binary"``, and otherwise their sum.
    """
    customer, item, starts = x.pairs()
    indptr = np.searchsorted(customer, np.arange(x.n_customers + 1)).astype(np.int64)
    counted = x.counted(half_life, now)
    last, bought = _bought_last(x, starts)
    count = None
    if weight == "binary":
        weights = counted[starts[1:] - 1] if x.weight is None else _each(np.maximum, counted, starts)
    elif weight == "purchases":
        lines, count, first = _purchases(x, starts)
        weights = _each(np.add, counted[lines], first)
    else:
        weights = _each(np.add, counted if x.quantity is None else counted * x.quantity, starts)
        if weight == "log":
            weights = np.log1p(weights)
    return History(
        indptr=indptr,
        item=item.astype(np.int32),
        weight=weights.astype(np.float32),
        last=last,
        count=None if count is None else count.astype(np.int32),
        bought=bought,
    )


def _bought_last(x: Lines, starts: IntArray) -> tuple[IntArray | None, BoolArray | None]:
    """Return when each pair was last bought, and whether it was bought at all; None if that is not known."""
    if x.bought is None:
        return (None if x.time is None else x.time[starts[1:] - 1]), None
    bought = _each(np.logical_or, x.bought, starts)
    return (None if x.time is None else _each(np.maximum, np.where(x.bought, x.time, NEVER), starts)), bought


def stranger(item: npt.NDArray[np.integer[Any]], weight: float = 1.0) -> History:
    """Return the history of one person with these items in the basket, all of one weight, and none bought yet."""
    codes = np.unique(item).astype(np.int32)
    return History(
        indptr=np.array([0, len(codes)]),
        item=codes,
        weight=np.full(len(codes), weight, dtype=np.float32),
        bought=np.zeros(len(codes), dtype=np.bool_),
    )


def with_basket(past: History, basket: IntArray) -> History:
    """Return one customer's past with the items of a basket added, each with weight 1 or its past weight if larger."""
    held = np.isin(basket, past.item)
    weight = past.weight.copy()
    weight[np.isin(past.item, basket)] = np.maximum(weight[np.isin(past.item, basket)], np.float32(1.0))
    new = basket[~held].astype(np.int32)
    item = np.concatenate((past.item, new))
    order = np.argsort(item, kind="stable")
    never = np.full(len(new), NEVER)
    bought = np.ones(len(past.item), dtype=np.bool_) if past.bought is None else past.bought
    return History(
        indptr=np.array([0, len(item)]),
        item=item[order],
        weight=np.concatenate((weight, np.ones(len(new), dtype=np.float32)))[order],
        last=None if past.last is None else np.concatenate((past.last, never))[order],
        count=None if past.count is None else np.concatenate((past.count, np.zeros(len(new), dtype=np.int32)))[order],
        bought=np.concatenate((bought, np.zeros(len(new), dtype=np.bool_)))[order],
    )


def _each(function: np.ufunc, values: npt.NDArray[Any], starts: IntArray) -> npt.NDArray[Any]:
    """Return the values of each pair reduced by a function of two values."""
    return np.asarray(function.reduceat(values, starts[:-1])) if len(values) else values[:0]


def _purchases(x: Lines, starts: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the last line of each distinct purchase of a pair, the number of purchases per pair, and their offsets.

    Several lines of one order with the same item are one purchase.
    """
    n = len(x)
    if n == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    pair = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    code = x.orders
    order = stable_order(code)
    order = order[stable_order(pair[order])]  # by pair, then purchase, then time
    different = np.ones(n, dtype=np.bool_)
    different[:-1] = (pair[order][1:] != pair[order][:-1]) | (code[order][1:] != code[order][:-1])
    lines = np.sort(order[different])
    count = np.bincount(pair[lines], minlength=len(starts) - 1)
    return lines, count, np.concatenate(([0], np.cumsum(count)))
