"""Tests of time as comparisons of two times, which every engine supports; arithmetic with dates is not portable."""

from __future__ import annotations

import operator
from datetime import date, datetime, timedelta
from typing import Any

from relmark.core.time import DAY
from relmark.expressions.scalar_calendar import Zone

__all__ = ["compared_day", "compared_midnight", "compared_time", "dated", "elapsed_from", "plain_time"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (engines compare UTC times without a zone)
_EPOCH_DAY = 719_163
_LONGEST = 1 << 59
_FIRST = (datetime.min - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901
_LAST = (datetime.max - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901


def plain_time(at: int) -> datetime | None:
    """Return an instant in microseconds as a UTC time without a time zone; None beyond the range of datetime."""
    return _EPOCH + timedelta(microseconds=at) if _FIRST <= at <= _LAST else None


def compared_time(nw: Any, op: str, column: Any, at: int) -> Any:
    """Return how times compare with an instant; beyond the range of datetime, all times are on one side of it."""
    moment = plain_time(at)
    if moment is not None:
        return getattr(operator, op)(column, nw.lit(moment))
    true = op == "ne" or op in ({"gt", "ge"} if at < _FIRST else {"lt", "le"})
    return nw.when(~column.is_null()).then(nw.lit(true))


def compared_day(nw: Any, op: str, column: Any, day: int) -> Any:
    """Return how dates compare with a day since 1970, which may lie beyond the range of dates."""
    if 1 <= day + _EPOCH_DAY <= date.max.toordinal():
        return getattr(operator, op)(column, nw.lit(date.fromordinal(day + _EPOCH_DAY)))
    true = op == "ne" or op in ({"gt", "ge"} if day < 0 else {"lt", "le"})
    return nw.when(~column.is_null()).then(nw.lit(true))


def compared_midnight(nw: Any, zone: Zone, op: str, days: Any, at: int) -> Any:
    """Return how the midnights of dates compare with an instant."""
    below, upto = (compared_day(nw, "lt", days, _day_from(zone, at, above=above)) for above in (False, True))
    found = {"lt": below, "ge": ~below, "le": upto, "gt": ~upto}
    return found[op] if op in found else (~below & upto if op == "eq" else below | ~upto)


def elapsed_from(bound: float, *, above: bool) -> int:
    """Return the smallest number of microseconds whose number of days is at least `bound`, or above it.

    It uses the same division of microseconds into days as numpy, so that rounding always decides in the same way.
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


def _day_from(zone: Zone, at: int, *, above: bool) -> int:
    """Return the first day whose midnight is at or after an instant; with `above`, strictly after it."""
    if not _FIRST <= at <= _LAST:
        return -_LONGEST if at < _FIRST else _LONGEST
    day = zone.day(at) - 1
    while zone.midnight(day) < at or (above and zone.midnight(day) == at):
        day += 1
    return day


def dated(zone: Zone, value: Any) -> int:
    """Return the instant of a literal: an instant, or the midnight of a date."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    return zone.midnight(value.toordinal() - 719_163)
