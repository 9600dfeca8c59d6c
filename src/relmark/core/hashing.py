"""Keyed hashing of ids: the same id and seed give the same fraction in every process, backend and language.

`hash_fraction` is version 2 of the hash that GrowthBook's SDKs use: ``fnv1a32(str(fnv1a32(seed + id))) mod 10,000``
divided by 10,000, over UTF-8 bytes; integer ids hash as their decimal text. FNV-1a: Fowler, Noll and Vo, 32 bits,
offset basis 2166136261, prime 16777619.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.core.checks import shown
from relmark.core.errors import InputError

__all__ = ["BUCKETS", "hash_buckets", "hash_fraction"]

BUCKETS = 10_000
_BASIS = 2_166_136_261
_PRIME = np.uint32(16_777_619)
_BLOCK = 65_536  # rows hashed at once: the byte matrix of a block stays within the cache


def hash_fraction(ids: npt.ArrayLike, seed: str) -> npt.NDArray[np.float64]:
    """Return for each id a stable fraction in [0, 1), a multiple of 1/10,000.

    Parameters
    ----------
    ids : array_like of int or str, shape (n,)
        Integer ids hash as their decimal text.
    seed : str
        The salt: another seed gives fractions that are as good as independent.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> hash_fraction(["a", "b"], seed="seed").tolist()
    [0.0505, 0.2696]
    """
    return hash_buckets(ids, seed) / float(BUCKETS)


def hash_buckets(ids: npt.ArrayLike, seed: str) -> npt.NDArray[np.int64]:
    """Return for each id its bucket, an integer from 0 to 9,999."""
    if not isinstance(seed, str):
        raise InputError(f"seed is {shown(seed)}: a string is needed.")
    array = np.atleast_1d(np.asarray(ids))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == object:
        array = _plain_ids(array)
    if array.ndim != 1 or array.dtype.kind not in "iuUT":
        raise InputError(f"ids have dtype {array.dtype} and shape {array.shape}: a column of int or str is needed.")
    start = _fnv1a(np.array([_BASIS], dtype=np.uint32), *_utf8_bytes(np.array([seed])))
    out = np.empty(len(array), dtype=np.int64)
    for low in range(0, len(array), _BLOCK):
        block = array[low : low + _BLOCK]
        text = _decimal_bytes(block) if block.dtype.kind in "iu" else _utf8_bytes(block)
        first = _fnv1a(np.repeat(start, len(block)), *text)
        second = _fnv1a(np.full(len(block), _BASIS, dtype=np.uint32), *_decimal_bytes(first))
        out[low : low + _BLOCK] = second % BUCKETS
    return out


def _plain_ids(array: npt.NDArray[np.object_]) -> npt.NDArray[np.str_]:
    for row, value in enumerate(array):
        if isinstance(value, bool) or not isinstance(value, (int, str, np.integer)):
            raise InputError(f"ids have {shown(value)} in row {row}: int or str is needed.")
    return np.array([str(value) for value in array]) if len(array) else np.empty(0, dtype="U1")


def _fnv1a(
    state: npt.NDArray[np.uint32], matrix: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Return the hash of each row's first `lengths` bytes, column by column, from the state so far."""
    state = state.copy()
    shortest = int(lengths.min(initial=matrix.shape[0]))
    for position in range(matrix.shape[0]):
        if position < shortest:
            state ^= matrix[position]
            state *= _PRIME
        else:
            state = np.where(position < lengths, (state ^ matrix[position]) * _PRIME, state)
    return state


def _utf8_bytes(texts: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the UTF-8 bytes of texts, shape (longest, n), and how many each has."""
    if texts.dtype.kind == "U" and texts.dtype.itemsize:
        points = (
            texts[:, None].view(np.uint32) if texts.flags.c_contiguous else np.array(texts)[:, None].view(np.uint32)
        )
        if points.max(initial=0) < 128:  # ASCII: code points are the bytes
            return np.ascontiguousarray(points.T).astype(np.uint8), np.strings.str_len(texts).astype(np.int64)
    try:
        encoded = [str(text).encode() for text in texts]
    except UnicodeEncodeError as error:
        raise InputError(f"{shown(error.object)} holds half a surrogate pair: it has no UTF-8 form.") from None
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    padded = np.array(encoded, dtype=f"S{max(int(lengths.max(initial=1)), 1)}")
    return np.ascontiguousarray(padded[:, None].view(np.uint8).T), lengths


def _decimal_bytes(numbers: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the decimal digits of integers, left-aligned, shape (longest, n), and how many characters each has."""
    if numbers.dtype.kind == "i" and (numbers < 0).any():
        return _utf8_bytes(numbers.astype("U20"))
    rest = numbers.astype(np.uint64)
    width = len(str(int(rest.max(initial=0))))
    lengths = np.ones(len(rest), dtype=np.int64)
    for power in range(1, width):
        lengths += rest >= np.uint64(10**power)
    if width <= 9:  # 32-bit division is several times as fast
        rest = rest.astype(np.uint32)
    backwards = np.empty((width, len(rest)), dtype=np.uint8)
    ten = rest.dtype.type(10)
    for position in range(width):
        left = rest // ten
        backwards[position] = (rest - left * ten).astype(np.uint8) + ord("0")
        rest = left
    if lengths.min(initial=width) == width:
        return backwards[::-1], lengths
    rows = np.clip(lengths - 1 - np.arange(width)[:, None], 0, None)
    return np.take_along_axis(backwards, rows, axis=0), lengths
