"""The best k of each row of a dense block of scores, best first, with ties in the order of items.

First a threshold is found that at least k scores of a row reach. The scores that reach it are collected in one scan,
and only those few are sorted, as integers that hold the score and the column. On 10,000 items this is about twice as
fast as argpartition, and ties are decided by the column, never by the machine.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray

FloatArray = npt.NDArray[np.float32]

_LOWEST = np.finfo(np.float32).min
_BYTES = 4 << 20
_SMALL = 1 << 16
_HALF_STEP, _STEP = np.int32(1 << 5), np.int32(-(1 << 6))  # the last 6 of the 23 bits of a fraction
_COLUMN = np.uint64(0xFFFFFFFF)


def block_rows(n_items: int) -> int:
    """Return the number of rows of a block of scores that fits the cache."""
    return max(_BYTES // (4 * max(n_items, 1)), 16)


def in_steps(scores: FloatArray) -> FloatArray:
    """Round float32 scores in place to steps of 2^-17 of their size, and return them.

    The last bits of a product depend on the kernel that BLAS chooses for a processor. Without these bits, equivalent
    items tie on every machine, and the order of items decides.
    """
    bits = scores.view(np.int32)
    bits += _HALF_STEP
    bits &= _STEP
    return scores


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, npt.NDArray[np.int64], FloatArray]:
    """Return offsets (n + 1,), and the columns and scores of each row's best k, best first, ties by ascending column.

    Parameters
    ----------
    scores : ndarray of float32, shape (n, m), C-contiguous
        The scores; -inf marks items that are not candidates. NaN is not allowed.
    k : int
        1 or more. A row with fewer candidates returns them all.
    """
    n, m = scores.shape
    if n == 0 or m == 0:
        return np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    reach = np.full(n, _LOWEST, dtype=np.float32) if k >= m else np.maximum(_threshold(scores, k), _LOWEST)
    flat = np.flatnonzero(scores >= reach[:, None])
    row = flat // m
    return _best(row, flat - row * m, scores.reshape(-1)[flat], n, k)


def top_k_entries(
    value: FloatArray, column: npt.NDArray[np.integer[Any]], indptr: npt.NDArray[np.integer[Any]], k: int
) -> tuple[IntArray, npt.NDArray[np.int64], FloatArray]:
    """Return the result of `top_k` for sparse rows in CSR form, with the columns of a row in any order."""
    n, lengths = len(indptr) - 1, np.diff(indptr)
    widest = int(lengths.max(initial=0))
    if n == 0 or widest == 0:
        return np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    if n > 1 and n * widest > 4 * len(value) + _SMALL:  # one long row must not make all others as wide
        half = n // 2
        cut = int(indptr[half])
        first = top_k_entries(value[:cut], column[:cut], indptr[: half + 1], k)
        second = top_k_entries(value[cut:], column[cut:], indptr[half:] - cut, k)
        offsets = np.concatenate((first[0], first[0][-1] + second[0][1:]))
        return offsets, np.concatenate((first[1], second[1])), np.concatenate((first[2], second[2]))
    padded = np.full((n, widest), -np.inf, dtype=np.float32)
    padded[np.arange(widest) < lengths[:, None]] = value
    reach = np.full(n, _LOWEST, dtype=np.float32) if k >= widest else np.maximum(_threshold(padded, k), _LOWEST)
    flat = np.flatnonzero(padded >= reach[:, None])
    row = flat // widest
    return _best(row, column[flat - row * widest + indptr[row]], padded.reshape(-1)[flat], n, k)


def _best(
    row: IntArray, column: npt.NDArray[np.integer[Any]], value: FloatArray, n: int, k: int
) -> tuple[IntArray, npt.NDArray[np.int64], FloatArray]:
    """Return the best k of each row from entries in row order that include them."""
    value = value + np.float32(0.0)  # -0.0 becomes 0.0: they tie
    counts = np.bincount(row, minlength=n)
    widest = int(counts.max(initial=0))
    key = _keys(value, column.astype(np.int64, copy=False))
    if widest > 4 * k + 256:  # many ties at the threshold: sort each row separately
        starts = np.concatenate(([0], np.cumsum(counts))).tolist()
        parts = [np.sort(key[low:high])[::-1][:k] for low, high in pairwise(starts)]
        kept = np.array([len(part) for part in parts])
        best = np.concatenate(parts)
    else:
        padded = np.zeros((n, widest), dtype=np.uint64)  # 0 sorts below every key
        ends = np.cumsum(counts)
        padded.reshape(-1)[np.arange(len(key)) + np.repeat(np.arange(n) * widest - (ends - counts), counts)] = key
        padded.sort(axis=1)
        kept = np.minimum(counts, k)
        ranked = padded[:, ::-1][:, :k]
        best = ranked[np.arange(ranked.shape[1]) < kept[:, None]]
    offsets = np.concatenate(([0], np.cumsum(kept)))
    return offsets, (_COLUMN - (best & _COLUMN)).astype(np.int64), _values(best)


def _threshold(scores: FloatArray, k: int) -> FloatArray:
    """Return for each row a score that at least k of its scores reach, shape (n,)."""
    # Halve the row repeatedly, keeping the larger of two scores: each pass is a vector maximum, and the maxima of
    # groups are left. k groups reach the k-th largest maximum, so at least k scores do. A third of a partition's time.
    while scores.shape[1] >= 8 * k:
        width = scores.shape[1]
        half = width // 2
        larger = np.maximum(scores[:, :half], scores[:, half : 2 * half])
        if width % 2:
            np.maximum(larger[:, 0], scores[:, -1], out=larger[:, 0])
        scores = larger
    left = scores.shape[1]
    return np.partition(scores, left - k, axis=1)[:, left - k]


def _keys(value: FloatArray, column: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return integers that ascend with the score and, for equal scores, descend with the column."""
    bits = value.view(np.uint32)
    ordered = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))
    return (ordered.astype(np.uint64) << np.uint64(32)) | (_COLUMN - column.astype(np.uint64))


def _values(key: npt.NDArray[np.uint64]) -> FloatArray:
    ordered = (key >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered >> np.uint32(31), ordered & np.uint32(0x7FFFFFFF), ~ordered)
    return bits.view(np.float32)
