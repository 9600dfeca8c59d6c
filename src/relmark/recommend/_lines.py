"""Lines in one canonical order, by customer, item and time, so that a shuffled input gives the same numbers.

The sparse matrix of customers by items then needs no further sorting. Callers never see this order: what they give and
get is in the order of their rows.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, FloatArray, IntArray
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, locked, owned
from relmark.core.ordering import is_sorted, stable_order
from relmark.core.time import duration
from relmark.recommend._orders import pair_codes

Codes = npt.NDArray[np.integer[Any]]


def _optional(array: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return None if array is None else owned(array)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Lines(Frozen):
    """Lines ordered by customer, item and time, and lines equal in all three by their other columns.

    Parameters
    ----------
    n_customers, n_items : int
        The numbers of customers and items, including those without lines.
    customer, item : ndarray of int, shape (n,)
        The positions of the customer and the item of each line.
    row : ndarray of int, shape (n,)
        The caller's row of each line.
    time : ndarray of int64, shape (n,), or None
        Microseconds UTC.
    quantity, value : ndarray of float64, shape (n,), or None
    order : ndarray of int, shape (n,), or None
        The order to which a line belongs. An order belongs to one customer.
    order_name : Column of n rows, or None
        The caller's name of the order.
    weight : ndarray of float64, shape (n,), or None
        The weight of a line; None if each counts 1.
    bought : ndarray of bool, shape (n,), or None
        Whether a line is a purchase; None if all are.
    """

    n_customers: int
    n_items: int
    customer: Codes = attrs.field(converter=owned)
    item: Codes = attrs.field(converter=owned)
    row: Codes = attrs.field(converter=owned)
    time: IntArray | None = attrs.field(converter=_optional, default=None)
    quantity: FloatArray | None = attrs.field(converter=_optional, default=None)
    value: FloatArray | None = attrs.field(converter=_optional, default=None)
    order: Codes | None = attrs.field(converter=_optional, default=None)
    order_name: Column | None = None
    weight: FloatArray | None = attrs.field(converter=_optional, default=None)
    bought: BoolArray | None = attrs.field(converter=_optional, default=None)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.customer)

    @cached_property
    def arrival(self) -> IntArray:
        """The positions of the lines in the order of the caller's rows."""
        return stable_order(self.row)

    @cached_property
    def orders(self) -> Codes:
        """The order of each line: the one it names, else that of the customer at that instant, else itself alone."""
        if self.order is not None:
            return self.order
        if self.time is not None:
            return pair_codes(self.customer, self.time)
        return np.arange(len(self))

    def pairs(self) -> tuple[Codes, Codes, IntArray]:
        """Return the customer and item of each distinct pair in order, (p,), and where its lines start, (p + 1,)."""
        first = np.ones(len(self), dtype=np.bool_)
        if len(self) > 1:
            first[1:] = (self.customer[1:] != self.customer[:-1]) | (self.item[1:] != self.item[:-1])
        starts = np.flatnonzero(first)
        return self.customer[starts], self.item[starts], np.append(starts, len(self))

    def counted(self, half_life: timedelta | None, now: int | None) -> FloatArray:
        """Return the weight of each line times 2 ** (-age / half_life), shape (n,)."""
        decay = np.ones(len(self))
        if half_life is not None:
            if self.time is None:
                raise InputError(
                    "half_life needs times: give from_columns a time column, or leave half_life out.",
                    argument="half_life",
                    code="missing_argument",
                )
            decay = np.exp2((self.time - (now if now is not None else 0)) / duration("half_life", half_life))
        return decay if self.weight is None else decay * self.weight

    def purchased(self) -> Lines:
        """Return only the purchases, each with weight 1; views and other events are left out."""
        chosen = self if self.bought is None else self.take(self.bought)
        return chosen if chosen.weight is None else attrs.evolve(chosen, weight=None, bought=None)

    def take(self, rows: npt.NDArray[Any]) -> Lines:
        """Return some lines, by a mask or by positions that keep the canonical order."""
        arrays = ("customer", "item", "row", "time", "quantity", "value", "order", "weight", "bought")
        given = {name: getattr(self, name) for name in arrays}
        taken: dict[str, Any] = {name: None if line is None else locked(line[rows]) for name, line in given.items()}
        names = None if self.order_name is None else self.order_name.take(rows)
        return attrs.evolve(self, **taken, order_name=names)

    def among(self, customer: Codes, n_customers: int, item: Codes, n_items: int) -> Lines:
        """Return the lines with new codes of customers and items, which keep their order."""
        recoded: dict[str, Any] = {"customer": customer[self.customer], "item": item[self.item]}
        return attrs.evolve(self, **recoded, n_customers=n_customers, n_items=n_items)

    def by_order(self) -> Lines:
        """Return the purchases with orders in place of customers."""
        bought = self.purchased()
        present = np.zeros(int(bought.orders.max(initial=-1)) + 1, dtype=np.bool_)
        present[bought.orders] = True
        code = (np.cumsum(present) - 1)[bought.orders]
        count = int(np.count_nonzero(present))
        return in_order(attrs.evolve(bought, customer=code, order=code, n_customers=count))


def in_order(lines: Lines) -> Lines:
    """Return lines in the canonical order, with orders numbered by their first occurrence in it."""
    rows = _canonical(lines)
    sorted_lines = lines.take(rows)
    if sorted_lines.order is None or not len(lines):
        return sorted_lines
    return attrs.evolve(sorted_lines, order=_as_they_occur(sorted_lines.order))


def _as_they_occur(code: Codes) -> Codes:
    """Return codes renumbered by their first occurrence."""
    count = int(code.max()) + 1
    first = np.full(count, -1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)  # the last of several assignments to a place stays
    begins = np.zeros(len(code), dtype=np.int32 if len(code) <= np.iinfo(np.int32).max else np.int64)
    begins[first[first >= 0]] = 1
    rank = np.cumsum(begins, dtype=begins.dtype) - 1
    return np.asarray(rank[first][code])


def _canonical(lines: Lines) -> IntArray:
    """Return the rows ordered by customer, item and time, and rows equal in all three by their other columns."""
    time = lines.time
    pair = lines.customer.astype(np.int64) * max(lines.n_items, 1) + lines.item
    if time is None or is_sorted(time):
        order = stable_order(pair)
    else:
        order = stable_order(time)
        order = order[stable_order(pair[order])]
    found = pair[order]
    same = found[1:] == found[:-1]
    if time is not None and same.any():
        later = np.flatnonzero(same) + 1
        same[later - 1] = time[order[later]] == time[order[later - 1]]
    name = None if lines.order_name is None else lines.order_name.data
    keys = [key for key in (name, lines.quantity, lines.value, lines.weight, lines.bought) if key is not None]
    if not keys or not same.any():
        return order
    tied = np.zeros(len(order), dtype=np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    group = np.cumsum(np.append(True, ~same))[tied]
    rows = order[tied]
    order[tied] = rows[np.lexsort([*(key[rows] for key in reversed(keys)), group])]
    return order
