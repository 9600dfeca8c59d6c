"""Journeys: the touches that came before each conversion, and those that led to none.

A `Journeys` is columnar. The touches of all journeys lie one after another as channel codes; journey p holds
``codes[offsets[p]:offsets[p + 1]]`` and counts for ``conversions[p]`` conversions worth ``value[p]`` and for
``nulls[p]`` people who came the same way and did not convert. Equal paths are one journey with larger counts. What a
"channel" is, is the caller's column: channels, campaigns, chains, messages and offers attribute the same way.

It comes from strings (`from_paths`), from the events of a base (`from_events`) or from rows of touches
(`from_columns`), is reshaped by methods that return another, and goes to a model's `attribute` or to a report.
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
    as_of : datetime64, optional
        By when the journeys were read: datetime64[D] where a date was given, else datetime64[us] in UTC.
    tz : str
        The time zone of days.
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
            To which journey each touch belongs.
        channel : array_like of str, shape (T,)
        conversions : array_like, shape (T,)
            How many conversions happened at each row: usually 1 on the last touch. A conversion takes the touches up
            to and with its row; those after it lead to the next one, or to none.
        value : array_like, shape (T,), optional
            Added up over the rows that a conversion takes; touches that lead to none have no value.
        nulls : array_like, shape (T,), optional
            Added up in the same way; by default touches that lead to no conversion count one.
        time : array_like of datetime64 or aware datetimes, shape (T,), optional
            Puts the touches of a journey in order, ties in row order; without it the rows are in order. A journey ends
            at its last touch.
        tz : str
            The zone of datetime64 values.
        after_conversion : {"new", "keep"}
            After a conversion a new journey begins, or earlier touches count again for each later conversion.

        Returns
        -------
        Journeys
            One row for each conversion, and one for touches after the last; ids ascending, then by time. Channels in
            the order in which they first occur.

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

        A conversion at t takes the customer's touches in [t - lookback, t], at equal times those of earlier rows. One
        without touches is a journey without touches: its conversion is unattributed. Touches that no conversion takes
        form null journeys, split by conversions and by a silence longer than `lookback` (or than another: see
        `split_nulls`).

        Parameters
        ----------
        base : CustomerBase
        touch, conversion : event selection, str, or a sequence of them
            Such as ``event("visit", where=prop("channel") != "direct")``; a string is an event type.
        as_of : date, datetime, datetime64 or str
            By when: an instant sees what was at or before it, a date what was strictly before that day.
        order : str or timedelta, optional
            What makes the lines of one order one conversion, worth their sum, refunds taken off; as for
            `CustomerBase.purchases`. It holds for purchases, and for other events that have the property; these count
            one by one where they have none.
        channel : str or expression
            The property of touches that names the channel, or an expression over their properties, such as
            ``prop("channel").fill("(unknown)")``.
        lookback : timedelta, or a span such as ``calendar_days(30)`` or ``months(1)``
            How long before a conversion a touch may lie.
        after_conversion : {"new", "keep", "carry"}
            After a conversion a new journey begins, or a touch counts again for every later conversion within
            `lookback`. "carry" is "new", but a conversion that no touch came before takes the last touch before the
            conversions that preceded it, within `lookback`: it counts until a newer one comes.

        Returns
        -------
        Journeys
            One row per conversion, in order of the base's customers and time, then the null journeys; with times and
            customer_id. Channels are ascending.

        Raises
        ------
        InputError
            A touch without a channel, no such event type, a conversion with a value below 0 that is no order.

        Notes
        -----
        Where either touches or conversions carry a day and no time, touches of the day of a conversion count as before
        it, and `notes` say so.

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
        """Return the journeys with those that led to no conversion parted anew, by a silence longer than `gap`.

        Parameters
        ----------
        gap : timedelta or calendar span
            `from_events` takes the lookback. A conversion parts them in any case.
        """
        return attrs.evolve(self, **_transforms.parted(self, gap))

    def settled(self, lookback: Span) -> Self:
        """Return the journeys without those that may still convert.

        Parameters
        ----------
        lookback : timedelta or calendar span
            A journey without a conversion whose last touch lies within it before `as_of` is left out.
        """
        return self.take(_transforms.settled(self, lookback))

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

    def within(self, lookback: Span) -> Self:
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

    # reports

    def path_lengths(self) -> reports.PathLengths:
        """Return how many touches journeys have, those that convert and the others."""
        return reports.path_lengths(self)

    def touches_to_conversion(self) -> reports.TouchesToConversion:
        """Return how many touches come before a conversion, with running shares."""
        return reports.touches_to_conversion(self)

    def time_lags(self, edges: Iterable[timedelta] | None = None) -> reports.TimeLags:
        """Return how long journeys take from first touch to end, those that convert and the others."""
        return reports.time_lags(self, edges)

    def assists(self) -> reports.Assists:
        """Return for each channel how often it assisted, came first and came last before a conversion."""
        return reports.assists(self)

    def positions(self) -> reports.ChannelPositions:
        """Return for each channel the conversions whose journeys it opened, continued, closed or was alone in."""
        return reports.positions(self)

    def top_paths(self, n: int = 10) -> reports.TopPaths:
        """Return the n paths with most conversions."""
        return reports.top_paths(self, n)

    def overlap(self) -> overlaps.Overlap:
        """Return for each pair of channels the conversions whose journeys have both."""
        return overlaps.overlap(self)

    def first_and_last(self) -> overlaps.FirstAndLast:
        """Return the conversions by first and by last channel."""
        return overlaps.first_and_last(self)

    def channel_sets(self) -> overlaps.ChannelSets:
        """Return the sets of channels that journeys have, with their counts."""
        return overlaps.channel_sets(self)
