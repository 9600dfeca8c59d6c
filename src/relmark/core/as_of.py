"""`AsOf`: the time at which a question is asked, and which events are known then, for all or for each customer.

It matters whether a date or an instant was given. With an instant, events at that very instant are seen. A date sets
the clock to its local midnight and sees only events strictly before it, so that nothing of that day is known. Whole
days before a date are local days, of 23, 24 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray, same_length
from relmark.core.spans import CalendarSpan, Span, days_before, earlier, length, whole_days
from relmark.core.time import DATE, Instant, UtcTimes, instant_text, read_instant, read_times, with_zone
from relmark.core.zones import DAY, local_days, local_midnights, to_local

__all__ = ["AsOf", "AsOfGiven", "read_as_of"]

AsOfGiven: TypeAlias = Instant | Sequence[Instant] | npt.NDArray[np.datetime64] | npt.NDArray[np.object_]
"""When a question is asked: one instant or date for all, or a column with one for each customer."""


@attrs.frozen(eq=False)
class AsOf:
    """The time at which a question is asked: one for all customers, or one per customer.

    Attributes
    ----------
    clock : int, or ndarray of int64, shape (n,)
        The time in microseconds UTC. Ages, birthdays and days since an event are computed at it.
    dated : bool, or ndarray of bool, shape (n,)
        Whether a date was given: then the clock is its midnight, and nothing of that day is seen.
    tz : str
        The time zone of these midnights.
    """

    clock: int | IntArray
    dated: bool | npt.NDArray[np.bool_]
    tz: str = "UTC"

    @property
    def each(self) -> bool:
        """Whether there is one instant per customer."""
        return isinstance(self.clock, np.ndarray)

    @property
    def seen(self) -> Any:
        """The last instant whose events are seen: the clock, or for a date the microsecond before it."""
        return self.clock - self.dated

    @property
    def given(self) -> Any:
        """The time as results show it: datetime64[D] if dates were given, else datetime64[us] in UTC."""
        if np.all(self.dated):
            return self.day.astype("M8[D]") if self.each else np.datetime64(self.day, "D")
        if isinstance(self.clock, np.ndarray):
            return self.clock.view("M8[us]")
        return np.datetime64(self.clock, "us")

    def take(self, rows: npt.NDArray[Any]) -> AsOf:
        """Return the times of some customers; if there is one for all, return it."""
        if not isinstance(self.clock, np.ndarray):
            return self
        return AsOf(self.clock[rows], self.dated[rows], self.tz)  # type: ignore[index]

    def in_zone(self, tz: str) -> AsOf:
        """Return the same date in another zone, where it begins at that zone's midnight; an instant does not change."""
        if tz == self.tz:
            return self
        if not np.any(self.dated):
            return AsOf(self.clock, self.dated, tz)
        clock = np.atleast_1d(np.asarray(self.clock, dtype=np.int64))
        moved = np.where(self.dated, local_midnights(local_days(clock, self.tz), tz), clock)
        return AsOf(moved if self.each else int(moved[0]), self.dated, tz)

    def before(self, span: Span) -> Any:
        """Return the last instant before a window of a length; the window's events are later, and at most at `seen`."""
        if isinstance(span, timedelta) and not np.any(self.dated):
            return self.clock - length(span)
        clock = np.atleast_1d(np.asarray(self.clock, dtype=np.int64))
        bound = earlier(clock, span, self.tz)
        days = whole_days(span)
        if np.any(self.dated) and (days is not None or isinstance(span, CalendarSpan)):
            day = local_days(clock, self.tz)
            first = day - days if days is not None else days_before(day, span)  # type: ignore[arg-type]
            whole = self.dated & (clock == local_midnights(day, self.tz))  # false after a move back by hours
            bound = np.where(whole, local_midnights(first, self.tz), bound)
        bound = bound - self.dated
        return bound if self.each else int(bound[0])

    def moved(self, span: Span) -> AsOf:
        """Return the point in time that lies a span earlier."""
        bound = self.before(span)
        return AsOf(bound + self.dated, self.dated, self.tz)

    def ages(self, times: Any, span: Span | None = None, *, inclusive: bool = False) -> Any:
        """Return the microseconds from each time to the clock.

        Up to a date's midnight they are differences of local time, if `span` is a number of whole days or is not given.
        A time exactly one span away counts as older than the span for an instant, and as younger for a date, as in
        windows; with `inclusive` it counts as older for both.
        """
        if not np.any(self.dated):
            return self.clock - times
        times = np.asarray(times, dtype=np.int64)
        clock = np.asarray(self.clock, dtype=np.int64)
        local = clock - times
        if span is None or whole_days(span) is not None:
            local = to_local(clock, self.tz) - to_local(times, self.tz)
        return np.where(self.dated, local - (not inclusive), clock - times)

    def elapsed(self, times: Any) -> Any:
        """Return the days from each time to the clock: days of 86,400 seconds, or local days for a date."""
        return self.ages(times, inclusive=True) / DAY

    @property
    def day(self) -> Any:
        """The local day of the clock, as days since 1970."""
        return self._day_of(self.clock)

    @property
    def last_day(self) -> Any:
        """The local day of the last instant seen, as days since 1970."""
        return self._day_of(self.seen)

    def _day_of(self, at: int | IntArray) -> Any:
        days = local_days(np.atleast_1d(np.asarray(at, dtype=np.int64)), self.tz)
        return days if self.each else int(days[0])

    def __str__(self) -> str:
        if self.each:
            return "one instant per customer"
        return str(self.given) if self.dated else instant_text(int(self.clock))


def read_as_of(value: AsOfGiven, *, tz: str = "UTC", name: str = "as_of", n: int | None = None) -> AsOf:
    """Read an `as_of` argument: one date or instant, or one per customer if `n` is given.

    Parameters
    ----------
    value : date, datetime, datetime64 or str, or a column of n of them
        A time without a zone is local time of `tz`, whatever its type.
    tz : str
        The time zone of dates and of times without one.
    name : str
        The argument, for messages.
    n : int, optional
        The number of customers; without it, a single value is needed.

    Examples
    --------
    >>> read_as_of("2026-11-01").given, read_as_of("2026-11-01T00:00Z").given
    (np.datetime64('2026-11-01'), np.datetime64('2026-11-01T00:00:00.000000'))
    """
    column: Any = with_zone(value)
    if hasattr(value, "__array__") and not isinstance(value, np.generic) and not isinstance(column, UtcTimes):
        column = np.asarray(value)
    if n is not None and (
        isinstance(column, (list, tuple, UtcTimes)) or (isinstance(column, np.ndarray) and column.ndim)
    ):
        same_length(name, column, n)  # type: ignore[arg-type]
        times = read_times(name, _objects(column) if isinstance(column, (list, tuple)) else column, tz=tz)
        return AsOf(times.instants, np.broadcast_to(np.asarray(times.given) == DATE, times.instants.shape), tz)
    if isinstance(column, np.ndarray) and column.ndim == 0:
        column = column[()]
    return AsOf(*read_instant(column, tz=tz, name=name), tz)


def _objects(items: Sequence[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
