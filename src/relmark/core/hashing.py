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
_BLOCK = 32_768  # rows hashed at once: what a block needs stays within the cache
_FEW = 512  # rows for which a table of three digits isn't worth its while


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
    start = int(_fnv1a(np.array([_BASIS], dtype=np.uint32), *_utf8_points(np.array([seed])))[0])
    digits = 1 if len(array) <= _FEW else 3
    again = _decimal_heads(_BASIS, digits)
    heads = _decimal_heads(start, digits) if array.dtype.kind in "iu" else again
    out = np.empty(len(array), dtype=np.int64)
    for low in range(0, len(array), _BLOCK):
        block = array[low : low + _BLOCK]
        if block.dtype.kind in "iu":
            first = _fnv1a_integers(block, heads, start)
        else:
            first = _fnv1a(np.full(len(block), start, dtype=np.uint32), *_utf8_points(block))
        second = _fnv1a_decimal(first, again)
        second -= second // np.uint32(BUCKETS) * np.uint32(BUCKETS)  # twice as fast as a remainder
        out[low : low + _BLOCK] = second
    return out


def _plain_ids(array: npt.NDArray[np.object_]) -> npt.NDArray[np.str_]:
    for row, value in enumerate(array):
        if isinstance(value, bool) or not isinstance(value, (int, str, np.integer)):
            raise InputError(f"ids have {shown(value)} in row {row}: int or str is needed.")
    return np.array([str(value) for value in array]) if len(array) else np.empty(0, dtype="U1")


def _fnv1a(
    state: npt.NDArray[np.uint32], points: npt.NDArray[np.unsignedinteger], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Return the hash of each row's first `lengths` bytes, column by column of `points`, from the state so far."""
    shortest = int(lengths.min(initial=points.shape[1]))
    for position in range(points.shape[1]):
        after = state ^ points[:, position]
        after *= _PRIME
        if position >= shortest:
            np.copyto(after, state, where=lengths <= position)
        state = after
    return state


def _utf8_points(texts: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.int64]]:
    """Return the UTF-8 bytes of texts, shape (n, longest), and how many each has."""
    if texts.dtype.kind == "U" and texts.dtype.itemsize:
        points = np.ascontiguousarray(texts)[:, None].view(np.uint32)
        if points.max(initial=0) < 128:  # ASCII: code points are the bytes
            return points, np.strings.str_len(texts).astype(np.int64)
    try:
        encoded = [str(text).encode() for text in texts]
    except UnicodeEncodeError as error:
        raise InputError(f"{shown(error.object)} holds half a surrogate pair: it has no UTF-8 form.") from None
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    padded = np.array(encoded, dtype=f"S{max(int(lengths.max(initial=1)), 1)}")
    return padded[:, None].view(np.uint8), lengths


def _fnv1a_integers(
    numbers: npt.NDArray[np.integer], heads: npt.NDArray[np.uint32], start: int
) -> npt.NDArray[np.uint32]:
    """Return the hash of the decimal text of integers, a minus sign first where they are below 0."""
    size = numbers.astype(np.uint64)
    below = numbers < 0 if numbers.dtype.kind == "i" else np.zeros(len(numbers), dtype=np.bool_)
    if not below.any():
        return _fnv1a_decimal(size, heads)
    size[below] = np.uint64(0) - size[below]  # two's complement: right for the smallest int64 too
    state = np.empty(len(numbers), dtype=np.uint32)
    state[~below] = _fnv1a_decimal(size[~below], heads)
    minus = (start ^ ord("-")) * int(_PRIME) % 2**32
    state[below] = _fnv1a_decimal(size[below], _decimal_heads(minus, 1))
    return state


def _decimal_heads(start: int, digits: int) -> npt.NDArray[np.uint32]:
    """Return the hashes of the texts of all numbers of so many digits or fewer, from the state `start`."""
    heads: npt.NDArray[np.uint32] = np.arange(ord("0"), ord("0") + 10, dtype=np.uint32)
    heads ^= np.uint32(start)
    heads *= _PRIME
    return heads if digits == 1 else _fnv1a_decimal(np.arange(10**digits, dtype=np.uint32), heads)


def _fnv1a_decimal(numbers: npt.NDArray[np.unsignedinteger], heads: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the hash of the decimal text of numbers, of which `heads` has the first 10, 1,000, ...

    A number is its leading digits, whose hash is looked up, and so many digits more as the largest has; in place and
    in 32 bits. Numbers without leading digits are shorter: they are hashed by themselves.
    """
    top = int(numbers.max(initial=0))
    if top < 2**32:
        numbers = numbers.astype(np.uint32, copy=False)
    if top < len(heads):
        return heads.take(numbers)
    # Nine digits at most, so that the rest has 32 bits.
    cut = min(len(str(top)) - len(str(len(heads) - 1)), 9)
    unit = numbers.dtype.type(10**cut)
    head = numbers // unit
    state = _fnv1a_decimal(head, heads)
    rest = (numbers - head * unit).astype(np.uint32, copy=False)
    digit = np.empty_like(rest)
    for power in range(cut - 1, -1, -1):
        ten = np.uint32(10**power)
        np.floor_divide(rest, ten, out=digit)
        state ^= digit
        state ^= np.uint32(ord("0"))  # a digit has the four bits that "0" leaves free
        state *= _PRIME
        if power:
            digit *= ten
            rest -= digit
    short = np.flatnonzero(head == 0)
    if len(short):
        state[short] = _fnv1a_decimal(numbers[short], heads)
    return state
