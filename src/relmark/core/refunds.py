"""Matching refunds to purchases: a refund reduces the latest purchase before it, then the one before that, and so on.

Amounts are whole numbers of a small unit, so that no money is lost by rounding and nothing depends on the order of the
rows. A refund is taken from purchases in this order: lines of the same order and item; lines of the same order; lines
of the same item; any purchase of the customer on its day or before. Each stage is one pass over all customers.

A stage is a stack per group: purchases are put on it in the order of time, and refunds take from its top. With W the
sum of purchases less refunds so far, the height of the stack is L = W - min(0, min W so far). What is left of a
purchase in the end is the part of its layer below all later heights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from relmark.core.checks import BoolArray, IntArray
from relmark.core.ordering import dense_codes, order_by, stable_order

__all__ = ["RefundLines", "netted"]

_MOST = 1 << 62


class RefundLines(NamedTuple):
    """Lines of customers who have refunds, purchases and refunds together."""

    customer: IntArray
    day: IntArray
    rank: IntArray
    """The order of purchases of one day, distinct: by time, order, item and amount."""
    order: IntArray
    """The order that a line names, -1 for none."""
    item: IntArray
    """The item of a line, -1 for none."""
    amount: IntArray
    """Whole units, above 0 for both purchases and refunds."""
    refund: BoolArray


def netted(lines: RefundLines) -> IntArray:
    """Return what is left of each line: of a purchase after its refunds, of a refund after all its purchases."""
    turn = order_by(lines.day, lines.refund.astype(np.int8), lines.rank)  # refunds of a day come after its purchases
    lines = RefundLines._make(column[turn] for column in lines)
    left = lines.amount.copy()
    refund = lines.refund
    has_order, has_item = lines.order >= 0, lines.item >= 0
    by_order = _paired(lines.customer, lines.order)
    named = refund & has_order & _has_earlier_purchase(by_order, refund)
    stages = (
        (_paired(by_order, lines.item), named & has_item, has_order & has_item),
        (by_order, named, has_order),
        (_paired(lines.customer, lines.item), refund & ~named & has_item, has_item),
        (lines.customer, refund & ~named, np.ones(len(left), dtype=np.bool_)),
    )
    for key, asks, gives in stages:
        _take(left, key, asks, ~refund & gives, refund)
    found = np.empty_like(left)
    found[turn] = left
    return found


def _paired(a: IntArray, b: IntArray) -> IntArray:
    """Return codes of pairs of integers, which are -1 or more."""
    width = int(b.max(initial=0)) + 2
    if (int(a.max(initial=0)) + 2) * width >= _MOST:
        a, b = dense_codes(a)[0], dense_codes(b)[0]
        width = int(b.max(initial=0)) + 2
    return dense_codes((a + 1) * width + b + 1)[0]


def _has_earlier_purchase(key: IntArray, refund: BoolArray) -> BoolArray:
    """Return which lines come after a purchase with the same key."""
    first = np.full(int(key.max(initial=0)) + 1, len(key))
    bought = np.flatnonzero(~refund)
    first[key[bought[::-1]]] = bought[::-1]  # of several assignments to one place, the last one stays
    return np.asarray(first[key] < np.arange(len(key)))


def _take(left: IntArray, key: IntArray, asks: BoolArray, gives: BoolArray, refund: BoolArray) -> None:
    """Take what is left of refunds from what is left of purchases with the same key, latest purchase first."""
    asks = asks & (left > 0)
    if not asks.any():
        return
    wanted = np.zeros(int(key.max()) + 1, dtype=np.bool_)
    wanted[key[asks]] = True
    rows = np.flatnonzero((asks | (gives & (left > 0))) & wanted[key])
    rows = rows[stable_order(key[rows])]
    group = key[rows]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    signed = np.where(refund[rows], -left[rows], left[rows])
    size = int(np.abs(signed).sum())
    step = max(_MOST // (2 * size + 2), 1)  # groups at a time: with more, sums would overflow int64
    for low in range(0, len(starts), step):
        begin = int(starts[low])
        end = int(starts[low + step]) if low + step < len(starts) else len(rows)
        left[rows[begin:end]] = _stacked(signed[begin:end], starts[low : low + step] - begin, size)


def _stacked(signed: IntArray, starts: IntArray, size: int) -> IntArray:
    """Return what is left of each step of concatenated stacks; no stack is higher than `size`."""
    counts = np.diff(starts, append=len(signed))
    offset = np.repeat(np.arange(len(starts)) * (2 * size + 1), counts)
    total = np.cumsum(signed)
    sums = total - np.repeat(total[starts] - signed[starts], counts)
    lowest = np.minimum.accumulate(sums - offset) + offset  # each group lies below the one before
    height = sums - np.minimum(lowest, 0)
    before = np.r_[0, height[:-1]]
    before[starts] = 0
    after = np.minimum.accumulate((height + offset)[::-1])[::-1] - offset  # the same from the end
    remains = np.clip(after - before, 0, np.maximum(signed, 0))
    return np.asarray(np.where(signed > 0, remains, -signed - (before - height)))
