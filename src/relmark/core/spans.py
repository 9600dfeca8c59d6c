"""Lengths of time that a calendar counts: local days and months, which are not always 24 hours or 30 days long.

A `datetime.timedelta` is elapsed time. A `CalendarSpan` goes back on the wall clock of a zone instead, so that windows
of a day that are asked for once a day meet everybody exactly once, over a change of the clock too.
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
"""Microseconds of 18,000 years, more than lie between any two instants: people write ``timedelta.max`` for ever."""


@attrs.frozen(repr=False)
class CalendarSpan:
    """So many local days and months; build one with `calendar_days` or `months`."""

    months: int = 0
    days: int = 0

    def __repr__(self) -> str:
        return f"months({self.months})" if self.months else f"calendar_days({self.days})"


Span: TypeAlias = timedelta | CalendarSpan
"""A length of time: a timedelta, or days and months of the calendar."""


def calendar_days(n: int) -> CalendarSpan:
    """Return a span of n local days: back to the same time of the wall clock, n days before.

    A day of it has 23 or 25 hours where the clock changes. With a date as `as_of` it is the n days before that date.

    Examples
    --------
    >>> calendar_days(7)
    calendar_days(7)
    """
    return CalendarSpan(days=whole("calendar_days(n)", n, low=1, high=_MOST_DAYS))


def months(n: int) -> CalendarSpan:
    """Return a span of n months: back to the same day of the month and time of the wall clock, or the month's last day.

    Examples
    --------
    >>> months(3)
    months(3)
    """
    return CalendarSpan(months=whole("months(n)", n, low=1, high=120_000))


def check_span(name: str, value: Span, *, positive: bool = True) -> None:
    """Refuse what is neither a timedelta nor a span of the calendar, and one of no length."""
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
    """Return how many days a span has, None where it is not a whole number of days."""
    if isinstance(span, CalendarSpan):
        return None if span.months else span.days
    days, rest = divmod(length(span), DAY)
    return None if rest else days


def length(span: timedelta) -> int:
    """Return a duration in microseconds, at most `LONGEST`."""
    return min(span // _US, LONGEST)


def repeated(span: timedelta, n: int) -> timedelta:
    """Return a duration n times over, at most as long as the calendar."""
    return timedelta(microseconds=min(length(span) * n, LONGEST))


def earlier(times: IntArray, span: Span, tz: str) -> IntArray:
    """Return instants moved back by a span: by elapsed time, or on the wall clock of a zone.

    A wall time that the clock skipped is the first instant after the gap; of two equal ones it is the earlier.
    """
    if not isinstance(span, CalendarSpan):
        return times - length(span)
    wall = to_local(times, tz)
    day = np.floor_divide(wall, DAY)
    return first_instants(days_before(day, span) * DAY + (wall - day * DAY), tz)


def days_before(day: IntArray, span: CalendarSpan) -> IntArray:
    """Return days since 1970 moved back by a span of the calendar."""
    if span.months:
        date = day.astype("M8[D]")
        month = date.astype("M8[M]")
        of_month = (date - month.astype("M8[D]")).astype(np.int64)
        target = month.astype(np.int64) - span.months
        first, after = (number.astype("M8[M]").astype("M8[D]").astype(np.int64) for number in (target, target + 1))
        day = first + np.minimum(of_month, after - first - 1)
    return day - span.days


def span_body(span: Span) -> str | dict[str, int]:
    """Return the stored form of a span: ISO 8601 for elapsed time, a count of days or months for the calendar."""
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
