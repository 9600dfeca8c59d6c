"""Keyed hashing of ids: the same id and seed give the same fraction in every process, backend and language.

The hashes are those of GrowthBook's SDKs, over UTF-16 code units as JavaScript counts them; integer ids hash as their
decimal text. Version 2 is ``fnv1a32(str(fnv1a32(seed + id))) mod 10,000`` divided by 10,000, version 1 is
``fnv1a32(id + seed) mod 1,000`` divided by 1,000. FNV-1a: Fowler, Noll and Vo, 32 bits, offset basis 2166136261, prime
16777619.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import array_of, shown
from relmark.core.errors import InputError

__all__ = ["BUCKETS", "bucket_of", "hash_buckets", "hash_fraction"]

BUCKETS = 10_000
_BASIS = 2_166_136_261
_PRIME = np.uint32(16_777_619)
_MASK = 0xFFFF_FFFF
_BLOCK = 32_768  # rows hashed at once, so that their data fit into the cache
_FEW = 512  # for so few rows, a table of three digits costs more than it saves


def hash_fraction(ids: npt.ArrayLike, seed: str, *, version: int = 2) -> npt.NDArray[np.float64]:
    """Return for each id a stable fraction in [0, 1), a multiple of 1/10,000.

    Parameters
    ----------
    ids : array_like of int or str, shape (n,)
        Integer ids hash as their decimal text.
    seed : str
        The salt; fractions of different seeds are practically independent.
    version : {2, 1}
        The version of GrowthBook's hash. Version 1 gives multiples of 1/1,000, less evenly distributed; it is for
        campaigns whose customers an older SDK has already assigned.

    Returns
    -------
    ndarray of float64, shape (n,)
        The fraction of each id.

    Examples
    --------
    >>> hash_fraction(["a", "b"], seed="seed").tolist()
    [0.0505, 0.2696]
    >>> hash_fraction(["a", "b"], seed="", version=1).tolist()
    [0.22, 0.077]
    """
    return hash_buckets(ids, seed, version=version) / float(BUCKETS)


def hash_buckets(ids: npt.ArrayLike, seed: str, *, version: int = 2) -> npt.NDArray[np.int64]:
    """Return the bucket of each id, an integer from 0 to 9,999; with version 1, a multiple of 10."""
    _checked_seed(seed, version)
    array = _column(ids)
    start = _state(_BASIS, seed) if version == 2 else _BASIS
    tail = _units(seed) if version == 1 else []
    digits = 1 if len(array) <= _FEW else 3
    again = _decimal_heads(_BASIS, digits)
    heads = _decimal_heads(start, digits) if array.dtype.kind in "iu" else again
    out = np.empty(len(array), dtype=np.int64)
    for low in range(0, len(array), _BLOCK):
        block = array[low : low + _BLOCK]
        if block.dtype.kind in "iu":
            first = _fnv1a_integers(block, heads, start)
        else:
            first = _fnv1a(np.full(len(block), start, dtype=np.uint32), *_code_units(block))
        if version == 1:
            for unit in tail:
                first = (first ^ np.uint32(unit)) * _PRIME
            out[low : low + _BLOCK] = first % np.uint32(1_000) * np.uint32(10)
            continue
        second = _fnv1a_decimal(first, again)
        second -= second // np.uint32(BUCKETS) * np.uint32(BUCKETS)  # twice as fast as a remainder
        out[low : low + _BLOCK] = second
    return out


def bucket_of(seed: str, *, version: int = 2) -> Callable[[int | str], int]:
    """Return a function from one id to its bucket, equal to `hash_buckets`, which takes microseconds in plain Python.

    Examples
    --------
    >>> bucket_of("seed")("a")
    505
    """
    _checked_seed(seed, version)
    if version == 1:
        return lambda customer_id: 10 * (_state(_BASIS, one_id(customer_id) + seed) % 1_000)
    start = _state(_BASIS, seed)
    return lambda customer_id: _state(_BASIS, str(_state(start, one_id(customer_id)))) % BUCKETS


def one_id(customer_id: Any) -> str:
    """Return the text of one id, which is hashed, or raise."""
    if isinstance(customer_id, bool) or not isinstance(customer_id, (int, str, np.integer)):
        raise InputError(
            f"customer_id is {shown(customer_id)}: int or str is needed.", argument="customer_id", code="wrong_type"
        )
    text = str(customer_id)
    _refuse_null("customer_id", text)
    return text


def _checked_seed(seed: Any, version: Any) -> None:
    if not isinstance(seed, str):
        raise InputError(f"seed is {shown(seed)}: a string is needed.", argument="seed", code="wrong_type")
    _refuse_null("seed", seed)
    if version not in (1, 2) or isinstance(version, bool):
        raise InputError(f"version is {shown(version)}: it must be 1 or 2.", argument="version", code="unknown_name")


def _refuse_null(name: str, text: str, where: str = "") -> None:
    # numpy drops null characters at the end of a text, so that two different ids would become equal.
    if text.endswith("\0"):
        raise InputError(
            f"{name} has {shown(text)}{where}, which ends in a null character: remove it.",
            argument=name,
            code="bad_text",
        )


def _state(state: int, text: str) -> int:
    """Return the hash of one text from the state so far."""
    for unit in map(ord, text) if text.isascii() else _units(text):
        state = ((state ^ unit) * 16_777_619) & _MASK
    return state


def _units(text: str) -> list[int]:
    """Return the UTF-16 code units of one text."""
    units = np.frombuffer(_encoded(text), dtype="<u2")
    return [int(unit) for unit in units.tolist()]


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-16-le")
    except UnicodeEncodeError:
        raise InputError(
            f"{shown(text)} holds half a surrogate pair: it is not valid text.",
            argument="ids",
            code="bad_text",
            hint="Repair the text first.",
        ) from None


def _column(ids: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return ids as one column of integers or texts."""
    if isinstance(ids, (list, tuple)) and any(isinstance(one, str) and one.endswith("\0") for one in ids):
        ids = np.array(ids, dtype=object)
    array = np.atleast_1d(array_of("ids", ids))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == object:
        array = _plain_ids(array)
    if array.ndim != 1 or array.dtype.kind not in "iuUT":
        raise InputError(
            f"ids has dtype {array.dtype} and shape {array.shape}: one column of int or str is needed.",
            argument="ids",
            code="wrong_shape",
        )
    return array


def _plain_ids(array: npt.NDArray[np.object_]) -> npt.NDArray[np.str_]:
    for row, value in enumerate(array):
        if isinstance(value, bool) or not isinstance(value, (int, str, np.integer)):
            raise InputError(
                f"ids has {shown(value)} in row {row}: int or str is needed.",
                argument="ids",
                row=row,
                code="wrong_type",
            )
        if isinstance(value, str):
            _refuse_null("ids", value, f" in row {row}")
    return np.array([str(value) for value in array]) if len(array) else np.empty(0, dtype="U1")


def _fnv1a(
    state: npt.NDArray[np.uint32], points: npt.NDArray[np.unsignedinteger], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Return the hash of each row's first `lengths` code units, column by column of `points`, from the state so far."""
    shortest = int(lengths.min(initial=points.shape[1]))
    for position in range(points.shape[1]):
        after = state ^ points[:, position]
        after *= _PRIME
        if position >= shortest:
            np.copyto(after, state, where=lengths <= position)
        state = after
    return state


def _code_units(texts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.int64]]:
    """Return the UTF-16 code units of texts, shape (n, longest), and how many each has."""
    if texts.dtype.kind == "U" and texts.dtype.itemsize:
        points = np.ascontiguousarray(texts)[:, None].view(np.uint32)
        largest = points.max(initial=0)
        # Below the surrogates, and above them up to 65,535, a code point is one unit.
        if largest < 0xD800 or (largest < 0x1_0000 and not ((points >= 0xD800) & (points < 0xE000)).any()):
            return points, np.strings.str_len(texts).astype(np.int64)
    encoded = [_encoded(str(text)) for text in texts]
    lengths = np.array([len(text) // 2 for text in encoded], dtype=np.int64)
    padded = np.array(encoded, dtype=f"S{2 * max(int(lengths.max(initial=1)), 1)}")
    return padded[:, None].view(np.dtype("<u2")), lengths


def _fnv1a_integers(
    numbers: npt.NDArray[np.integer], heads: npt.NDArray[np.uint32], start: int
) -> npt.NDArray[np.uint32]:
    """Return the hash of the decimal text of integers, with a minus sign for negative ones."""
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
    """Return the hashes of the decimal texts of all numbers with at most `digits` digits, from the state `start`."""
    heads: npt.NDArray[np.uint32] = np.arange(ord("0"), ord("0") + 10, dtype=np.uint32)
    heads ^= np.uint32(start)
    heads *= _PRIME
    return heads if digits == 1 else _fnv1a_decimal(np.arange(10**digits, dtype=np.uint32), heads)


def _fnv1a_decimal(numbers: npt.NDArray[np.unsignedinteger], heads: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the hash of the decimal text of numbers, of which `heads` has the first 10, 1,000, ...

    A number consists of leading digits, whose hash is looked up, and further digits, which are hashed one by one, in
    place and in 32 bits. Numbers without leading digits are shorter and are hashed separately.
    """
    top = int(numbers.max(initial=0))
    if top < 2**32:
        numbers = numbers.astype(np.uint32, copy=False)
    if top < len(heads):
        return heads.take(numbers)
    # At most nine digits, so that the rest fits 32 bits.
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
        state ^= np.uint32(ord("0"))  # the code of a digit is "0" with the digit in its four low bits
        state *= _PRIME
        if power:
            digit *= ten
            rest -= digit
    short = np.flatnonzero(head == 0)
    if len(short):
        state[short] = _fnv1a_decimal(numbers[short], heads)
    return state
