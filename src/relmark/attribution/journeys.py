"""Journeys: the touches that came before each conversion, and those that led to none.

A `Journeys` object is columnar. The touches of all journeys are stored one after another as channel codes. Journey p
has the touches ``codes[offsets[p]:offsets[p + 1]]``. It stands for ``conversions[p]`` conversions worth ``value[p]``,
and for ``nulls[p]`` people who took the same path and did not convert. Equal paths can be merged into one journey with
larger counts. The caller decides what a "channel" is: channels, campaigns, chains of campaigns, messages and offers are
attributed in the same way.

Journeys are made from strings (`from_paths`), from the events of a base (`from_events`) or from rows of touches
(`from_columns`). Methods that reshape them return new journeys. Give them to the `attribute` method of a model, or call
a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution import _transforms, overlaps, reports
from relmark.attribution._events import Chosen, journeys_of_base
from relmark.attribution._paths import journeys_of_paths
from relmark.attribution._rows import journeys_of_rows
from relmark.attribution.journey_columns import JourneyColumns
from relmark.core.base import CustomerBase
from relmark.core.checks import one_of, text, whole
from relmark.core.purchases import OrderBy
from relmark.core.spans import Span
from relmark.core.time import Instant
from relmark.expressions import Expression

__all__ = ["Journeys"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Journeys(JourneyColumns):
    """Paths of touches with the conversions, the value and the non-converting journeys of each.

    Use `from_paths`, `from_events` or `from_columns` to make journeys; the constructor takes their columns directly.

    Parameters
    ----------
    codes : ndarray of int, shape (T,)
        The channel of each touch as a place in `channels`, journey after journey, in time order within each.
    offsets : ndarray of int64, shape (P + 1,)
        Where each journey's touches start. The conversions of a journey without touches are unattributed.
    channels : sequence of str, shape (C,)
        The distinct names of the channels.
    conversions : ndarray of float64, shape (P,)
        The number of conversions of each journey, 0 or more; fractions are allowed.
    value : ndarray of float64, shape (P,), optional
        The value of the conversions of each journey, 0 or more, in one currency. Without it, credit has no value.
    nulls : ndarray of float64, shape (P,), optional
        How many people took the path and did not convert; 0 by default.
    times : ndarray of int64, shape (T,), optional
        When each touch happened, in microseconds UTC.
    ends : ndarray of int64, shape (P,), optional
        When the journey ended: at the conversion, or at the last touch of a journey without one. Given with `times`.
    customer_id : ndarray, shape (P,), optional
        The customer of each journey, if each row is one person's journey.
    as_of : datetime64, optional
        Up to when the journeys were read: datetime64[D] if a date was given, else datetime64[us] in UTC.
    tz : str
        The time zone of calendar days.
    notes : tuple of str
        Remarks on how these journeys were made.

    Examples
    --------
    >>> j = Journeys.from_paths(["mail > search", "search", "mail"], conversions=[1, 0, 2], nulls=[0, 3, 1])
    >>> j
    Journeys(journeys=3, touches=4, channels=2, conversions=3, nulls=4)
    >>> j.channels.tolist()
    ['mail', 'search']
    """

    @classmethod
    def from_paths(
        cls,
        paths: Iterable[str | Sequence[str] | None],
        conversions: npt.ArrayLike | None = None,
        value: npt.ArrayLike | None = None,
        nulls: npt.ArrayLike | None = None,
        sep: str = " > ",
        *,
        on_empty: Literal["error", "drop"] = "error",
    ) -> Self:
        """Return journeys from path strings with counts; equal paths are merged.

        Parameters
        ----------
        paths : sequence of str, or of sequences of str, shape (n,)
            The paths, such as ``"mail > search > mail"``. Spaces around a name are ignored.
        conversions : array_like, shape (n,), optional
            The number of conversions of each row; 1 by default.
        value : array_like, shape (n,), optional
            The total value of the row's conversions.
        nulls : array_like, shape (n,), optional
            How many people took the path and did not convert; 0 by default.
        sep : str
            The separator between two touches.
        on_empty : {"error", "drop"}
            Whether an empty path or touch is an error, or is left out. The conversions of a path without touches are
            unattributed.

        Returns
        -------
        Journeys
            Channels and paths are in the order of their first occurrence.

        Raises
        ------
        InputError
            A path or touch is empty, a count is below 0 or not finite, or columns have different lengths.

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
        journey: npt.ArrayLike,
        channel: Iterable[str],
        conversions: npt.ArrayLike,
        value: npt.ArrayLike | None = None,
        nulls: npt.ArrayLike | None = None,
        time: npt.ArrayLike | None = None,
        tz: str = "UTC",
        after_conversion: Literal["new", "keep"] = "new",
    ) -> Self:
        """Return journeys from rows of touches, as analytics tools export them.

        Parameters
        ----------
        journey : array_like of int or str, shape (T,)
            The journey to which each touch belongs.
        channel : array_like of str, shape (T,)
            The channel of each touch.
        conversions : array_like, shape (T,)
            The number of conversions at each row, usually 1 at the last touch. A conversion takes the touches up to and
            including its row. Touches after it lead to the next conversion, or to none.
        value : array_like, shape (T,), optional
            The value of the conversions, added up over the rows that a conversion takes. Touches that lead to no
            conversion must not have a value.
        nulls : array_like, shape (T,), optional
            The number of people who did not convert, added up in the same way. By default touches that lead to no
            conversion count as 1.
        time : array_like of datetime64 or aware datetimes, shape (T,), optional
            The time of each touch, by which the touches of a journey are ordered; ties keep the row order. By default
            the rows are in order. A journey ends at its last touch.
        tz : str
            The time zone of datetime64 values.
        after_conversion : {"new", "keep"}
            "new" begins a new journey after a conversion; with "keep", earlier touches count again for each later
            conversion.

        Returns
        -------
        Journeys
            One row per conversion, and one for touches after the last, ordered by ascending ids and time. Channels are
            in the order of their first occurrence.

        Examples
        --------
        >>> Journeys.from_columns(journey=[1, 1, 2], channel=["mail", "search", "mail"], conversions=[0, 1, 0])
        Journeys(journeys=2, touches=3, channels=2, conversions=1, nulls=1)
        """
        fresh = one_of("after_conversion", after_conversion, ("new", "keep")) == "new"
        return cls(**journeys_of_rows(journey, channel, conversions, value, nulls, time, tz, fresh=fresh))

    @classmethod
    def from_events(
        cls,
        base: CustomerBase,
        *,
        touch: Chosen,
        conversion: Chosen,
        as_of: Instant,
        order: OrderBy = None,
        channel: str | Expression = "channel",
        lookback: Span = timedelta(days=30),
        after_conversion: Literal["new", "keep", "carry"] = "new",
    ) -> Self:
        """Return the journey of every conversion in a base, and the journeys that led to none.

        A conversion at time t takes the customer's touches in [t - lookback, t]; at equal times, those of earlier rows.
        A conversion without touches is unattributed. Touches that no conversion takes form journeys without a
        conversion ("nulls"). They are split at conversions and at a silence longer than `lookback`; `split_nulls` sets
        another length.

        Parameters
        ----------
        base : CustomerBase
            The customers and their events.
        touch, conversion : event selection, str, or a sequence of them
            The events that are touches and conversions, such as ``event("visit", where=prop("channel") != "direct")``;
            a string is an event type.
        as_of : date, datetime, datetime64 or str
            Up to when to read events: an instant includes events at or before it, a date events before that day.
        order : str or timedelta, optional
            How lines are joined into orders, as for `CustomerBase.purchases`. Each order is one conversion with the
            total value of its lines, minus refunds. It applies to purchases and to other events that have the
            property; events without it count one by one.
        channel : str or expression
            The property of touches that names the channel, or an expression over their properties, such as
            ``prop("channel").fill("(unknown)")``.
        lookback : timedelta, or a span such as ``calendar_days(30)`` or ``months(1)``
            The longest time before a conversion at which a touch still counts.
        after_conversion : {"new", "keep", "carry"}
            "new" begins a new journey after a conversion. With "keep", a touch counts again for every later conversion
            within `lookback`. "carry" is like "new", but a conversion without a touch of its own takes the last touch
            before earlier conversions, within `lookback`: that touch counts until there is a newer one.

        Returns
        -------
        Journeys
            One row per conversion, ordered by the base's customers and by time, then the journeys without a conversion;
            with times and customer_id. Channels are in ascending order.

        Raises
        ------
        InputError
            A touch has no channel, an event type does not exist, or a conversion that is not an order has a value
            below 0.

        Notes
        -----
        If either touches or conversions have a date but no time of day, touches on the day of a conversion count as
        before it, and `notes` says so.

        Examples
        --------
        >>> from relmark import CustomerBase, EventLog, Purchase, Visit, event
        >>> log = EventLog.from_events([
        ...     Visit("ann", "2026-11-01T09:00Z", channel="mail"),
        ...     Purchase("ann", "2026-11-03T18:00Z", 60.0, order="A1", item="coat"),
        ...     Purchase("ann", "2026-11-03T18:00Z", 40.0, order="A1", item="scarf")])
        >>> j = Journeys.from_events(CustomerBase(events=log), touch=event("visit"), conversion=event("purchase"),
        ...                          as_of="2026-12-01")
        >>> j.paths, j.conversions.tolist(), j.value.tolist()
        (['mail'], [1.0], [100.0])
        """
        return cls(
            **journeys_of_base(
                base,
                touch=touch,
                conversion=conversion,
                as_of=as_of,
                order=order,
                channel=channel,
                lookback=lookback,
                after_conversion=after_conversion,
            )
        )

    def split_nulls(self, gap: Span) -> Self:
        """Return the journeys, with those without a conversion split again at each silence longer than `gap`.

        Parameters
        ----------
        gap : timedelta or calendar span
            The longest silence within a journey; `from_events` uses its lookback. Conversions always split journeys.
        """
        return attrs.evolve(self, **_transforms.parted(self, gap))

    def settled(self, lookback: Span) -> Self:
        """Return the journeys without those that may still convert.

        Parameters
        ----------
        lookback : timedelta or calendar span
            Journeys without a conversion whose last touch was within this time before `as_of` are left out.
        """
        return self.take(_transforms.settled(self, lookback))

    def collapse_repeats(self) -> Self:
        """Return the journeys with each run of touches of one channel replaced by the last touch of the run."""
        return self._keeping(_transforms.last_of_run(self))

    def first_only(self) -> Self:
        """Return the journeys with only the first touch of each channel."""
        return self._keeping(_transforms.first_of_channel_in(self))

    def drop(self, channels: str | Iterable[str], *, unless_only: bool = True) -> Self:
        """Return the journeys without some channels, such as direct visits.

        Parameters
        ----------
        channels : str or iterable of str
            The channels whose touches to drop.
        unless_only : bool
            Whether to keep the touches of a journey that has no others. If False, such a journey has no touches left,
            and its conversions become unattributed.
        """
        return self._keeping(
            _transforms.outside(self, _transforms.places_of(self, "channels", channels), unless_only=unless_only)
        )

    def last_n(self, n: int) -> Self:
        """Return the journeys with at most their last n touches."""
        return self._keeping(_transforms.among_last(self, whole("n", n, low=1)))

    def within(self, lookback: Span) -> Self:
        """Return the journeys with the touches that lie within a duration before the end, both ends included."""
        return self._keeping(_transforms.recent(self, lookback))

    def take(self, rows: npt.ArrayLike) -> Self:
        """Return some of the journeys by a boolean mask or by row numbers; all channels are kept.

        Examples
        --------
        >>> j = Journeys.from_paths(["mail", "search > mail"], conversions=[0, 3], nulls=[5, 0])
        >>> j.take(j.conversions > 0)
        Journeys(journeys=1, touches=2, channels=2, conversions=3, nulls=0)
        """
        return attrs.evolve(self, **_transforms.taken(self, np.asarray(rows)))

    def replace(self, names: Mapping[str, str]) -> Self:
        """Return the journeys with channels renamed; channels that get the same name become one.

        Examples
        --------
        >>> j = Journeys.from_paths(["brand > generic", "generic > mail"])
        >>> j.replace({"brand": "search", "generic": "search"}).paths
        ['search > search', 'search > mail']
        """
        _transforms.places_of(self, "names", names)
        return attrs.evolve(self, **_transforms.renamed(self, names))

    def merge_duplicates(self) -> Self:
        """Return the journeys with equal paths merged and their counts added, without times and customers."""
        return attrs.evolve(self, **_transforms.merged(self))

    def __add__(self, other: Self) -> Self:
        """Return the journeys of both, for example of two parts of the customers.

        Channels are matched by name. A journey must lie within one part. Paths that occur in both stay two rows; use
        `merge_duplicates` to merge them.
        """
        if not isinstance(other, Journeys):
            return NotImplemented
        return type(self)(**_transforms.joined(self, other))

    def _keeping(self, keep: npt.NDArray[np.bool_]) -> Self:
        return attrs.evolve(self, **_transforms.kept(self, keep))

    # reports

    def path_lengths(self) -> reports.PathLengths:
        """Return the number of touches of journeys that convert and of the others."""
        return reports.path_lengths(self)

    def touches_to_conversion(self) -> reports.TouchesToConversion:
        """Return the number of touches before a conversion, with running shares."""
        return reports.touches_to_conversion(self)

    def time_lags(self, edges: Iterable[timedelta] | None = None) -> reports.TimeLags:
        """Return how long journeys take from first touch to end, for those that convert and the others."""
        return reports.time_lags(self, edges)

    def assists(self) -> reports.Assists:
        """Return how often each channel assisted, came first and came last before a conversion."""
        return reports.assists(self)

    def positions(self) -> reports.ChannelPositions:
        """Return the conversions whose journeys each channel opened, continued, closed, or was the only touch of."""
        return reports.positions(self)

    def top_paths(self, n: int = 10) -> reports.TopPaths:
        """Return the n paths with the most conversions."""
        return reports.top_paths(self, n)

    def overlap(self) -> overlaps.Overlap:
        """Return the conversions whose journeys have both channels, for each pair of channels."""
        return overlaps.overlap(self)

    def first_and_last(self) -> overlaps.FirstAndLast:
        """Return the conversions by first and last channel."""
        return overlaps.first_and_last(self)

    def channel_sets(self) -> overlaps.ChannelSets:
        """Return the sets of channels that journeys have, with their counts."""
        return overlaps.channel_sets(self)
