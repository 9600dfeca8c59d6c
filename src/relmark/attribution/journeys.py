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

from relmark.attribution import _fields as fields
from relmark.attribution import _transforms
from relmark.attribution._asked import JourneyReports
from relmark.attribution._events import journeys_of_log
from relmark.attribution._paths import journeys_of_paths
from relmark.attribution._rows import journeys_of_rows
from relmark.core.checks import one_of, text, whole
from relmark.core.results import ColumnarResult, Result
from relmark.core.time import Instant

if TYPE_CHECKING:
    from relmark.core.log import EventLog

__all__ = ["Journeys"]

Codes = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_PRINTED = 60  # characters of a path in a table


def _cut(path: str) -> str:
    return (path or "(no touch)") if len(path) <= _PRINTED else f"{path[: _PRINTED - 4]} ..."


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Journeys(JourneyReports, ColumnarResult):
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

    codes: Codes = attrs.field(converter=fields.codes_of)
    offsets: IntArray = attrs.field(converter=fields.offsets_of)
    channels: npt.NDArray[np.str_] = attrs.field(converter=fields.names_of)
    conversions: FloatArray = attrs.field(converter=fields.conversions_of)
    value: FloatArray | None = attrs.field(default=None, converter=fields.value_of)
    nulls: FloatArray = attrs.field(
        default=attrs.Factory(fields.no_nulls_of, takes_self=True), converter=fields.nulls_of
    )
    times: IntArray | None = attrs.field(default=None, converter=fields.instants_of)
    ends: IntArray | None = attrs.field(default=None, converter=fields.instants_of)
    customer_id: npt.NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    _lengths: IntArray = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Check that the columns fit each other."""
        object.__setattr__(self, "_lengths", fields.checked_lengths(self))
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
        found, may_repeat = journeys_of_paths(paths, conversions, value, nulls, separator, drop_empty=drop)
        return cls(**found).merge_duplicates() if may_repeat else cls(**found)

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
        return self._keeping(
            _transforms.outside(self, _transforms.places_of(self, "channels", channels), unless_only=unless_only)
        )

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
        _transforms.places_of(self, "names", names)
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
