"""Tests of time as comparisons of two times, which every engine knows: arithmetic with dates is not portable."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from relmark.core.time import DAY
from relmark.expressions.scalar_calendar import Zone

__all__ = ["day_from", "elapsed_from", "plain_day", "plain_time"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (engines compare UTC times without a zone)
_LONGEST = 1 << 55
_FIRST = (datetime(2, 1, 1) - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ001
_LAST = (datetime(9998, 12, 31) - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ001


def plain_time(at: int) -> datetime:
    """Return an instant in microseconds as a UTC time without a zone, as engines hold it."""
    return _EPOCH + timedelta(microseconds=max(_FIRST, min(at, _LAST)))


def plain_day(day: int) -> date:
    """Return a day since 1970 as a date."""
    return date.fromordinal(day + 719_163)


def elapsed_from(bound: float, *, above: bool) -> int:
    """Return the smallest number of microseconds of which so many days are at least `bound`, or above it.

    It is found with the very division that makes days of microseconds, so that rounding never decides otherwise than it
    does in numpy.
    """
    low, high = -_LONGEST, _LONGEST
    while high - low > 1:
        middle = (low + high) // 2
        days = middle / DAY
        if days > bound or (days == bound and not above):
            high = middle
        else:
            low = middle
    return high


def day_from(zone: Zone, at: int, *, above: bool) -> int:
    """Return the first day whose midnight is at or after an instant, or after it."""
    day = zone.day(at) - 1
    while zone.midnight(day) < at or (above and zone.midnight(day) == at):
        day += 1
    return day


def dated(zone: Zone, value: Any) -> int:
    """Return the instant of a literal: an instant, or the midnight of a date."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    return zone.midnight(value.toordinal() - 719_163)
