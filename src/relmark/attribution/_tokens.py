"""Split many path strings at once: separators and names are found in the bytes of many strings together.

Making a Python string of every touch costs more than everything else that is done with a million paths. Here a touch is
represented by its bytes as a few 64-bit words, and only distinct names become strings. Some thousand paths are handled
at a time, so that their arrays stay in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray

Words = npt.NDArray[np.uint64]

_MOST_WORDS = 8  # names of up to 64 bytes
_MOST_NAMES = 1 << 16
_FEW_NAMES = 512  # up to this number the best of several multipliers is chosen
_LONGEST_SEPARATOR = 16
_BLOCK_CHARACTERS = 1 << 18
_SAMPLE = 4_096
_MIX = 0x9E3779B97F4A7C15  # odd, bits well spread
_MULTIPLIERS = [np.uint64(pow(_MIX, power, 1 << 64)) for power in range(1, 16, 2)]
_HALF = np.uint64(32)
_BYTES = np.arange(8 * _MOST_WORDS + 1)
_MASKS = [
    np.array([(1 << 8 * k) - 1 for k in np.clip(_BYTES - low, 0, 8).tolist()], dtype=np.uint64)
    for low in range(0, 8 * _MOST_WORDS, 8)
]  # the mask of each word by the length of the name


class Tokens(NamedTuple):
    """The code of each touch, the number of touches of each path, and the names in the order of first occurrence."""

    codes: npt.NDArray[np.int32]
    counts: IntArray
    names: list[str]


class _Split(NamedTuple):
    """The bytes of some paths, the starts and lengths of their touches, and the number of touches of each path."""

    data: bytes
    starts: IntArray
    lengths: IntArray
    counts: IntArray


def split_codes(paths: list[str], sep: str) -> Tokens | None:
    """Return the touches of paths, or None if this method does not work for them.

    It does not work if separators overlap, as in "a > > b" split by " > ", or are long; if a name is longer than 64
    bytes; if the text has null characters, unit separators or half a surrogate pair; if there are very many names; or
    if two names have the same key, which is checked for every touch.
    """
    if "\0" in sep or len(sep.encode(errors="replace")) > _LONGEST_SEPARATOR:
        return None
    known = _Names()
    codes, counts = [], []
    step = max(1, _BLOCK_CHARACTERS * min(len(paths), _SAMPLE) // (1 + sum(map(len, paths[:_SAMPLE]))))
    for low in range(0, len(paths), step):
        block = _split(paths[low : low + step], sep)
        code = None if block is None else known.codes_of(block)
        if block is None or code is None:
            return None
        codes.append(code.astype(np.int32))
        counts.append(block.counts)
    return Tokens(np.concatenate(codes), np.concatenate(counts), known.names)


def _split(paths: list[str], sep: str) -> _Split | None:
    """Return the places of the touches of some paths; a byte that no path may have is put between two paths."""
    try:
        pattern = sep.encode()
        k = len(pattern)
        stop = next(byte for byte in range(31, 0, -1) if byte not in pattern)
        anchor = next((place for place, byte in enumerate(pattern) if byte != ord(" ")), 0)  # the rarest byte
        between = " " * anchor + chr(stop) + " " * (k - anchor - 1)
        text = between.join(paths).encode()
    except UnicodeEncodeError:
        return None
    if 0 in text:
        return None
    n, data = len(text), text + bytes(8 * _MOST_WORDS)  # padding, since words are read beyond the end
    buffer = np.frombuffer(data, dtype=np.uint8)
    cuts = np.flatnonzero((buffer == pattern[anchor]) | (buffer == stop))
    last = buffer.take(cuts) == stop
    for place, byte in enumerate(pattern):
        if place != anchor:
            here = buffer.take(cuts + (place - anchor)) == byte
            here |= last
            if not here.all():
                cuts, last = cuts[here], last[here]
    of_path = np.append(np.flatnonzero(last), len(cuts))
    if len(of_path) != len(paths):
        return None
    starts = np.empty(len(cuts) + 1, dtype=np.int64)
    starts[0] = 0
    np.add(cuts, k - anchor, out=starts[1:])
    lengths = np.append(cuts - anchor, n)
    lengths -= starts
    if lengths.min() < 0 or lengths.max() > 8 * _MOST_WORDS:
        return None
    return _Split(data, starts, lengths, np.diff(of_path, prepend=-1))


class _Names:
    """The names found so far in the order of first occurrence, each with its words and a 64-bit key.

    A name of up to eight bytes is its own key. A table gives the code of a key with one read, except for the few keys
    that share a place of the table, which are found by a search.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.n_words = 1
        self.words = np.empty((_MOST_WORDS, 0), dtype=np.uint64)
        self.keys = np.empty(0, dtype=np.uint64)

    def codes_of(self, block: _Split) -> IntArray | None:
        """Return the code of each touch, or None if there are too many names or two names have the same key."""
        self.n_words = max(self.n_words, -(-int(block.lengths.max()) // 8))
        windows = np.ndarray((len(block.data) - 7,), dtype="<u8", buffer=block.data, strides=(1,))
        words: list[Words] = []
        for place in range(self.n_words):
            word: Words = windows.take(block.starts + 8 * place)
            word &= _MASKS[place].take(block.lengths)
            words.append(word)
        key = _keys(words)
        code = np.zeros(len(key), dtype=np.int64)
        missed = np.arange(len(key))
        if self.names:
            code, missed = self._looked_up(key)
        while len(missed):
            self._learn(block, words, key, missed[:_SAMPLE])
            if len(self.names) > _MOST_NAMES:
                return None
            code[missed], again = self._looked_up(key[missed])
            missed = missed[again]
        if self.n_words > 1 and not all(
            (self.words[place].take(code) == word).all() for place, word in enumerate(words)
        ):
            return None
        return code

    def _learn(self, block: _Split, words: list[Words], key: Words, touches: IntArray) -> None:
        """Add the names of touches with unknown keys."""
        _, first = np.unique(key[touches], return_index=True)
        new = touches[np.sort(first)]
        added = np.zeros((_MOST_WORDS, len(new)), dtype=np.uint64)
        added[: self.n_words] = [word[new] for word in words]
        self.words = np.concatenate([self.words, added], axis=1)
        self.keys = np.concatenate([self.keys, key[new]])
        ends = block.starts + block.lengths
        self.names += [block.data[block.starts[at] : ends[at]].decode() for at in new.tolist()]
        self._by_key = np.argsort(self.keys)
        self._sorted = self.keys[self._by_key]
        bits = max(12, len(self.names).bit_length() + 4)
        self._shift = np.uint64(64 - bits)
        tried = _MULTIPLIERS if len(self.keys) <= _FEW_NAMES else _MULTIPLIERS[:1]
        self._multiplier = max(tried, key=lambda by: len(np.unique((self.keys * by) >> self._shift)))
        self._table = np.zeros(1 << bits, dtype=np.int64)
        self._table[(self.keys * self._multiplier) >> self._shift] = np.arange(len(self.names))

    def _looked_up(self, key: Words) -> tuple[IntArray, IntArray]:
        """Return the code of each key, and the places of unknown keys."""
        slot = key * self._multiplier
        slot >>= self._shift
        code: IntArray = self._table.take(slot.view(np.int64))
        missed = np.flatnonzero(self.keys.take(code) != key)
        if len(missed):
            place = np.searchsorted(self._sorted, key[missed])
            place[place == len(self._sorted)] = 0
            code[missed] = self._by_key[place]
            missed = missed[self._sorted[place] != key[missed]]
        return code, missed


def _keys(words: list[Words]) -> Words:
    """Return a key for each name: its first word, with its further words mixed in."""
    key = words[0]
    for place, word in enumerate(words[1:]):
        mixed = word * _MULTIPLIERS[place]
        mixed ^= mixed >> _HALF
        mixed *= _MULTIPLIERS[place]
        key = key ^ mixed
    return key
