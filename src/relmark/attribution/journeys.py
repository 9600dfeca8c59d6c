"""Journeys: the touches that came before each conversion, and those that led to none.

A `Journeys` is columnar. The touches of all journeys lie one after another as channel codes; journey p holds
``codes[offsets[p]:offsets[p + 1]]`` and counts for ``conversions[p]`` conversions worth ``value[p]`` and for
``nulls[p]`` people who came the same way and did not convert. Equal paths are one journey with larger counts. What a
"channel" is, is the caller's column: channels, campaigns, chains, messages and offers attribute the same way.

It comes from strings (`from_paths`), from an event log (`from_events`) or from rows of touches (`from_columns`), is
reshaped by methods that return another, and goes to a model's `attribute` or to one of the reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution import _transforms
from relmark.attribution._events import journeys_of_log
from relmark.attribution._paths import parse_paths
from relmark.attribution._rows import journeys_of_rows
from relmark.attribution._touches import weighted
from relmark.core.checks import numbers, one_of, refuse_rows, shown, text, whole
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult, Result
from relmark.core.time import Instant

if TYPE_CHECKING:
    from relmark.attribution.reports import (
        Assists,
        ChannelPositions,
        ChannelSets,
        FirstAndLast,
        Overlap,
        PathLengths,
        TimeLags,
        TopPaths,
        TouchesToConversion,
    )
    from relmark.core.log import EventLog

__all__ = ["Journeys"]

Codes = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_PRINTED = 60  # characters of a path in a table


def _codes(values: Any) -> Codes:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"codes have dtype {array.dtype}: integers are needed.")
    return array.astype(np.int32, copy=False)


def _instants(values: Any) -> IntArray | None:
    if values is None:
        return None
    array = np.asarray(values)
    return array.astype("M8[us]").astype(np.int64) if array.dtype.kind == "M" else array.astype(np.int64, copy=False)


def _offsets(values: Any) -> IntArray:
    return np.asarray(values).astype(np.int64, copy=False)


def _names(values: Iterable[str]) -> npt.NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)


def _conversions(values: Any) -> FloatArray:
    return numbers("conversions", values, low=0.0)


def _value(values: Any) -> FloatArray | None:
    return None if values is None else numbers("value", values, low=0.0)


def _nulls(values: Any) -> FloatArray:
    return numbers("nulls", values, low=0.0)


def _no_nulls(journeys: Journeys) -> FloatArray:
    return np.zeros(len(journeys.conversions))


def _cut(path: str) -> str:
    return (path or "(no touch)") if len(path) <= _PRINTED else f"{path[: _PRINTED - 4]} ..."


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Journeys(ColumnarResult):
    """Paths of touches with how many conversions, how much value and how many others each one had.

    Most callers use `from_paths`, `from_events` or `from_columns`; the constructor takes what they make.

    Parameters
    ----------
    codes : ndarray of int, shape (T,)
        The channel of each touch as a place in `channels`, journey after journey, in time order within each.
    offsets : ndarray of int64, shape (P + 1,)
        Where each journey's touches start. A journey may have none: its conversions are unattributed.
    channels : sequence of str, shape (C,)
        Distinct names.
    conversions : ndarray of float64, shape (P,)
        At least 0; fractions are fine.
    value : ndarray of float64, shape (P,), optional
        What the journeys brought, at least 0, in one currency. Without it, credit has no value.
    nulls : ndarray of float64, shape (P,), optional
        How many took the path and did not convert; 0 by default.
    times : ndarray of int64, shape (T,), optional
        When each touch happened, in microseconds UTC.
    ends : ndarray of int64, shape (P,), optional
        When the journey ended: the conversion, or the last touch of a journey without one. Goes with `times`.
    customer_id : ndarray, shape (P,), optional
        Whose journey it is, where each row is one person's.
    notes : tuple of str
        What a reader should know of how these journeys were made.

    Examples
    --------
    >>> j = Journeys.from_paths(["mail > search", "search", "mail"], conversions=[1, 0, 2], nulls=[0, 3, 1])
    >>> j
    Journeys(journeys=3, touches=4, channels=2, conversions=3, nulls=4)
    >>> j.channels.tolist()
    ['mail', 'search']
    """

    codes: Codes = attrs.field(converter=_codes)
    offsets: IntArray = attrs.field(converter=_offsets)
    channels: npt.NDArray[np.str_] = attrs.field(converter=_names)
    conversions: FloatArray = attrs.field(converter=_conversions)
    value: FloatArray | None = attrs.field(default=None, converter=_value)
    nulls: FloatArray = attrs.field(default=attrs.Factory(_no_nulls, takes_self=True), converter=_nulls)
    times: IntArray | None = attrs.field(default=None, converter=_instants)
    ends: IntArray | None = attrs.field(default=None, converter=_instants)
    customer_id: npt.NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    _lengths: IntArray = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Check that the columns fit each other."""
        n = len(self.conversions)
        if len(self.offsets) != n + 1:
            raise InputError(
                f"offsets has {len(self.offsets):,} entries and conversions {n:,}: one more than journeys is needed."
            )
        lengths = np.diff(self.offsets)
        object.__setattr__(self, "_lengths", lengths)
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.codes) or lengths.min(initial=0) < 0:
            raise InputError(f"offsets must ascend from 0 to the number of touches ({len(self.codes):,}), and do not.")
        if len(self.codes):
            bad = (self.codes < 0) | (self.codes >= len(self.channels))
            refuse_rows("codes", bad, self.codes, f"places from 0 to {len(self.channels) - 1} of channels are needed")
        if len(set(self.channels.tolist())) < len(self.channels):
            raise InputError("channels has a name twice: give each channel one place.")
        for name, column, rows in (
            ("value", self.value, n),
            ("nulls", self.nulls, n),
            ("times", self.times, len(self.codes)),
            ("ends", self.ends, n),
            ("customer_id", self.customer_id, n),
        ):
            if column is not None and len(column) != rows:
                raise InputError(f"{name} has {len(column):,} rows: {rows:,} are needed.")
        if (self.times is None) != (self.ends is None):
            raise InputError("times and ends go together: give both or neither.")
        if self.times is not None and self.ends is not None:
            later = np.zeros(len(self.times), dtype=np.bool_)
            later[:-1] = self.times[:-1] > self.times[1:]
            lasts = self.offsets[1:][self.lengths > 0] - 1
            later[lasts] = self.times[lasts] > self.ends[self.lengths > 0]
            refuse_rows("times", later, self.times, "within a journey times must ascend, up to its end")
        Result.__attrs_post_init__(self)

    @classmethod
    def from_paths(
        cls,
        paths: Any,
        conversions: npt.ArrayLike | None = None,
        value: npt.ArrayLike | None = None,
        nulls: npt.ArrayLike | None = None,
        sep: str = " > ",
        *,
        on_empty: Literal["error", "drop"] = "error",
    ) -> Self:
        """Return journeys from path strings with counts, equal paths merged.

        Parameters
        ----------
        paths : sequence of str, or of sequences of str, shape (n,)
            Such as ``"mail > search > mail"``. Spaces around a name do not count.
        conversions : array_like, shape (n,), optional
            How many conversions each row stands for; 1 each by default.
        value : array_like, shape (n,), optional
            What the row's conversions were worth together.
        nulls : array_like, shape (n,), optional
            How many took the path without converting; 0 by default.
        sep : str
            What stands between two touches.
        on_empty : {"error", "drop"}
            An empty path or touch is an error, or is left out: the conversions of a path without touches are then
            counted as unattributed.

        Returns
        -------
        Journeys
            Channels and paths in the order in which they first occur.

        Raises
        ------
        InputError
            An empty path or touch, counts below 0 or not finite, columns of different lengths.

        Examples
        --------
        >>> Journeys.from_paths(["a>b", "a > b"], conversions=[1, 2], sep=">").conversions
        array([3.])
        """
        separator = text("sep", sep)
        drop = one_of("on_empty", on_empty, ("error", "drop")) == "drop"
        parsed = parse_paths(paths, separator, drop_empty=drop)
        n = len(parsed.path_of_row)
        counts: dict[str, Any] = {
            "conversions": np.ones(n)
            if conversions is None
            else numbers("conversions", conversions, length=n, low=0.0),
            "nulls": np.zeros(n) if nulls is None else numbers("nulls", nulls, length=n, low=0.0),
        }
        if value is not None:
            counts["value"] = numbers("value", value, length=n, low=0.0)
        found = len(parsed.offsets) - 1
        if found < n:
            counts = {name: weighted(parsed.path_of_row, column, found) for name, column in counts.items()}
        journeys = cls(codes=parsed.codes, offsets=parsed.offsets, channels=parsed.channels, **counts)
        return journeys.merge_duplicates() if parsed.may_repeat else journeys

    @classmethod
    def from_columns(
        cls,
        *,
        journey: Any,
        channel: Any,
        conversions: npt.ArrayLike,
        value: npt.ArrayLike | None = None,
        nulls: npt.ArrayLike | None = None,
        time: Any = None,
        tz: str = "UTC",
    ) -> Self:
        """Return journeys from rows of touches, as analytics tools export them.

        Parameters
        ----------
        journey : array_like of int or str, shape (T,)
            To which journey each touch belongs.
        channel : array_like of str, shape (T,)
        conversions : array_like, shape (T,)
            Conversions of each row, added up over a journey: usually 1 on its last touch.
        value : array_like, shape (T,), optional
            Added up in the same way.
        nulls : array_like, shape (T,), optional
            Added up in the same way; by default a journey without conversions counts one.
        time : array_like of datetime64 or aware datetimes, shape (T,), optional
            Puts the touches of a journey in order, ties in row order; without it the rows are in order. A journey ends
            at its last touch.
        tz : str
            The zone of datetime64 values.

        Returns
        -------
        Journeys
            One row a journey, ids ascending; channels in the order in which they first occur.

        Examples
        --------
        >>> Journeys.from_columns(journey=[1, 1, 2], channel=["mail", "search", "mail"], conversions=[0, 1, 0])
        Journeys(journeys=2, touches=3, channels=2, conversions=1, nulls=1)
        """
        return cls(**journeys_of_rows(journey, channel, conversions, value, nulls, time, tz))

    @classmethod
    def from_events(
        cls,
        log: EventLog,
        *,
        touch: Any,
        conversion: Any,
        as_of: Instant,
        channel: str = "channel",
        lookback: timedelta = timedelta(days=30),
        after_conversion: Literal["new", "keep"] = "new",
        gap: timedelta | None = None,
        max_touches: int | None = None,
        unknown: str | None = None,
        still_open: Literal["null", "drop"] = "null",
        tz: str = "UTC",
    ) -> Self:
        """Return the journey of every conversion in a log, and the journeys that led to none.

        A conversion at t takes the customer's touches in [t - lookback, t], at equal times those of earlier rows. One
        without touches is a journey without touches: its conversion is unattributed. Touches that no conversion takes
        form null journeys, split by a longer silence than `gap` and by conversions.

        Parameters
        ----------
        log : EventLog
        touch, conversion : event selection, str, or a sequence of them
            Such as ``event("visit", where=prop("channel") != "direct")``; a string is an event type.
        as_of : datetime, date, datetime64 or str
            Nothing after it is seen.
        channel : str
            The property of touches that names the channel.
        lookback : timedelta
            How long before a conversion a touch may lie.
        after_conversion : {"new", "keep"}
            After a conversion a new journey begins, or a touch counts again for every later conversion within
            `lookback`.
        gap : timedelta, optional
            The silence that ends a null journey; `lookback` by default.
        max_touches : int, optional
            Keep that many of the latest touches of each journey.
        unknown : str, optional
            The name of touches without a channel; by default such a touch is an error.
        still_open : {"null", "drop"}
            What to do with null journeys whose last touch lies within `lookback` of `as_of`, which may still convert:
            count them as null, or leave them out.
        tz : str
            The time zone of `as_of` and of dates in `where`, where these are calendar days.

        Returns
        -------
        Journeys
            One row a conversion, in order of customer and time, then the null journeys; with times and customer_id.
            Channels are ascending.

        Raises
        ------
        InputError
            A touch without a channel, no such event type, a conversion with a value below 0.
        """
        return cls(
            **journeys_of_log(
                log,
                touch=touch,
                conversion=conversion,
                as_of=as_of,
                channel=channel,
                lookback=lookback,
                after_conversion=after_conversion,
                gap=gap,
                max_touches=max_touches,
                unknown=unknown,
                still_open=still_open,
                tz=tz,
            )
        )

    # what it holds

    def __len__(self) -> int:
        """Return the number of rows: distinct paths, or single journeys where none were merged."""
        return len(self.conversions)

    @property
    def lengths(self) -> IntArray:
        """The number of touches of each journey, shape (P,)."""
        return self._lengths

    @property
    def total_conversions(self) -> float:
        """All conversions, those without touches among them."""
        return float(self.conversions.sum())

    @property
    def total_value(self) -> float:
        """The value of all conversions, NaN where the journeys have none."""
        return float("nan") if self.value is None else float(self.value.sum())

    @property
    def total_nulls(self) -> float:
        """How many journeys ended without a conversion."""
        return float(self.nulls.sum())

    @property
    def paths(self) -> list[str]:
        """Each journey as text, touches joined by " > "."""
        return self.path_texts(range(len(self)))

    def path_texts(self, rows: Iterable[int]) -> list[str]:
        """Return some journeys as text."""
        names = self.channels.tolist()
        return [
            " > ".join(names[code] for code in self.codes[self.offsets[row] : self.offsets[row + 1]].tolist())
            for row in rows
        ]

    def totals(self) -> FloatArray:
        """Return conversions and, where there is one, value as columns, shape (P, 1 or 2)."""
        columns = [self.conversions] if self.value is None else [self.conversions, self.value]
        return np.stack(columns, axis=1)

    def _places(self, argument: str, names: Iterable[str]) -> IntArray:
        """Return the places of channels by name, or raise with the nearest name."""
        known = {name: place for place, name in enumerate(self.channels.tolist())}
        wanted = [names] if isinstance(names, str) else list(names)
        for name in wanted:
            if name not in known:
                hint = did_you_mean(str(name), known)
                raise InputError(f"{argument} names {shown(name)}, which no journey has as a channel.{hint}")
        return np.array([known[name] for name in wanted], dtype=np.int64)

    # other journeys out of these

    def collapse_repeats(self) -> Self:
        """Return the journeys with each run of one channel as a single touch, the run's last."""
        return self._keeping(_transforms.last_of_run(self))

    def first_only(self) -> Self:
        """Return the journeys with only the first touch of each channel."""
        return self._keeping(_transforms.first_of_channel_in(self))

    def drop(self, channels: str | Iterable[str], *, unless_only: bool = True) -> Self:
        """Return the journeys without some channels, such as direct visits.

        Parameters
        ----------
        channels : str or iterable of str
        unless_only : bool
            Keep the touches of a journey that has no other; otherwise it is left without touches, and its conversions
            become unattributed.
        """
        return self._keeping(_transforms.outside(self, self._places("channels", channels), unless_only=unless_only))

    def last_n(self, n: int) -> Self:
        """Return the journeys with at most their last n touches."""
        return self._keeping(_transforms.among_last(self, whole("n", n, low=1)))

    def within(self, lookback: timedelta) -> Self:
        """Return the journeys with the touches that lie within a duration of the journey's end, both ends included."""
        return self._keeping(_transforms.recent(self, lookback))

    def take(self, rows: npt.ArrayLike) -> Self:
        """Return some of the journeys, by a boolean mask or by row numbers; the channels stay.

        Examples
        --------
        >>> j = Journeys.from_paths(["mail", "search > mail"], conversions=[0, 3], nulls=[5, 0])
        >>> j.take(j.conversions > 0)
        Journeys(journeys=1, touches=2, channels=2, conversions=3, nulls=0)
        """
        return attrs.evolve(self, **_transforms.taken(self, np.asarray(rows)))

    def replace(self, names: Mapping[str, str]) -> Self:
        """Return the journeys with channels renamed; two that get one name become one channel.

        Examples
        --------
        >>> j = Journeys.from_paths(["brand > generic", "generic > mail"])
        >>> j.replace({"brand": "search", "generic": "search"}).paths
        ['search > search', 'search > mail']
        """
        self._places("names", names)
        return attrs.evolve(self, **_transforms.renamed(self, names))

    def merge_duplicates(self) -> Self:
        """Return the journeys with equal paths merged and their counts added; times and customers are left out."""
        return attrs.evolve(self, **_transforms.merged(self))

    def __add__(self, other: Self) -> Self:
        """Return the journeys of both, for example of two days or of two parts of the customers.

        Channels are matched by name. The parts must keep a journey whole. Paths that occur in both are two rows until
        `merge_duplicates`.
        """
        if not isinstance(other, Journeys):
            return NotImplemented
        return type(self)(**_transforms.joined(self, other))

    def _keeping(self, keep: npt.NDArray[np.bool_]) -> Self:
        return attrs.evolve(self, **_transforms.kept(self, keep))

    # reports

    def path_lengths(self) -> PathLengths:
        """Return how many touches journeys have, those that convert and the others."""
        from relmark.attribution.reports import path_lengths

        return path_lengths(self)

    def touches_to_conversion(self) -> TouchesToConversion:
        """Return how many touches come before a conversion, with running shares."""
        from relmark.attribution.reports import touches_to_conversion

        return touches_to_conversion(self)

    def time_lags(self, edges: Iterable[timedelta] | None = None) -> TimeLags:
        """Return how long journeys take from first touch to end, those that convert and the others."""
        from relmark.attribution.reports import time_lags

        return time_lags(self, edges)

    def assists(self) -> Assists:
        """Return for each channel how often it assisted, came first and came last before a conversion."""
        from relmark.attribution.reports import assists

        return assists(self)

    def positions(self) -> ChannelPositions:
        """Return for each channel the conversions whose journeys it opened, continued, closed or was alone in."""
        from relmark.attribution.reports import positions

        return positions(self)

    def top_paths(self, n: int = 10) -> TopPaths:
        """Return the n paths with most conversions."""
        from relmark.attribution.reports import top_paths

        return top_paths(self, n)

    def overlap(self) -> Overlap:
        """Return for each pair of channels the conversions whose journeys have both."""
        from relmark.attribution.reports import overlap

        return overlap(self)

    def first_and_last(self) -> FirstAndLast:
        """Return the conversions by first and by last channel."""
        from relmark.attribution.reports import first_and_last

        return first_and_last(self)

    def channel_sets(self) -> ChannelSets:
        """Return the sets of channels that journeys have, with their counts."""
        from relmark.attribution.reports import channel_sets

        return channel_sets(self)

    # columns and print

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return one row a journey: the path as text, its counts, and whose it is where that is known."""
        texts = self.paths
        columns: dict[str, Any] = {
            "customer_id": self.customer_id,
            "path": np.array(texts, dtype=np.str_) if texts else np.empty(0, dtype="<U1"),
            "conversions": self.conversions,
            "value": self.value,
            "nulls": self.nulls,
        }
        return {name: column for name, column in columns.items() if column is not None}

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "journeys": len(self),
            "touches": len(self.codes),
            "channels": len(self.channels),
            "conversions": self.total_conversions,
        }
        if self.value is not None:
            facts["value"] = self.total_value
        return facts | {"nulls": self.total_nulls}

    def _table(self) -> dict[str, Any]:
        shown_rows = min(len(self), 21)
        columns: dict[str, Any] = {
            "path": [*map(_cut, self.path_texts(range(shown_rows))), *[""] * (len(self) - shown_rows)],
            "conversions": self.conversions,
        }
        if self.value is not None:
            columns["value"] = self.value
        return columns | {"nulls": self.nulls}
