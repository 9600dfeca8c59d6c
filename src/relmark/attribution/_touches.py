"""Kernels over touches stored journey by journey, such as which are the first or last of their channel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, FloatArray, IntArray
from relmark.core.ordering import group_order
from relmark.core.time import duration

Codes = npt.NDArray[np.int32]

_BLOCK = 1 << 16  # journeys whose arrays of a few hundred kilobytes stay in the cache


def journey_of_touch(offsets: IntArray) -> IntArray:
    """Return the number of each touch's journey."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def position_of_touch(offsets: IntArray) -> IntArray:
    """Return the number of touches before each touch in its journey."""
    lengths = np.diff(offsets)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)


def first_of_channel(codes: Codes, offsets: IntArray, n_channels: int) -> BoolArray:
    """Return whether each touch is the first of its channel in its journey.

    Grouped by channel, the touches of one journey are adjacent and in order, so the first of each group is the one.
    """
    first = np.zeros(len(codes), dtype=np.bool_)
    if len(codes) == 0:
        return first
    order, _ = group_order(codes, n_channels)
    journey = journey_of_touch(offsets)[order]
    channel = codes[order]
    new = np.empty(len(codes), dtype=np.bool_)
    new[0] = True
    np.not_equal(journey[1:], journey[:-1], out=new[1:])
    new[1:] |= channel[1:] != channel[:-1]
    first[order[new]] = True
    return first


def last_where(keep: BoolArray, codes: Codes, offsets: IntArray) -> IntArray:
    """Return each journey's last touch whose channel is kept, `keep` (C,), or its very last touch if none is.

    Most journeys are decided by their last touch; only the others are examined again, one touch earlier.
    """
    chosen = offsets[1:] - 1
    (open_,) = np.nonzero(np.diff(offsets))
    open_ = open_[~keep[codes[chosen[open_]]]]
    place = chosen[open_] - 1
    while len(open_):
        inside = place >= offsets[open_]
        open_, place = open_[inside], place[inside]
        found = keep[codes[place]]
        chosen[open_[found]] = place[found]
        open_, place = open_[~found], place[~found] - 1
    return chosen


def repeats(codes: Codes, offsets: IntArray) -> BoolArray:
    """Return whether the touch before each touch in the same journey has the same channel."""
    same = np.zeros(len(codes), dtype=np.bool_)
    np.equal(codes[1:], codes[:-1], out=same[1:])
    starts = offsets[:-1]
    same[starts[starts < len(codes)]] = False
    return same


class Block(NamedTuple):
    """Some of the journeys with their totals: few enough that their arrays stay in the cache."""

    codes: Codes
    offsets: IntArray
    lengths: IntArray
    channels: npt.NDArray[np.str_]
    times: IntArray | None
    totals: FloatArray
    ones: FloatArray


def blocks(journeys: Any, totals: FloatArray) -> Iterator[Block]:
    """Yield journeys block by block; sums of blocks are also more exact than one long sum."""
    offsets, times = journeys.offsets, journeys.times
    edges = offsets[np.minimum(np.arange(0, len(totals) + _BLOCK, _BLOCK), len(totals))]
    ones = np.ones(int(np.diff(edges).max(initial=0)))
    for low in range(0, len(totals), _BLOCK):
        high = min(low + _BLOCK, len(totals))
        start = offsets[low]
        touches = slice(start, offsets[high])
        yield Block(
            journeys.codes[touches],
            offsets[low : high + 1] - start,
            journeys.lengths[low:high],
            journeys.channels,
            None if times is None else times[touches],
            totals[low:high],
            ones[: offsets[high] - start],
        )


def shared_by_weight(codes: Codes, offsets: IntArray, weights: FloatArray, totals: FloatArray, n: int) -> FloatArray:
    """Return the amount of each of n channels when each journey's totals (P, m) are shared by touch weights (T,).

    With the sparse matrix M of journeys by channels, the amounts are ``M.T @ (totals / row sums of M)``. The product
    reads each touch once, in one pass of compiled code.
    """
    from scipy.sparse import csr_array

    matrix: Any = csr_array((weights, codes, offsets.astype(np.int32)), shape=(len(totals), n))
    sums = matrix @ np.ones(n)
    sums[sums == 0.0] = 1.0  # a journey without touches has no entry to multiply
    return _columns(matrix.T, totals / sums[:, None])


def spread(codes: Codes, bounds: IntArray, each: FloatArray, n: int, ones: FloatArray) -> FloatArray:
    """Return the sum over the touches of each of n channels, where every touch of a stretch gets the same amount.

    Stretch r holds the touches ``bounds[r]:bounds[r + 1]``, and each of them gets ``each[r]``, shape (r, m). `ones` has
    one entry per touch.
    """
    from scipy.sparse import csr_array

    matrix = csr_array((ones, codes, bounds.astype(np.int32)), shape=(len(each), n))
    return _columns(matrix.T, each)


def _columns(matrix: Any, columns: FloatArray) -> FloatArray:
    """Return matrix @ columns, one column at a time, which is faster than scipy's product with a thin matrix."""
    return np.stack([matrix @ columns[:, k] for k in range(columns.shape[1])], axis=1)


def weighted(codes: npt.NDArray[np.integer], weights: FloatArray, n: int) -> FloatArray:
    """Return the sum of the weights by code, shape (n,)."""
    return np.bincount(codes.astype(np.intp, copy=False), weights=weights, minlength=n).astype(np.float64, copy=False)


def divided(a: FloatArray, b: FloatArray, *, otherwise: float = np.nan) -> FloatArray:
    """Return a / b if b is above 0, and `otherwise` if not."""
    above = b > 0.0
    return np.where(above, a, otherwise) / np.where(above, b, 1.0)


def summed_at(codes: npt.NDArray[np.integer], totals: FloatArray, n_channels: int) -> FloatArray:
    """Return the sum of the rows of `totals` by code, shape (n_channels, m)."""
    return np.stack([weighted(codes, totals[:, k], n_channels) for k in range(totals.shape[1])], axis=1)


def times_met(codes: Codes, offsets: IntArray, n_channels: int) -> IntArray:
    """Return how many touches of each touch's journey have its channel."""
    out = np.zeros(len(codes), dtype=np.int64)
    if len(codes) == 0:
        return out
    order, _ = group_order(codes, n_channels)
    key_journey, key_channel = journey_of_touch(offsets)[order], codes[order]
    new = np.concatenate(([True], (key_journey[1:] != key_journey[:-1]) | (key_channel[1:] != key_channel[:-1])))
    run = np.cumsum(new) - 1
    out[order] = np.bincount(run)[run]
    return out


def normalized(weights: FloatArray, offsets: IntArray) -> FloatArray:
    """Return weights divided by their sum within each journey."""
    lengths = np.diff(offsets)
    some = lengths > 0
    sums = np.ones(len(lengths))
    if some.any():
        sums[some] = np.add.reduceat(weights, offsets[:-1][some])
    return weights / np.repeat(sums, lengths)


_LONGEST = 1 << 60  # microseconds, 36,000 years: subtracted from any instant, they still fit 64 bits


def span(name: str, value: timedelta) -> int:
    """Return a duration in microseconds, limited so that subtracting it from an instant does not overflow."""
    return min(duration(name, value), _LONGEST)


def ranges(low: IntArray, high: IntArray) -> IntArray:
    """Return the integers of all ranges from low to below high, one range after another."""
    lengths = high - low
    before = np.cumsum(lengths) - lengths
    places: IntArray = np.arange(int(lengths.sum())) + np.repeat(low - before, lengths)
    return places
