"""Stable orders by packed sorts: the key in the high bits, the row in the low ones, one vectorised sort of integers.

numpy sorts plain int64 with vector instructions, about ten times as fast as its stable argsort. Packing the row number
beneath the key makes that sort stable and leaves the permutation in the low bits. Where key and row need more than 63
bits together, the key is sorted in pieces, least significant first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["group_order", "is_sorted", "small_codes", "stable_order"]

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

    Cost: one sort of int64 where the range of the keys and the number of rows fit 63 bits, two or more otherwise.
    """
    n = len(keys)
    if n < 2:
        return np.arange(n, dtype=np.int64)
    low, high = int(keys.min()), int(keys.max())
    key_bits, row_bits = (high - low).bit_length(), (n - 1).bit_length()
    piece = 63 - row_bits
    packed = np.empty(n, dtype=np.int64)
    rows = np.arange(n, dtype=np.int64)
    row_mask = (1 << row_bits) - 1
    order: IntArray | None = None
    for shift in range(0, max(key_bits, 1), piece):
        if key_bits >= 63:  # a difference may not fit int64: take it modulo 2**64
            offset = keys.astype(np.int64).view(np.uint64) - np.uint64(low % (1 << 64))
            part = ((offset >> np.uint64(shift)) & np.uint64((1 << piece) - 1)).view(np.int64)
        else:
            part = np.subtract(keys, low, dtype=np.int64)
            if shift:
                part >>= shift
            if key_bits - shift > piece:
                part &= (1 << piece) - 1
        if order is not None:
            part = part[order]
        np.left_shift(part, row_bits, out=packed)
        del part
        packed |= rows
        packed.sort()
        packed &= row_mask
        order = packed.copy() if order is None and key_bits > piece else packed if order is None else order[packed]
    assert order is not None
    return order


def group_order(codes: npt.NDArray[np.integer], n: int) -> tuple[IntArray, IntArray]:
    """Return the rows grouped by code, in their order within each, and where each of the n groups starts.

    Parameters
    ----------
    codes : ndarray of int, shape (m,)
        Values from 0 to n - 1.
    n : int
        The number of groups.

    Returns
    -------
    order : ndarray of int64, shape (m,)
    offsets : ndarray of int64, shape (n + 1,)
        Group g holds ``order[offsets[g]:offsets[g + 1]]``.
    """
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(codes, minlength=n), out=offsets[1:])
    order = np.arange(len(codes), dtype=np.int64) if is_sorted(codes) else stable_order(codes)
    return order, offsets


def small_codes(codes: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int32] | IntArray:
    """Return codes below n in the smallest of int32 and int64 that holds them."""
    if n <= np.iinfo(np.int32).max:
        return codes.astype(np.int32, copy=False)
    return codes.astype(np.int64, copy=False)
