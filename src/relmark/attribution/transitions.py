"""Transition counts: all that a Markov model of journeys needs, small and mergeable.

A state is the last k channels of a journey, filled up with "none yet" at its start. `TransitionCounts` holds how much
weight (conversions and nulls together) goes from state to state, and how many conversions, how much value and how many
nulls end in each state. Counts of two parts of the journeys can be added, if each journey lies within one part.
"""

from __future__ import annotations

from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._paths import code_names
from relmark.attribution._touches import weighted
from relmark.attribution.journeys import Journeys
from relmark.core.checks import FloatArray, IntArray, whole
from relmark.core.errors import InputError
from relmark.core.frozen import owned
from relmark.core.results import Result

__all__ = ["TransitionCounts"]

Codes = npt.NDArray[np.int32]

_SMALL = 1 << 16  # moves whose table fits the cache together with a block of journeys
_BLOCK = 1 << 14
_TABLE = 1 << 22  # a table of this size costs less than sorting a long column


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TransitionCounts(Result):
    """How journeys move between states of their last k channels.

    Parameters
    ----------
    order : int
        The number k of channels that a state remembers.
    channels : ndarray of str, shape (C,)
        The names of the channels.
    grams : ndarray of int32, shape (S, k)
        The channels of each state as places in `channels`, with the latest in the last column; -1 stands for none yet.
        State 0 is the start.
    source, target : ndarray of int64, shape (M,)
        The states before and after a touch, with each pair once.
    weight : ndarray of float64, shape (M,)
        How many journeys went from one state to the other.
    conversions, nulls : ndarray of float64, shape (S,)
        How many journeys ended in each state with a conversion, and without one.
    value : ndarray of float64, shape (S,), optional
        The value of the conversions that ended in each state.

    Examples
    --------
    >>> counts = TransitionCounts.of(Journeys.from_paths(["a > b", "a"], conversions=[1, 0], nulls=[0, 2]))
    >>> counts.names, counts.weight.tolist()
    (['(start)', 'a', 'b'], [3.0, 1.0])
    """

    order: int
    channels: npt.NDArray[np.str_] = attrs.field(converter=owned)
    grams: Codes = attrs.field(converter=owned)
    source: IntArray = attrs.field(converter=owned)
    target: IntArray = attrs.field(converter=owned)
    weight: FloatArray = attrs.field(converter=owned)
    conversions: FloatArray = attrs.field(converter=owned)
    nulls: FloatArray = attrs.field(converter=owned)
    value: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))

    @classmethod
    def of(cls, journeys: Journeys, order: int = 1) -> Self:
        """Return the counts of journeys, without journeys without touches."""
        k = whole("order", order, low=1)
        codes, offsets, lengths = journeys.codes, journeys.offsets, journeys.lengths
        state, grams = _states(codes, offsets, lengths, len(journeys.channels), k)
        n = len(grams)
        some = lengths > 0
        last = state[offsets[1:][some] - 1]

        def ending(column: FloatArray) -> FloatArray:
            return weighted(last, column[some], n)

        pairs, weight = _moves(state, offsets, lengths, journeys.conversions + journeys.nulls, n)
        return cls(
            order=k,
            channels=journeys.channels,
            grams=grams,
            source=pairs // n,
            target=pairs % n,
            weight=weight,
            conversions=ending(journeys.conversions),
            nulls=ending(journeys.nulls),
            value=None if journeys.value is None else ending(journeys.value),
        )

    @property
    def names(self) -> list[str]:
        """Each state as text, such as "(start)" and "mail > search"."""
        words = self.channels.tolist()
        return ["(start)"] + [" > ".join(words[c] for c in gram if c >= 0) for gram in self.grams[1:].tolist()]

    def __add__(self, other: Self) -> Self:
        """Return the counts of both parts, with channels matched by name."""
        if not isinstance(other, TransitionCounts):
            return NotImplemented
        if self.order != other.order:
            raise InputError(
                f"counts of order {self.order} and of order {other.order} cannot be added: count both in one order.",
                argument="other",
                code="not_mergeable",
            )
        if (self.value is None) != (other.value is None):
            raise InputError(
                "one part has values and the other has none: count both with values, or both without.",
                argument="other",
                code="not_mergeable",
            )
        back, channels = code_names([*self.channels.tolist(), *other.channels.tolist()])
        maps = np.split(np.append(back, -1), [len(self.channels)])
        # An entry of -1 picks the last place, which is appended to each map.
        grams = np.concatenate([np.append(maps[0], -1)[self.grams], maps[1][other.grams]])
        unique, state = np.unique(grams[:, ::-1], axis=0, return_inverse=True)
        n, split = len(unique), len(self.grams)
        state = state.reshape(-1)
        pair = np.concatenate(
            [
                state[:split][self.source] * n + state[:split][self.target],
                state[split:][other.source] * n + state[split:][other.target],
            ]
        )
        pairs, weight = _summed(pair, np.concatenate([self.weight, other.weight]), n * n)

        def ending(a: FloatArray, b: FloatArray) -> FloatArray:
            return weighted(state, np.concatenate([a, b]), n)

        return type(self)(
            order=self.order,
            channels=channels,
            grams=np.ascontiguousarray(unique[:, ::-1]).astype(np.int32),
            source=pairs // n,
            target=pairs % n,
            weight=weight,
            conversions=ending(self.conversions, other.conversions),
            nulls=ending(self.nulls, other.nulls),
            value=None if self.value is None or other.value is None else ending(self.value, other.value),
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "order": self.order,
            "channels": len(self.channels),
            "states": len(self.grams),
            "transitions": len(self.weight),
            "conversions": float(self.conversions.sum()),
            "nulls": float(self.nulls.sum()),
        }


def _states(codes: Codes, offsets: IntArray, lengths: IntArray, n_channels: int, k: int) -> tuple[IntArray, Codes]:
    """Return the state after each touch, and the channels of each state; states are ordered by their latest channel.

    The last j + 1 channels are ranked by the rank of the last j and the channel before them, so that no number exceeds
    touches times channels, whatever the order.
    """
    present = np.zeros(n_channels + 1, dtype=np.bool_)
    present[1:][codes] = True
    present[0] = True  # the start
    rank = (np.cumsum(present) - 1)[1:][codes]
    grams = np.flatnonzero(present).astype(np.int32)[:, None] - 1
    if k > 1:
        position = np.arange(len(codes)) - np.repeat(offsets[:-1], lengths)
    for lag in range(1, k):
        earlier = np.zeros(len(codes), dtype=np.int64)
        earlier[lag:] = codes[:-lag] + 1
        earlier[position < lag] = 0
        key = np.append(rank * (n_channels + 1) + earlier, 0)  # the start, too
        keys, rank = _ranked(key, len(grams) * (n_channels + 1))
        rank = rank[:-1]
        before = (keys % (n_channels + 1)).astype(np.int32) - 1
        grams = np.column_stack([before, grams[keys // (n_channels + 1)]])
    return rank, np.ascontiguousarray(grams)


def _moves(
    state: IntArray, offsets: IntArray, lengths: IntArray, weight: FloatArray, n: int
) -> tuple[IntArray, FloatArray]:
    """Return the moves that occur, as source * n + target, and the total weight of the journeys that make each."""
    if n * n > _SMALL:
        return _summed(_pairs(state, offsets, n), np.repeat(weight, lengths), n * n)
    table = np.zeros(n * n)
    for low in range(0, len(lengths), _BLOCK):  # the small table and a block's arrays fit the cache
        high = min(low + _BLOCK, len(lengths))
        start = offsets[low]
        pair = _pairs(state[start : offsets[high]], offsets[low : high + 1] - start, n)
        table += weighted(pair, np.repeat(weight[low:high], lengths[low:high]), n * n)
    found = np.flatnonzero(table)
    return found, table[found]


def _pairs(state: IntArray, offsets: IntArray, n: int) -> IntArray:
    pair = np.zeros(len(state), dtype=np.int64)
    np.multiply(state[:-1], n, out=pair[1:])
    starts = offsets[:-1]
    pair[starts[starts < len(state)]] = 0  # a journey's first touch comes from the start, state 0
    pair += state
    return pair


def _ranked(keys: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Return the distinct keys in ascending order, and the rank of each key among them."""
    if size <= max(_TABLE, 4 * len(keys)):
        present = np.zeros(size, dtype=np.bool_)
        present[keys] = True
        return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]
    return np.unique(keys, return_inverse=True)


def _summed(keys: IntArray, weights: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """Return the distinct keys in ascending order, and the sum of the weights of each."""
    if size <= max(_TABLE, 4 * len(keys)):
        present = np.zeros(size, dtype=np.bool_)
        present[keys] = True
        found = np.flatnonzero(present)
        return found, weighted(keys, weights, size)[found]
    found, rank = np.unique(keys, return_inverse=True)
    return found, weighted(rank, weights, len(found))
