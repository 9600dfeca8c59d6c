"""When each customer's campaign began: one date or instant for all, a column of them, or a mapping by customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from relmark.core import checks
from relmark.core.as_of import AsOfGiven, read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, IntArray
from relmark.core.errors import InputError
from relmark.core.frames import columns_of
from relmark.core.spans import CalendarSpan, Span, days_before, earlier, length, whole_days
from relmark.core.time import DATE, DAY, Instant, aware, local_instants, local_midnights, read_times
from relmark.core.zones import local_days, to_local

__all__ = ["FIRST", "StartGiven", "Starts", "counts_days", "given_of", "shifted_days", "starts_of"]

StartGiven: TypeAlias = AsOfGiven | Mapping[Any, Instant]
"""When the test began: for all, for each row, or by customer."""

_NAT = np.iinfo(np.int64).min
FIRST, _LAST = -62_135_596_800_000_000 + 3 * DAY, 253_402_300_799_999_999 - 3 * DAY
"""The first and last instant that can be written in every time zone."""


class Starts(NamedTuple):
    """When each customer's campaign began."""

    time: IntArray
    """Microseconds UTC, shape (n,); for a date, its first local instant. Customers who never started have any value."""
    dated: BoolArray
    """Whether a date was given."""
    known: BoolArray
    """False for customers who never started."""
    tz: str

    @property
    def day(self) -> IntArray:
        """The local day of each start, as days since 1970."""
        return local_days(self.time, self.tz)

    @property
    def within_day(self) -> BoolArray:
        """Whether the start lies within its day, so that the day is neither before nor after it."""
        off = self.time != local_midnights(self.day, self.tz)
        return np.asarray(~self.dated & off)

    def given(self, tz: str | None = None) -> Any:
        """Return the starts in a form for `as_of`: dates stay dates; instants are written in `tz`."""
        return given_of(self.time, self.dated, self.tz, self.tz if tz is None else tz)

    def just_before(self) -> Any:
        """Return the time just before the starts in a form for `as_of`; a date sees nothing of its day.

        At the exact instant of a start, a message of the campaign itself may already show who is in which arm.
        """
        return given_of(np.where(self.dated, self.time, self.time - 1), self.dated, self.tz, self.tz)

    def moved(self, span: Span, *, back: bool = False) -> tuple[IntArray, BoolArray]:
        """Return the starts moved forward or back, and which are still dates; whole days from a date are local days."""
        timed = shifted(self.time, span, self.tz, back=back)
        if not counts_days(span):
            return timed, np.zeros_like(self.dated)
        if not self.dated.any():
            return timed, self.dated
        dated = local_midnights(shifted_days(self.day, span, back=back), self.tz)
        return np.where(self.dated, dated, timed), self.dated


def counts_days(span: Span) -> bool:
    """Return whether a span is a whole number of days or counted by the calendar."""
    return isinstance(span, CalendarSpan) or whole_days(span) is not None


def shifted(times: IntArray, span: Span, tz: str, *, back: bool) -> IntArray:
    """Return instants moved by a span, on the wall clock for calendar spans, within the ends of the calendar."""
    if isinstance(span, CalendarSpan):
        moved = earlier(times, span if back else _opposite(span), tz)
    else:
        moved = times - length(span) if back else times + length(span)
    return np.clip(moved, FIRST, _LAST)


def shifted_days(day: IntArray, span: Span, *, back: bool) -> IntArray:
    """Return local days moved by a span of whole days or of the calendar."""
    if isinstance(span, CalendarSpan):
        moved = days_before(day, span if back else _opposite(span))
    else:
        days = whole_days(span)
        assert days is not None
        moved = day - days if back else day + days
    return np.clip(moved, FIRST // DAY, _LAST // DAY)


def _opposite(span: CalendarSpan) -> CalendarSpan:
    return CalendarSpan(months=-span.months, days=-span.days)


def given_of(time: IntArray, dated: BoolArray, zone: str, tz: str) -> Any:
    """Return points in time in a form for `as_of`: one for all, or a column; instants as wall times of `tz`.

    `zone` is the zone in whose midnights dates begin.
    """
    if len(time) and (time == time[0]).all() and (dated == dated[0]).all():
        return local_days(time[:1], zone).astype("M8[D]")[0] if dated[0] else aware(int(time[0]))
    if dated.all():
        return local_days(time, zone).astype("M8[D]")
    if not dated.any():
        wall = to_local(time, tz)
        if tz == "UTC" or (local_instants(wall, tz) == time).all():  # otherwise a wall time occurred twice
            return wall.view("M8[us]")
    column: list[datetime | Any] = [aware(at) for at in time.tolist()]
    places = np.flatnonzero(dated)
    for place, day in zip(places.tolist(), local_days(time[places], zone).astype("M8[D]").tolist(), strict=True):
        column[place] = day
    objects = np.empty(len(column), dtype=object)
    objects[:] = column
    return objects


def starts_of(base: CustomerBase, start: StartGiven | Starts) -> Starts:
    """Return the start of each customer of a base: one for all, a column of them, or a mapping by id."""
    n = len(base)
    if isinstance(start, Starts):
        return start
    if isinstance(start, Mapping):
        ids = list(start)
        rows = base.find(ids) if ids else np.empty(0, dtype=np.int64)
        if (rows < 0).any():
            raise InputError(
                f"start has customer {ids[int(np.argmax(rows < 0))]!r}, whom the base does not have.",
                argument="start",
                code="unknown_name",
            )
        values = np.empty(len(ids), dtype=object)
        values[:] = list(start.values())
        times = read_times("start", values, tz=base.tz, missing=True)
        time, dated = np.full(n, _NAT), np.zeros(n, dtype=np.bool_)
        time[rows] = times.instants
        dated[rows] = np.asarray(times.given) == DATE
    elif _is_column(start):
        column = _column(start)
        checks.same_length("start", column, n)
        times = read_times("start", column, tz=base.tz, missing=True)
        time, dated = times.instants, np.broadcast_to(np.asarray(times.given) == DATE, (n,))
    else:
        one = read_as_of(start, tz=base.tz, name="start")
        time, dated = np.full(n, one.clock), np.full(n, one.dated)
    known = time != _NAT
    if not known.any():
        raise InputError(
            "start is missing for everybody: at least one customer needs a start.",
            argument="start",
            code="missing_value",
        )
    # Customers who never started get any start, and are left out.
    return Starts(np.where(known, time, time[known].min()), np.where(known, dated, dated[known].all()), known, base.tz)


def _is_column(start: Any) -> bool:
    if isinstance(start, (str, datetime, np.generic)):
        return False
    return isinstance(start, Sequence) or np.ndim(start) > 0 or (hasattr(start, "__len__") and hasattr(start, "dtype"))


def _column(start: Any) -> Any:
    if isinstance(start, np.ndarray):
        return start
    if isinstance(start, Sequence):
        objects = np.empty(len(start), dtype=object)
        objects[:] = start
        return objects
    if hasattr(start, "to_frame"):  # a column of pandas or polars, whose zone numpy would drop
        return columns_of(start.to_frame(name="start"))["start"]
    return _column(start.to_pylist()) if hasattr(start, "to_pylist") else np.asarray(start)
