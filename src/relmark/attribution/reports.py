"""Reports on journeys: assists, path lengths, time lags, positions of channels, and common paths."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import divided, first_of_channel, journey_of_touch, span, summed_at, weighted
from relmark.attribution._transforms import merged as merged_fields
from relmark.attribution.journey_columns import JourneyColumns
from relmark.core.checks import FloatArray, IntArray, whole
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.time import days, duration

__all__ = [
    "Assists",
    "ChannelPositions",
    "PathLengths",
    "TimeLags",
    "TopPaths",
    "TouchesToConversion",
]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PathLengths(ColumnarResult):
    """The number of touches of journeys: one row per length that occurs, 0 for journeys without touches.

    Parameters
    ----------
    length : ndarray of int64, shape (L,)
        The number of touches.
    conversions, nulls : ndarray of float64, shape (L,)
        The conversions, and the journeys without a conversion.
    value : ndarray of float64, shape (L,)
        The value of the conversions; NaN if the journeys have none.
    rate : ndarray of float64, shape (L,)
        Conversions divided by conversions plus nulls.
    mean_converting, mean_other : float
        The mean number of touches of journeys that convert, and of the others; NaN if there are none.
    """

    length: IntArray
    conversions: FloatArray
    nulls: FloatArray
    value: FloatArray
    rate: FloatArray
    mean_converting: float
    mean_other: float


def path_lengths(j: JourneyColumns) -> PathLengths:
    """Return the number of touches of journeys."""
    length, rank = np.unique(j.lengths, return_inverse=True)
    conversions, nulls = (weighted(rank, w, len(length)) for w in (j.conversions, j.nulls))
    value = np.full(len(length), np.nan)
    if j.value is not None:
        value = weighted(rank, j.value, len(length))
    return PathLengths(
        length=length,
        conversions=conversions,
        nulls=nulls,
        value=value,
        rate=divided(conversions, conversions + nulls),
        mean_converting=_mean(length, conversions),
        mean_other=_mean(length, nulls),
    )


def _mean(values: npt.NDArray[Any], weights: FloatArray) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0.0 else float("nan")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TouchesToConversion(ColumnarResult):
    """The number of touches before a conversion: one row per number, without conversions without touches.

    Parameters
    ----------
    touches : ndarray of int64, shape (L,)
        The number of touches.
    conversions : ndarray of float64, shape (L,)
        The conversions after this number of touches.
    share, running_share : ndarray of float64, shape (L,)
        Their share of all conversions with touches, and the share with this number or fewer; NaN if there are none.
    """

    touches: IntArray
    conversions: FloatArray
    share: FloatArray
    running_share: FloatArray

    def quantile(self, q: float) -> float:
        """Return the smallest number of touches within which a share q of the conversions happened."""
        if not 0.0 <= q <= 1.0:
            raise InputError(f"q is {q!r}: a number from 0 to 1 is needed.", argument="q", code="wrong_value")
        if not self.conversions.sum() > 0.0:
            return float("nan")
        enough = self.running_share >= q * (1.0 - 1e-12)
        return float(self.touches[int(np.argmax(enough))])


def touches_to_conversion(j: JourneyColumns) -> TouchesToConversion:
    """Return the number of touches before a conversion."""
    some = (j.lengths > 0) & (j.conversions > 0.0)
    touches, rank = np.unique(j.lengths[some], return_inverse=True)
    conversions = weighted(rank, j.conversions[some], len(touches))
    running = np.cumsum(conversions)
    total = running[-1] if len(running) else np.nan
    return TouchesToConversion(
        touches=touches, conversions=conversions, share=conversions / total, running_share=running / total
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TimeLags(ColumnarResult):
    """How long journeys take from the first touch to the end: one row per bin.

    Parameters
    ----------
    from_days, to_days : ndarray of float64, shape (B,)
        The bin holds journeys with from_days <= lag < to_days; the last bin has no end.
    conversions, nulls : ndarray of float64, shape (B,)
        The conversions, and the journeys without a conversion.
    mean_days_converting, mean_days_other : float
        The mean lag in days of journeys that convert, and of the others; NaN if there are none.
    """

    from_days: FloatArray
    to_days: FloatArray
    conversions: FloatArray
    nulls: FloatArray
    mean_days_converting: float
    mean_days_other: float


def time_lags(j: JourneyColumns, edges: Iterable[timedelta] | None = None) -> TimeLags:
    """Return how long journeys with touches take; `edges` are the starts of the bins after the first.

    By default these bins start at 1, 2, 3, 5, 7, 14, 30, 60 and 90 days.
    """
    if j.times is None or j.ends is None:
        raise InputError(
            "time lags need the time of each touch, but these journeys have none: make them with from_events, or with "
            "from_columns(time=...).",
            argument="journeys",
            code="missing_argument",
        )
    chosen = [days(n) for n in (1, 2, 3, 5, 7, 14, 30, 60, 90)] if edges is None else list(edges)
    begins = np.array([span("edges", edge) for edge in chosen], dtype=np.int64)
    if (np.diff(begins) <= 0).any():
        raise InputError(
            "edges must ascend: each must be longer than the one before.", argument="edges", code="wrong_value"
        )
    some = j.lengths > 0
    lag = j.ends[some] - j.times[j.offsets[:-1][some]]
    place = np.searchsorted(begins, lag, side="right")
    day = float(duration("day", days(1)))
    return TimeLags(
        from_days=np.concatenate(([0.0], begins / day)),
        to_days=np.concatenate((begins / day, [np.inf])),
        conversions=weighted(place, j.conversions[some], len(begins) + 1),
        nulls=weighted(place, j.nulls[some], len(begins) + 1),
        mean_days_converting=_mean(lag / day, j.conversions[some]),
        mean_days_other=_mean(lag / day, j.nulls[some]),
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Assists(ColumnarResult):
    """How often each channel assisted, opened and closed: one row per channel.

    Parameters
    ----------
    channel : ndarray of str, shape (C,)
        The name of the channel.
    assisted : ndarray of float64, shape (C,)
        The conversions in whose journeys the channel occurs before the last touch. A channel that occurs both earlier
        and last counts as both.
    first, last : ndarray of float64, shape (C,)
        The conversions whose first, and whose last, touch is of the channel.
    assisted_to_last : ndarray of float64, shape (C,)
        ``assisted / last``: above 1 the channel assists more often than it closes. NaN if it never closes.
    assisted_value, last_value : ndarray of float64, shape (C,)
        The value of the assisted and of the closed conversions; NaN if the journeys have no value.
    assisted_share : float
        The share of the conversions with touches whose journeys have at least two touches.
    """

    channel: npt.NDArray[np.str_]
    assisted: FloatArray
    first: FloatArray
    last: FloatArray
    assisted_to_last: FloatArray
    assisted_value: FloatArray
    last_value: FloatArray
    assisted_share: float


def assists(j: JourneyColumns) -> Assists:
    """Return how often each channel assisted, opened and closed conversions."""
    n = len(j.channels)
    totals = j.totals()
    some = j.lengths > 0
    ends = j.offsets[1:][some] - 1
    # Earlier touches: all but the last of each journey, with each channel once per journey.
    earlier = np.ones(len(j.codes), dtype=np.bool_)
    earlier[ends] = False
    before = np.concatenate(([0], np.cumsum(earlier)))[j.offsets]
    once = first_of_channel(j.codes[earlier], before, n)
    journey = journey_of_touch(before)[once]
    assisted = summed_at(j.codes[earlier][once], totals[journey], n)
    first = summed_at(j.codes[j.offsets[:-1][some]], totals[some], n)
    last = summed_at(j.codes[ends], totals[some], n)
    missing = np.full(n, np.nan)
    several = float(j.conversions[j.lengths > 1].sum())
    touched = float(j.conversions[some].sum())
    return Assists(
        channel=j.channels,
        assisted=assisted[:, 0],
        first=first[:, 0],
        last=last[:, 0],
        assisted_to_last=divided(assisted[:, 0], last[:, 0]),
        assisted_value=missing if j.value is None else assisted[:, 1],
        last_value=missing if j.value is None else last[:, 1],
        assisted_share=several / touched if touched > 0.0 else float("nan"),
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelPositions(ColumnarResult):
    """The positions of channels in converting journeys: one row per channel.

    Parameters
    ----------
    channel : ndarray of str, shape (C,)
        The name of the channel.
    only : ndarray of float64, shape (C,)
        The conversions whose only touch is of the channel.
    first, middle, last : ndarray of float64, shape (C,)
        The touches, weighted by conversions, that opened, continued and closed journeys of two or more touches.
    mean_position : ndarray of float64, shape (C,)
        The mean position, from 0 for the first touch to 1 for the last, in journeys of two or more touches; NaN if
        there are none.
    """

    channel: npt.NDArray[np.str_]
    only: FloatArray
    first: FloatArray
    middle: FloatArray
    last: FloatArray
    mean_position: FloatArray


def positions(j: JourneyColumns) -> ChannelPositions:
    """Return the positions of channels in converting journeys."""
    n = len(j.channels)
    lengths = np.repeat(j.lengths, j.lengths)
    position = np.arange(len(j.codes)) - np.repeat(j.offsets[:-1], j.lengths)
    weight = np.repeat(j.conversions, j.lengths)
    single = lengths == 1
    opens, closes = (position == 0) & ~single, (position == lengths - 1) & ~single

    def of(which: npt.NDArray[np.bool_], by: FloatArray = weight) -> FloatArray:
        return weighted(j.codes[which], by[which], n)

    return ChannelPositions(
        channel=j.channels,
        only=of(single),
        first=of(opens),
        middle=of(~(single | opens | closes)),
        last=of(closes),
        mean_position=divided(of(~single, weight * position / np.maximum(lengths - 1, 1)), of(~single)),
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TopPaths(ColumnarResult):
    """The paths with the most conversions: one row per path, the most conversions first.

    Parameters
    ----------
    path : ndarray of str, shape (K,)
        The path as text.
    conversions, nulls : ndarray of float64, shape (K,)
        The conversions, and the journeys without a conversion.
    value : ndarray of float64, shape (K,)
        The value of the conversions; NaN if the journeys have none.
    share : ndarray of float64, shape (K,)
        The share of all conversions.
    rate : ndarray of float64, shape (K,)
        Conversions divided by conversions plus nulls.
    """

    path: npt.NDArray[np.str_]
    conversions: FloatArray
    nulls: FloatArray
    value: FloatArray
    share: FloatArray
    rate: FloatArray


def top_paths(j: JourneyColumns, n: int) -> TopPaths:
    """Return the n paths with the most conversions, with equal paths merged and ties in the order of journeys."""
    n = whole("n", n, low=1)
    merged = attrs.evolve(j, **merged_fields(j))
    best = np.argsort(-merged.conversions, kind="stable")[:n]
    conversions = merged.conversions[best]
    total = merged.total_conversions
    texts = [text or "(no touch)" for text in merged.path_texts(best.tolist())]
    return TopPaths(
        path=np.array(texts, dtype=np.str_) if texts else np.empty(0, dtype="<U1"),
        conversions=conversions,
        nulls=merged.nulls[best],
        value=np.full(len(best), np.nan) if merged.value is None else merged.value[best],
        share=conversions / total if total > 0.0 else np.full(len(best), np.nan),
        rate=divided(conversions, conversions + merged.nulls[best]),
    )
