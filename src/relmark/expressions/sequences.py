"""Whether steps happened in order: exact on whole arrays, by carrying row positions forward.

Rows stand customer by customer, each in the order of time. The latest start of a chain that ends at or before a row is the
running maximum of row positions, and a later start is never worse: it is closer to every later step, and has fewer excluded
events after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.core.ordering import group_order

__all__ = ["in_order", "in_strict_order"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def in_order(
    codes: IntArray,
    times: IntArray,
    steps: list[BoolArray],
    excluded: BoolArray | None,
    within: int | None,
    k: int,
) -> BoolArray:
    """Return which of k customers did the steps in order.

    Parameters
    ----------
    codes, times : ndarray of int64, shape (m,)
        Events that are some step or excluded, ascending in time.
    steps : list of ndarray of bool, shape (m,)
        Which events are of each step; one may be of several.
    excluded : ndarray of bool, shape (m,), optional
        Which events may not lie strictly between the first step and the last.
    within : int, optional
        The longest time from the first step to the last.
    k : int
        The number of customers.
    """
    order, _ = group_order(codes, k)
    codes, times = codes[order], times[order]
    m = len(codes)
    position = np.arange(m)
    new_customer = np.concatenate(([True], codes[1:] != codes[:-1])) if m else np.empty(0, dtype=np.bool_)
    new_instant = new_customer.copy()
    new_instant[1:] |= times[1:] != times[:-1]
    first_row = np.maximum.accumulate(np.where(new_customer, position, 0)) if m else position
    # The row before all of this instant's: what is strictly earlier ends there.
    before = (np.maximum.accumulate(np.where(new_instant, position, 0)) if m else position) - 1
    start = np.where(steps[0][order], position, -1)
    for step in steps[1:]:
        latest = np.maximum.accumulate(start) if m else start
        earlier = latest[before]  # -1 wraps to the last row, and its customer's first row is no earlier than row 0
        possible = step[order] & (before >= 0) & (earlier >= first_row)
        start = np.where(possible, earlier, -1)
    ends = np.flatnonzero(start >= 0)
    begins = start[ends]
    good = np.ones(len(ends), dtype=np.bool_)
    if within is not None:
        good &= times[ends] - times[begins] <= within
    if excluded is not None:
        barrier = np.maximum.accumulate(np.where(excluded[order], position, -1))[before[ends]]
        good &= ~((barrier >= first_row[ends]) & (times[barrier] > times[begins]))
    result = np.zeros(k, dtype=np.bool_)
    result[codes[ends[good]]] = True
    return result


def in_strict_order(
    codes: IntArray,
    times: IntArray,
    steps: list[BoolArray],
    excluded: BoolArray | None,
    within: int | None,
    k: int,
) -> BoolArray:
    """Return which of k customers did the steps at instants that follow each other directly; `codes` has every event."""
    order, _ = group_order(codes, k)
    codes, times = codes[order], times[order]
    m = len(codes)
    if m == 0:
        return np.zeros(k, dtype=np.bool_)
    new_customer = np.concatenate(([True], codes[1:] != codes[:-1]))
    begins = np.flatnonzero(new_customer | np.concatenate(([True], times[1:] != times[:-1])))
    at_instant = [np.logical_or.reduceat(step[order], begins) for step in steps]
    codes, times = codes[begins], times[begins]
    n, length = len(begins), len(steps)
    if n < length:
        return np.zeros(k, dtype=np.bool_)
    last = n - length + 1
    good = codes[: n - length + 1] == codes[length - 1 :]
    for number, flags in enumerate(at_instant):
        good &= flags[number : number + last]
    if within is not None:
        good &= times[length - 1 :] - times[:last] <= within
    if excluded is not None:
        barred = np.logical_or.reduceat(excluded[order], begins)
        for number in range(1, length - 1):
            good &= ~barred[number : number + last]
    result = np.zeros(k, dtype=np.bool_)
    result[codes[:last][good]] = True
    return result
