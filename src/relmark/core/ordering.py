"""Stable sorting of integers by packing: the key in the high bits, the row in the low bits, one vectorized sort.

numpy sorts plain int64 with vector instructions, about ten times as fast as its stable argsort. Packing the row number
below the key makes that sort stable and leaves the permutation in the low bits. If key and row together need more than
63 bits, the key is sorted in pieces, least significant first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["dense_codes", "group_order", "is_sorted", "order_by", "small_codes", "stable_order"]

IntArray = npt.NDArray[np.int64]
_BLOCK = 1 << 16


def is_sorted(keys: npt.NDArray[np.integer]) -> bool:
    """Tell whether integers ascend, ties allowed; stops at the first block that does not."""
    return all(
        bool((keys[low + 1 : low + _BLOCK + 1] >= keys[low : min(low + _BLOCK, len(keys) - 1)]).all())
        for low in range(0, max(len(keys) - 1, 0), _BLOCK)
    )


def stable_order(keys: npt.NDArray[np.integer]) -> IntArray:
    """Return the permutation that sorts integers ascending and keeps the order of equal ones.

    The cost is one sort of int64 if the range of the keys and the number of rows fit 63 bits, else two or more.
    """
    n = len(keys)
    if n < 2:
        return np.arange(n, dtype=np.int64)
    low, high = int(keys.min()), int(keys.max())
    key_bits, row_bits = (high - low).bit_length(), (n - 1).bit_length()
    piece = 63 - row_bits
    if key_bits <= piece:
        return _packed_order(np.subtract(keys, low, dtype=np.int64), row_bits)
    if key_bits < 63:
        found = _order_by_leading_bits(keys, low, key_bits - piece, row_bits)
        if found is not None:
            return found
    # Pieces of the key, least significant first; a difference may not fit int64: take it modulo 2**64.
    offset = keys.astype(np.int64).view(np.uint64) - np.uint64(low % (1 << 64))
    order: IntArray | None = None
    for shift in range(0, key_bits, piece):
        part = ((offset >> np.uint64(shift)) & np.uint64((1 << piece) - 1)).view(np.int64)
        again = _packed_order(part if order is None else part[order], row_bits)
        order = again if order is None else order[again]
    assert order is not None
    return order


def _packed_order(part: IntArray, row_bits: int) -> IntArray:
    """Return the stable order of keys that are not negative and leave room for the row; `part` is overwritten."""
    part <<= row_bits
    part |= np.arange(len(part), dtype=np.int64)
    part.sort()
    part &= (1 << row_bits) - 1
    return part


def _order_by_leading_bits(keys: npt.NDArray[np.integer], low: int, drop: int, row_bits: int) -> IntArray | None:
    """Return the stable order by one sort of the leading bits, with wrongly ordered rows fixed; None if they are many.

    With times of a year in microseconds and ten million rows, six bits are missing. Some dozens of rows are in the
    wrong order after one pass, and a second pass over all rows would double the cost (.43 s of CPU against .22).
    """
    packed = np.subtract(keys, low, dtype=np.int64)
    packed >>= drop
    packed <<= row_bits
    packed |= np.arange(len(keys), dtype=np.int64)
    packed.sort()
    order: IntArray = packed & ((1 << row_bits) - 1)
    packed >>= row_bits
    found = keys[order]
    descents = np.flatnonzero(found[1:] < found[:-1])
    if len(descents) > len(keys) // 64:
        return None
    if len(descents):
        leading = np.unique(packed[descents])
        starts = np.searchsorted(packed, leading, side="left")
        sizes = np.searchsorted(packed, leading, side="right") - starts
        places = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        if len(places) > len(keys) // 2:
            return None
        rows = order[places]
        order[places] = rows[stable_order(keys[rows])]
    return order


def group_order(codes: npt.NDArray[np.integer], n: int) -> tuple[IntArray, IntArray]:
    """Return the rows grouped by code, in their original order within each group, and the start of each group.

    Parameters
    ----------
    codes : ndarray of int, shape (m,)
        Values from 0 to n - 1.
    n : int
        The number of groups.

    Returns
    -------
    order : ndarray of int64, shape (m,)
        The rows.
    offsets : ndarray of int64, shape (n + 1,)
        Group g holds ``order[offsets[g]:offsets[g + 1]]``.
    """
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(codes, minlength=n), out=offsets[1:])
    order = np.arange(len(codes), dtype=np.int64) if is_sorted(codes) else stable_order(codes)
    return order, offsets


def dense_codes(keys: npt.NDArray[np.integer]) -> tuple[IntArray, int]:
    """Return the rank of each integer among the distinct ones, and how many distinct ones there are.

    The ranks are those of ``np.unique(keys, return_inverse=True)``, found by a packed sort instead of an argsort.
    """
    order = stable_order(keys)
    begins = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[order[1:]], keys[order[:-1]], out=begins[1:])
    codes = np.empty(len(keys), dtype=np.int64)
    codes[order] = np.cumsum(begins) - 1
    return codes, int(np.count_nonzero(begins))


def order_by(*keys: npt.NDArray[np.integer]) -> IntArray:
    """Return the permutation that sorts rows by the first of some columns of integers, then by the next, and so on."""
    order = stable_order(keys[-1])
    for key in keys[-2::-1]:
        order = order[stable_order(key[order])]
    return order


def small_codes(codes: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int32] | IntArray:
    """Return codes below n as int32 if they fit, else as int64."""
    if n <= np.iinfo(np.int32).max:
        return codes.astype(np.int32, copy=False)
    return codes.astype(np.int64, copy=False)
