"""Find equal paths: the codes of each path are hashed to 62 bits, the hashes are sorted, and equal ones are checked.

This reads the touches once and in order, while a dictionary of paths accesses a random place of memory for every
journey.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.ordering import stable_order

Codes = npt.NDArray[np.int32]

_BLOCK = 1 << 13  # journeys whose arrays stay in the cache
_BASE = 0xD1342543DE82EF95  # odd: it has an inverse modulo 2**64
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Distinct(NamedTuple):
    """The number of each journey's path, in the order of first occurrence, and the first journey of each path."""

    path: IntArray
    first: IntArray


def distinct_paths(codes: Codes, offsets: IntArray) -> Distinct:
    """Return which journeys have equal paths."""
    n = len(offsets) - 1
    key = _hashed(codes, offsets)
    order = stable_order(key)
    ordered = key[order]
    new = np.ones(n, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    firsts = order[new]  # the first journey of each hash, since the order is stable
    is_first = np.zeros(n, dtype=np.bool_)
    is_first[firsts] = True
    path = np.empty(n, dtype=np.int64)
    path[order] = (np.cumsum(is_first) - 1)[firsts][np.cumsum(new) - 1]
    first = np.flatnonzero(is_first)
    later = np.flatnonzero(~is_first)
    if _equal(codes, offsets, later, first[path[later]]):
        return Distinct(path, first)
    return _by_bytes(codes, offsets)


def _hashed(codes: Codes, offsets: IntArray) -> IntArray:
    """Return the upper 62 bits of the sum over positions i of ``value(code_i) * base**i`` modulo 2**64.

    One running sum gives the hashes of all journeys of a block: the difference of two sums is a hash times a power of
    the base, which is removed by the inverse of that power.
    """
    n_codes = int(codes.max(initial=0)) + 1
    value = np.arange(1, n_codes + 1, dtype=np.uint64) * _MIX
    value ^= value >> np.uint64(31)
    value *= _MIX
    edges = offsets[np.minimum(np.arange(0, len(offsets) - 1 + _BLOCK, _BLOCK), len(offsets) - 1)]
    most = int(np.diff(edges).max(initial=0)) + 1
    power, inverse = _powers(_BASE, most), _powers(pow(_BASE, -1, 1 << 64), most)
    key = np.empty(len(offsets) - 1, dtype=np.uint64)
    sums = np.zeros(most, dtype=np.uint64)
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        here = slice(number * _BLOCK, (number + 1) * _BLOCK)
        bounds = offsets[number * _BLOCK : (number + 1) * _BLOCK + 1] - low
        terms = value.take(codes[low:high])
        terms *= power[: high - low]
        np.cumsum(terms, out=sums[1 : high - low + 1])
        key[here] = np.diff(sums.take(bounds)) * inverse.take(bounds[:-1])
    key *= _MIX
    key >>= np.uint64(2)
    return key.view(np.int64)


def _powers(base: int, n: int) -> npt.NDArray[np.uint64]:
    power = np.full(n, base, dtype=np.uint64)
    power[0] = 1
    return np.cumprod(power, dtype=np.uint64)


def _equal(codes: Codes, offsets: IntArray, a: IntArray, b: IntArray) -> bool:
    """Return whether each of the journeys a has the same path as the journey of b in its place."""
    lengths = offsets[a + 1] - offsets[a]
    if not np.array_equal(lengths, offsets[b + 1] - offsets[b]):
        return False
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.array_equal(
        codes[within + np.repeat(offsets[a], lengths)], codes[within + np.repeat(offsets[b], lengths)]
    )


def _by_bytes(codes: Codes, offsets: IntArray) -> Distinct:
    """Return which journeys have equal paths by a dictionary, for the case that two paths have the same hash."""
    data = np.ascontiguousarray(codes).tobytes()
    seen: dict[bytes, int] = {}
    bounds = pairwise((offsets * codes.itemsize).tolist())
    path = np.fromiter((seen.setdefault(data[low:high], len(seen)) for low, high in bounds), dtype=np.int64)
    return Distinct(path, np.unique(path, return_index=True)[1])
