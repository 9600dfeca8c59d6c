"""Calendar lengths of time: local days and months, which are not always 24 hours or 30 days long.

A `datetime.timedelta` is elapsed time. A `CalendarSpan` goes back in the local time of a zone instead, so that windows
of one day, asked for once a day, contain every event exactly once, even if the clock changes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import numpy as np

from relmark.core.checks import IntArray, shown, whole
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.time import duration, duration_text, parse_duration
from relmark.core.zones import DAY, first_instants, to_local

__all__ = [
    "LONGEST",
    "CalendarSpan",
    "Span",
    "calendar_days",
    "check_span",
    "earlier",
    "length",
    "months",
    "parse_span",
    "repeated",
    "span_body",
    "whole_days",
]

_MOST_DAYS = 366 * 10_000
_US = timedelta(microseconds=1)
LONGEST = 1 << 59
"""The microseconds of 18,000 years, longer than between any two instants; longer durations are cut to it."""


@attrs.frozen(repr=False)
class CalendarSpan:
    """A number of local days or months; build one with `calendar_days` or `months`."""

    months: int = 0
    days: int = 0

    def __repr__(self) -> str:
        return f"months({self.months})" if self.months else f"calendar_days({self.days})"


Span: TypeAlias = timedelta | CalendarSpan
"""A length of time: a timedelta, or days and months of the calendar."""


def calendar_days(n: int) -> CalendarSpan:
    """Return a span of n local days: it goes back to the same local time n days before.

    A day on which the clock changes has 23 or 25 hours. If `as_of` is a date, the span is the n days before that date.

    Examples
    --------
    >>> calendar_days(7)
    calendar_days(7)
    """
    return CalendarSpan(days=whole("calendar_days(n)", n, low=1, high=_MOST_DAYS))


def months(n: int) -> CalendarSpan:
    """Return a span of n months: it goes back to the same day of the month and local time, or the month's last day.

    Examples
    --------
    >>> months(3)
    months(3)
    """
    return CalendarSpan(months=whole("months(n)", n, low=1, high=120_000))


def check_span(name: str, value: Span, *, positive: bool = True) -> None:
    """Refuse a value that is neither a timedelta nor a CalendarSpan, and a length that is not above zero."""
    if isinstance(value, CalendarSpan):
        return
    if not isinstance(value, timedelta):
        raise InputError(
            f"{name} is {shown(value)}: a length of time is needed, such as days(30), hours(2), calendar_days(7) or "
            "months(1).",
            argument=name,
            code="wrong_type",
        )
    duration(name, value, positive=positive)


def whole_days(span: Span) -> int | None:
    """Return how many days a span has, or None if it is not a whole number of days."""
    if isinstance(span, CalendarSpan):
        return None if span.months else span.days
    days, rest = divmod(length(span), DAY)
    return None if rest else days


def length(span: timedelta) -> int:
    """Return a duration in microseconds, at most `LONGEST`."""
    return min(span // _US, LONGEST)


def repeated(span: timedelta, n: int) -> timedelta:
    """Return n times a duration, at most `LONGEST`."""
    return timedelta(microseconds=min(length(span) * n, LONGEST))


def earlier(times: IntArray, span: Span, tz: str) -> IntArray:
    """Return instants moved back by a span, which is elapsed time or counts in the local time of a zone.

    A local time that the clock skips becomes the first instant after the gap; of two instants with the same local time,
    it is the earlier one.
    """
    if not isinstance(span, CalendarSpan):
        return times - length(span)
    wall = to_local(times, tz)
    day = np.floor_divide(wall, DAY)
    return first_instants(days_before(day, span) * DAY + (wall - day * DAY), tz)


def days_before(day: IntArray, span: CalendarSpan) -> IntArray:
    """Return days since 1970, moved back by a CalendarSpan."""
    if span.months:
        date = day.astype("M8[D]")
        month = date.astype("M8[M]")
        of_month = (date - month.astype("M8[D]")).astype(np.int64)
        target = month.astype(np.int64) - span.months
        first, after = (number.astype("M8[M]").astype("M8[D]").astype(np.int64) for number in (target, target + 1))
        day = first + np.minimum(of_month, after - first - 1)
    return day - span.days


def span_body(span: Span) -> str | dict[str, int]:
    """Return the stored form of a span: ISO 8601 for elapsed time, or a number of calendar days or months."""
    if isinstance(span, CalendarSpan):
        return {"months": span.months} if span.months else {"calendar_days": span.days}
    return duration_text(span)


def parse_span(body: Any, path: str = "$") -> Span:
    """Return the span of a stored form."""
    if not isinstance(body, dict):
        return parse_duration(body, path)
    makers = {"months": months, "calendar_days": calendar_days}
    name = next(iter(body), None)
    if len(body) != 1 or name not in makers:
        raise DefinitionError(
            f"{shown(body)} is not a length of time.",
            path=path,
            code="not_duration",
            hint='Write ISO 8601, such as "P30D", or {"calendar_days": 7} or {"months": 1}.',
        )
    try:
        return makers[name](body[name])
    except InputError as error:
        raise definition_error(error, f"{path}.{name}") from None
