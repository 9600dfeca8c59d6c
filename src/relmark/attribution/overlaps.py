"""Reports on which channels occur together: in pairs, as first and last, and in sets."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import divided, first_of_channel, journey_of_touch, weighted
from relmark.attribution._transforms import merged
from relmark.attribution.journey_columns import JourneyColumns
from relmark.core.checks import FloatArray, IntArray
from relmark.core.results import ColumnarResult, Result

__all__ = ["ChannelSets", "FirstAndLast", "Overlap"]


def _beside(title: str, names: npt.NDArray[np.str_], matrix: FloatArray) -> dict[str, Any]:
    """Return a matrix as one column per name, after a column of the names; a name equal to the title is marked."""
    table: dict[str, Any] = {title: names}
    for k, name in enumerate(names.tolist()):
        table[f"{name} (channel)" if name == title else name] = matrix[:, k]
    return table


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Overlap(Result):
    """Which channels occur together in converting journeys.

    Parameters
    ----------
    channels : ndarray of str, shape (C,)
        The names of the channels.
    matrix : ndarray of float64, shape (C, C)
        Conversions whose journeys have both channels; on the diagonal, those with the channel.
    """

    channels: npt.NDArray[np.str_]
    matrix: FloatArray

    @property
    def share(self) -> FloatArray:
        """The share of conversions with the row's channel that also have the column's, shape (C, C)."""
        own = np.diag(self.matrix)[:, None]
        return divided(self.matrix, own)

    @property
    def jaccard(self) -> FloatArray:
        """Conversions with both channels divided by those with either, shape (C, C)."""
        own = np.diag(self.matrix)
        either = own[:, None] + own[None, :] - self.matrix
        return divided(self.matrix, either)

    def _facts(self) -> dict[str, Any]:
        return {"channels": len(self.channels)}

    def _table(self) -> dict[str, Any]:
        return _beside("channel", self.channels, self.matrix)


def overlap(j: JourneyColumns) -> Overlap:
    """Return the conversions whose journeys have both channels, for each pair of channels."""
    from scipy.sparse import csr_array

    n = len(j.channels)
    once = first_of_channel(j.codes, j.offsets, n)
    before = np.concatenate(([0], np.cumsum(once)))[j.offsets]
    shape = (len(j), n)
    has = csr_array((np.ones(int(before[-1])), j.codes[once], before), shape=shape)
    converting = csr_array((np.repeat(j.conversions, np.diff(before)), j.codes[once], before), shape=shape)
    return Overlap(channels=j.channels, matrix=(has.T @ converting).toarray())


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FirstAndLast(Result):
    """Conversions by first and last channel.

    Parameters
    ----------
    channels : ndarray of str, shape (C,)
        The names of the channels.
    matrix : ndarray of float64, shape (C, C)
        The conversions; rows are first channels, columns are last channels.
    """

    channels: npt.NDArray[np.str_]
    matrix: FloatArray

    def _facts(self) -> dict[str, Any]:
        return {"channels": len(self.channels), "conversions": float(self.matrix.sum())}

    def _table(self) -> dict[str, Any]:
        return _beside("first \\ last", self.channels, self.matrix)


def first_and_last(j: JourneyColumns) -> FirstAndLast:
    """Return the conversions by first and last channel."""
    n = len(j.channels)
    some = j.lengths > 0
    cell = j.codes[j.offsets[:-1][some]].astype(np.int64) * n + j.codes[j.offsets[1:][some] - 1]
    matrix = weighted(cell, j.conversions[some], n * n).reshape(n, n)
    return FirstAndLast(channels=j.channels, matrix=matrix)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelSets(ColumnarResult):
    """The sets of channels that journeys have: one row per set, those with the most conversions first.

    Parameters
    ----------
    channels : ndarray of str, shape (K,)
        The names of the set joined by " + ", in the journeys' order of channels; "" for journeys without touches.
    size : ndarray of int64, shape (K,)
        The number of channels of the set.
    conversions, nulls : ndarray of float64, shape (K,)
        The conversions, and the journeys without a conversion.
    value : ndarray of float64, shape (K,)
        The value of the conversions; NaN if the journeys have none.
    rate : ndarray of float64, shape (K,)
        Conversions divided by conversions plus nulls.
    """

    channels: npt.NDArray[np.str_]
    size: IntArray
    conversions: FloatArray
    nulls: FloatArray
    value: FloatArray
    rate: FloatArray


def channel_sets(j: JourneyColumns) -> ChannelSets:
    """Return the sets of channels that journeys have, with their counts."""
    n = len(j.channels)
    once = first_of_channel(j.codes, j.offsets, n)
    before = np.concatenate(([0], np.cumsum(once)))[j.offsets]
    journey = journey_of_touch(before)
    ordered = np.sort(journey * max(n, 1) + j.codes[once])  # each journey's channels ascending
    each = attrs.evolve(j, codes=(ordered % max(n, 1)).astype(np.int32), offsets=before, times=None, ends=None)
    sets = attrs.evolve(each, **merged(each))
    best = np.argsort(-sets.conversions, kind="stable")
    texts = sets.path_texts(best.tolist(), " + ")
    conversions, nulls = sets.conversions[best], sets.nulls[best]
    return ChannelSets(
        channels=np.array(texts, dtype=np.str_) if texts else np.empty(0, dtype="<U1"),
        size=sets.lengths[best],
        conversions=conversions,
        nulls=nulls,
        value=np.full(len(best), np.nan) if sets.value is None else sets.value[best],
        rate=divided(conversions, conversions + nulls),
    )
