"""The order of each line if lines are given as columns rather than a base; the same orders as in `Purchases`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.ids import code_ids
from relmark.core.ordering import dense_codes, small_codes, stable_order
from relmark.core.time import DAY

Codes = npt.NDArray[np.integer[Any]]
_SILENCE = 30 * DAY  # a number that occurs again after a month is a new order


def pair_codes(a: Codes, b: Codes) -> Codes:
    """Return a code for each distinct pair of two columns, in the order of the pairs."""
    if not len(a):
        return np.zeros(0, dtype=np.int32)
    low, span = int(b.min()), int(b.max()) - int(b.min()) + 1
    if (int(a.max()) + 1) * span >= 1 << 62:
        b, span = dense_codes(b)
        low = 0
    code, count = dense_codes(a.astype(np.int64) * span + (b.astype(np.int64) - low))
    return small_codes(code, count)


def order_codes(customer: Codes, name: Column, time: IntArray | None) -> Codes:
    """Return the order of each line as a code from 0 to n - 1.

    Equal numbers of different customers are different orders, and so is a number that occurs again after a month. Lines
    without a number form one order per customer and instant; without times each is an order by itself.
    """
    if name.kind not in {"number", "text", "empty"}:
        raise InputError(
            f"order is a column of kind {name.kind!r}: one number or text per line is needed.",
            argument="order",
            code="wrong_type",
        )
    n = len(customer)
    missing = name.missing
    if not missing.any():
        rank = _ranks(name.data, name.kind)
        return rank if _is_clean(customer, rank, time) else small_codes(_by_number(customer, rank, time), n)
    code = np.empty(n, dtype=np.int64)
    alone, known = np.flatnonzero(missing), np.flatnonzero(~missing)
    code[known] = _by_number(
        customer[known], _ranks(name.data[known], name.kind), None if time is None else time[known]
    )
    code[alone] = np.arange(len(alone)) if time is None else pair_codes(customer[alone], time[alone])
    code[alone] += int(code[known].max(initial=-1)) + 1
    return small_codes(code, n)


def _ranks(data: npt.NDArray[Any], kind: str) -> Codes:
    """Return the rank of each number or text among those that occur; the ranks of texts can have gaps."""
    if kind == "text":
        return data
    if data.dtype.kind == "i":
        return code_ids("order", data)[1]
    return np.asarray(np.unique(data, return_inverse=True)[1])


def _is_clean(customer: Codes, rank: Codes, time: IntArray | None) -> bool:
    """Return whether every number belongs to one customer and is not used again later, so that no sort is needed."""
    if not len(rank):
        return True
    n = int(rank.max()) + 1
    of = np.empty(n, dtype=customer.dtype)
    of[rank] = customer
    if (of[rank] != customer).any():
        return False
    if time is None or int(time.max()) - int(time.min()) <= _SILENCE:
        return True
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(low, rank, time)
    np.maximum.at(high, rank, time)
    used = high >= low
    return bool((high[used] - low[used] <= _SILENCE).all())


def _by_number(customer: Codes, rank: Codes, time: IntArray | None) -> Codes:
    """Return the orders for numbers that several customers use, or that one customer uses again later."""
    pair = pair_codes(customer, rank)
    if time is None or not len(pair):
        return pair
    order = stable_order(time)
    order = order[stable_order(pair[order])]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (pair[order][1:] != pair[order][:-1]) | (np.diff(time[order]) > _SILENCE)
    code = np.empty(len(order), dtype=np.int64)
    code[order] = np.cumsum(begins) - 1
    return code
