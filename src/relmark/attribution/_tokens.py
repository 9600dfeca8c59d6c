"""Splitting many path strings at once: separators are found and names are coded in the bytes of all strings together.

Making a Python string of every touch costs more than everything else that is done with a million paths. Here a touch is
its bytes as a few 64-bit words; only each distinct name becomes a string.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_MOST_WORDS = 8  # names of up to 64 bytes
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, bits well spread
_MASK = np.array([(1 << 8 * k) - 1 for k in range(9)], dtype=np.uint64)
_SAMPLE = 4_096
_TABLE_BITS = 12


class Tokens(NamedTuple):
    """The code of each touch, how many touches each path has, and the names in the order of first occurrence."""

    codes: npt.NDArray[np.int32]
    counts: IntArray
    names: list[str]


def split_codes(paths: list[str], sep: str) -> Tokens | None:
    """Return the touches of paths, or None where this way does not serve.

    That is where separators overlap, as in "a > > b" split by " > ", where a name is longer than 64 bytes, and where
    two names fall on one key, which is checked for every touch.
    """
    text = sep.join(paths)
    pattern, k = sep.encode(), len(sep.encode())
    data = text.encode() + bytes(8 * _MOST_WORDS)
    n = len(data) - 8 * _MOST_WORDS
    buffer = np.frombuffer(data, dtype=np.uint8)
    cuts = _found(buffer, n, pattern)
    if (np.diff(cuts) < k).any():
        return None
    starts, ends = np.concatenate(([0], cuts + k)), np.append(cuts, n)
    counts = _per_path(paths, text, ends, k)
    lengths = ends - starts
    if counts is None or lengths.max() > 8 * _MOST_WORDS:
        return None
    words = _words(data, starts, lengths)
    key = lengths.astype(np.uint64)
    for word in words:
        key = (key * _MIX) ^ word
        key ^= key >> np.uint64(29)
    code, n_names = _coded(key)
    first = np.empty(n_names, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)  # the last write is the first occurrence
    if not all((column == column[first][code]).all() for column in (lengths, *words)):
        return None
    order = np.argsort(first)
    rank = np.empty(n_names, dtype=np.int32)
    rank[order] = np.arange(n_names, dtype=np.int32)
    return Tokens(rank[code], counts, [data[starts[at] : ends[at]].decode() for at in first[order]])


def _found(buffer: npt.NDArray[np.uint8], n: int, pattern: bytes) -> IntArray:
    """Return where the pattern occurs in the first n bytes; its rarest byte is looked for first."""
    k = len(pattern)
    anchor = next((place for place, byte in enumerate(pattern) if byte != ord(" ")), 0)
    cuts = np.flatnonzero(buffer[anchor : max(n - k + 1, 0) + anchor] == pattern[anchor])
    for place, byte in enumerate(pattern):
        if place != anchor:
            cuts = cuts[buffer[cuts + place] == byte]
    return cuts


def _per_path(paths: list[str], text: str, ends: IntArray, k: int) -> IntArray | None:
    sizes = map(len, paths) if text.isascii() else (len(path.encode()) for path in paths)
    path_ends = np.cumsum(np.fromiter(sizes, dtype=np.int64, count=len(paths)) + k) - k
    closes = np.zeros(int(path_ends[-1]) + 1, dtype=np.bool_)
    closes[path_ends] = True
    at = np.flatnonzero(closes[ends])  # touches that end a path; one read a touch beats a search a path
    return np.diff(at, prepend=-1) if len(at) == len(paths) else None


def _words(data: bytes, starts: IntArray, lengths: IntArray) -> list[Words]:
    """Return the bytes of each touch as little-endian words, zeros after its end."""
    windows = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    longest = int(lengths.max())
    words = []
    for low in range(0, max(longest, 1), 8):
        left = np.clip(lengths - low, 0, 8)
        words.append(windows[np.where(left > 0, starts + low, 0) if low else starts].astype(np.uint64) & _MASK[left])
    return words


def _coded(key: Words) -> tuple[IntArray, int]:
    """Return the place of each key among the distinct ones, of which there are few, and how many there are.

    Where the top bits of the keys tell the distinct ones apart, a table finds each key with one read; a search in the
    few takes several times as long.
    """
    known = np.unique(key[:_SAMPLE])
    while True:
        code = _looked_up(known, key)
        new = known[code] != key
        if not new.any():
            return code, len(known)
        known = np.union1d(known, key[new])


def _looked_up(known: Words, key: Words) -> IntArray:
    """Return the place of each key among the known ones, any place for one that is not among them."""
    shift = np.uint64(64 - _TABLE_BITS)
    slots = (known * _MIX) >> shift
    if len(np.unique(slots)) == len(slots):
        table = np.zeros(1 << _TABLE_BITS, dtype=np.int64)
        table[slots] = np.arange(len(known))
        found: IntArray = table[(key * _MIX) >> shift]
        return found
    code: IntArray = np.searchsorted(known, key)
    code[code == len(known)] = 0
    return code
