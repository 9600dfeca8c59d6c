"""Kernels over touches that lie journey after journey: which are first of their channel, last, repeated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.core.ordering import group_order

Codes = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_BLOCK = 1 << 18  # journeys a block: partial sums stay exact to a few units in the last place


def journey_of_touch(offsets: IntArray) -> IntArray:
    """Return for each touch the number of its journey."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def position_of_touch(offsets: IntArray) -> IntArray:
    """Return for each touch how many come before it in its journey."""
    lengths = np.diff(offsets)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)


def first_of_channel(codes: Codes, offsets: IntArray, n_channels: int) -> BoolArray:
    """Tell for each touch whether its journey has not met the channel before.

    Grouped by channel, the touches of one journey lie together in order: the first of each group is the one.
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


def last_where(keep: BoolArray, offsets: IntArray) -> IntArray:
    """Return for each journey its last touch for which `keep` is true, -1 where there is none."""
    if len(keep) == 0:
        return np.full(len(offsets) - 1, -1, dtype=np.int64)
    latest = np.maximum.accumulate(np.where(keep, np.arange(len(keep)), -1))
    found = latest[np.maximum(offsets[1:] - 1, 0)]
    return np.where((found >= offsets[:-1]) & (np.diff(offsets) > 0), found, -1)


def repeats(codes: Codes, offsets: IntArray) -> BoolArray:
    """Tell for each touch whether the one before it in the same journey has the same channel."""
    same = np.zeros(len(codes), dtype=np.bool_)
    np.equal(codes[1:], codes[:-1], out=same[1:])
    starts = offsets[:-1]
    same[starts[starts < len(codes)]] = False
    return same


def shared_by_weight(
    codes: Codes, offsets: IntArray, weights: FloatArray | None, totals: FloatArray, n_channels: int
) -> FloatArray:
    """Return for each channel its share of the journeys' totals, shared within each journey by weight.

    Parameters
    ----------
    codes, offsets : ndarray
        Touches, journey after journey.
    weights : ndarray, shape (T,), or None
        At least 0, and not all 0 within a journey; None for equal ones.
    totals : ndarray, shape (P, m)
        What each journey has to give, 0 for a journey without touches.
    n_channels : int

    Returns
    -------
    ndarray, shape (n_channels, m)

    Notes
    -----
    With the sparse matrix M of journeys by channels, the shares are ``M.T @ (totals / row sums of M)``. The product
    reads each touch once, in one pass of compiled code. Journeys go in blocks whose sums are added pairwise.
    """
    from scipy.sparse import csr_array

    m = totals.shape[1]
    partial = []
    for low in range(0, len(offsets) - 1, _BLOCK):
        high = min(low + _BLOCK, len(offsets) - 1)
        touches = slice(offsets[low], offsets[high])
        pointers = (offsets[low : high + 1] - offsets[low]).astype(np.int32)
        if weights is None:
            data = np.ones(int(pointers[-1]))
            given = np.diff(pointers).astype(np.float64)
        else:
            data = weights[touches]
        matrix = csr_array((data, codes[touches], pointers), shape=(high - low, n_channels))
        if weights is not None:
            given = matrix @ np.ones(n_channels)
        given[given == 0.0] = 1.0
        back = matrix.T
        partial.append(np.stack([back @ (totals[low:high, k] / given) for k in range(m)], axis=1))
    return np.sum(partial, axis=0) if partial else np.zeros((n_channels, m))


def weighted(codes: npt.NDArray[np.integer], weights: FloatArray, n: int) -> FloatArray:
    """Return the sum of the weights by code, shape (n,)."""
    return np.bincount(codes.astype(np.intp, copy=False), weights=weights, minlength=n).astype(np.float64, copy=False)


def divided(a: FloatArray, b: FloatArray, *, otherwise: float = np.nan) -> FloatArray:
    """Return a / b where b is above 0, and `otherwise` elsewhere."""
    above = b > 0.0
    return np.where(above, a, otherwise) / np.where(above, b, 1.0)


def summed_at(codes: npt.NDArray[np.integer], totals: FloatArray, n_channels: int) -> FloatArray:
    """Return the sum of the rows of `totals` by code, shape (n_channels, m)."""
    return np.stack([weighted(codes, totals[:, k], n_channels) for k in range(totals.shape[1])], axis=1)


def times_met(codes: Codes, offsets: IntArray, n_channels: int) -> IntArray:
    """Return for each touch how often its journey meets its channel in all."""
    out = np.zeros(len(codes), dtype=np.int64)
    if len(codes) == 0:
        return out
    order, _ = group_order(codes, n_channels)
    key_journey, key_channel = journey_of_touch(offsets)[order], codes[order]
    new = np.concatenate(([True], (key_journey[1:] != key_journey[:-1]) | (key_channel[1:] != key_channel[:-1])))
    run = np.cumsum(new) - 1
    out[order] = np.bincount(run)[run]
    return out


def normalised(weights: FloatArray, offsets: IntArray) -> FloatArray:
    """Return weights divided by their sum within each journey."""
    lengths = np.diff(offsets)
    some = lengths > 0
    sums = np.ones(len(lengths))
    if some.any():
        sums[some] = np.add.reduceat(weights, offsets[:-1][some])
    return weights / np.repeat(sums, lengths)
