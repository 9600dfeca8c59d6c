"""Figures of each customer's events: plain functions of (customer codes, times, a column), with ascending times.

Counts use one byte per customer while they fit, which stays in the cache; sums are a bincount of the window's slice;
figures that need an order sort packed integers.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, FloatArray, IntArray
from relmark.core.columns import Column

__all__ = [
    "counts",
    "distinct_counts",
    "exact_sums",
    "extreme_values",
    "first_times",
    "last_times",
    "most_frequent_ranks",
    "present",
    "ranked",
    "smallest_of_time",
]

Codes = npt.NDArray[np.integer]
NEVER = np.iinfo(np.int64).min
_MANY = 131_072  # with so many customers, bincount's eight bytes per customer exceed the cache
_BLOCK = 65_536  # codes converted at once


def counts(codes: Codes, k: int) -> npt.NDArray[np.integer]:
    """Return how many events each of k customers has, as uint8 if that holds them, else as int64.

    A table with one byte per customer is an eighth of bincount's, so that random writes stay in the cache. A count
    above 255 overflows and loses a multiple of 256; then the sum of all counts is not the number of events.
    """
    if k < _MANY or len(codes) > 64 * k:
        return np.bincount(codes, minlength=k)
    small = np.zeros(k, dtype=np.uint8)
    for low in range(0, len(codes), _BLOCK):
        np.add.at(small, codes[low : low + _BLOCK].astype(np.int64, copy=False), np.uint8(1))
    # Three times as fast as a sum in 64 bits; a sum that overflows 32 bits is not the number of events either.
    if len(codes) < 256 or int(small.sum(dtype=np.uint32)) == len(codes):
        return small
    return np.bincount(codes, minlength=k)


def present(codes: Codes, k: int) -> BoolArray:
    """Return which of k customers have an event."""
    found = np.zeros(k, dtype=np.bool_)
    found[codes] = True
    return found


def last_times(codes: Codes, times: IntArray, k: int) -> IntArray:
    """Return the time of each customer's last event, `NEVER` without one; the last write to a place stays."""
    last = np.full(k, NEVER, dtype=np.int64)
    last[codes] = times
    return last


def first_times(codes: Codes, times: IntArray, k: int) -> IntArray:
    """Return the time of each customer's first event, `NEVER` without one."""
    first = np.full(k, NEVER, dtype=np.int64)
    first[codes[::-1]] = times[::-1]
    return first


def exact_sums(codes: Codes, values: FloatArray, k: int) -> FloatArray:
    """Return each customer's sum, correctly rounded, so that it does not depend on the order of the events.

    The values are split at powers of two into parts with so few bits that float64 adds each part without rounding; two
    parts are enough for money. The sum equals ``math.fsum``, at about twice the cost of one bincount. A sum beyond
    float64 is NaN.
    """
    levels: list[FloatArray] = []
    rest = values
    while len(levels) < 4:
        with np.errstate(over="ignore"):
            total = float(np.abs(rest).sum()) if len(rest) else 0.0
        if total == 0.0:
            break
        # Multiples of 2**grid are added exactly as long as sums stay below 2**(grid + 53).
        grid = math.frexp(total)[1] + 1 - 53
        if not math.isfinite(total) or not -1000 < grid < 900:
            break
        magic = math.ldexp(1.5, grid + 52)
        high = (rest + magic) - magic
        levels.append(np.asarray(np.bincount(codes, weights=high, minlength=k), dtype=np.float64))
        rest = rest - high
    if len(rest) and rest.any():
        return _slow_sums(codes, values, k)
    if not levels:
        return np.zeros(k)
    result: FloatArray = levels[0] if len(levels) == 1 else levels[0] + levels[1]
    if len(levels) > 2:
        for customer in np.flatnonzero(np.any(levels[2:], axis=0)).tolist():
            result[customer] = math.fsum(level[customer] for level in levels)
    return result


def _slow_sums(codes: Codes, values: FloatArray, k: int) -> FloatArray:
    """Return the sums of values that differ by more than 200 powers of two, one customer after the other."""
    result = np.zeros(k)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
        try:
            result[codes[order[start]]] = math.fsum(values[order[start:stop]].tolist())
        except OverflowError:
            result[codes[order[start]]] = math.nan
    return result


def extreme_values(codes: Codes, values: FloatArray, k: int, *, largest: bool) -> FloatArray:
    """Return each customer's smallest or largest value, NaN without one."""
    edge = -math.inf if largest else math.inf
    result = np.full(k, edge)
    (np.maximum if largest else np.minimum).at(result, codes, values)
    result[result == edge] = math.nan
    return result


def distinct_pairs(codes: Codes, ranks: Codes, n_ranks: int) -> tuple[IntArray, IntArray]:
    """Return the different pairs of customer and rank, as ``code * n_ranks + rank`` ascending, and their counts."""
    keys = codes.astype(np.int64) * n_ranks + ranks
    keys.sort()
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, np.int64)
    return keys[starts], np.diff(starts, append=len(keys))


def distinct_counts(codes: Codes, ranks: Codes, n_ranks: int, k: int) -> IntArray:
    """Return how many different ranks each customer's events have."""
    n_ranks = max(n_ranks, 1)
    pairs, _ = distinct_pairs(codes, ranks, n_ranks)
    return np.bincount(pairs // n_ranks, minlength=k)


def most_frequent_ranks(codes: Codes, ranks: Codes, n_ranks: int, k: int) -> IntArray:
    """Return the most frequent rank of each customer's events, the smallest of several; -1 without one."""
    n_ranks = max(n_ranks, 1)
    pairs, sizes = distinct_pairs(codes, ranks, n_ranks)
    owner = pairs // n_ranks
    most = np.zeros(k, dtype=np.int64)
    np.maximum.at(most, owner, sizes)
    best = sizes == most[owner]
    result = np.full(k, -1, dtype=np.int64)
    result[owner[best][::-1]] = (pairs[best] % n_ranks)[::-1]  # the last write, the smallest, stays
    return result


def ranked(column: Column) -> tuple[Codes, Column]:
    """Return the rank of each value among the distinct values, and these as a column; no value may be missing."""
    if column.kind == "text":
        assert column.categories is not None
        every = np.arange(len(column.categories), dtype=np.int32)
        return column.data, Column("text", every, column.categories)
    if column.kind == "boolean":
        return column.data, Column("boolean", np.array([0, 1], dtype=np.int8))
    if column.kind == "tags":
        return _ranked_sets(column)
    different, ranks = np.unique(column.data, return_inverse=True)
    return ranks, Column(column.kind, different)


def _ranked_sets(column: Column) -> tuple[Codes, Column]:
    """Return the rank of each set of tags among the distinct sets, in the order of their sorted tags."""
    assert column.offsets is not None
    sizes, size = np.diff(column.offsets), len(column.categories if column.categories is not None else ())
    ranks = np.zeros(len(column), dtype=np.int64)
    for place in range(int(sizes.max(initial=0))):
        here = np.flatnonzero(sizes > place)
        step = np.zeros(len(column), dtype=np.int64)  # a set that has no more tags comes before longer ones
        step[here] = column.data[column.offsets[:-1][here] + place] + np.int64(1)
        _, ranks = np.unique(ranks * (size + 1) + step, return_inverse=True)
    _, first, ranks = np.unique(ranks, return_index=True, return_inverse=True)
    return ranks, column.take(first)


def members(codes: Codes, column: Column) -> tuple[Codes, Column]:
    """Return one row per tag of each row's set: the customers, and the tags as a column of text."""
    assert column.offsets is not None
    return np.repeat(codes, np.diff(column.offsets)), Column("text", column.data, column.categories)


def smallest_of_time(codes: Codes, times: IntArray, ranks: Codes, k: int, *, last: bool) -> IntArray:
    """Return the rank of each customer's earliest or latest event, the smallest at that instant; -1 without one."""
    when = last_times(codes, times, k) if last else first_times(codes, times, k)
    at = times == when[codes]
    result = np.full(k, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(result, codes[at], ranks[at])
    result[result == np.iinfo(np.int64).max] = -1
    return result
