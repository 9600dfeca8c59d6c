"""Calendar days, midnights and birthdays of single instants, in pure Python, because numpy is slow for one row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from relmark.core.spans import Span, days_before, earlier, length
from relmark.core.time import DAY, local_days, local_midnights, time_zone, to_local
from relmark.expressions.periods import Period

__all__ = [
    "NEVER",
    "Dated",
    "Zone",
    "anniversary_beside",
    "completed_years",
    "days_since_anniversary",
    "days_to_anniversary",
    "first_day",
    "last_seen",
    "period_number",
    "returns_in_period",
]

NEVER = 1 << 62
"""An instant after all others."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = 719_163  # date(1970, 1, 1).toordinal()
_US = timedelta(microseconds=1)
_FIRST_DAY, _LAST_DAY = -719_100, 2_932_800  # of the years of Python's dates, with a margin for zones
_FAR = 100_000_000
_SHORTEST = 28  # days that every month has
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_CYCLE = {"day": 146_097, "week": 20_871, "month": 4_800, "quarter": 1_600, "year": 400}
"""The number of periods in 400 years, after which the calendar, including weekdays, repeats."""


class Dated(int):
    """The midnight of a date that was given as `as_of`: events before it are seen, and whole days are local days."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as a `Dated`."""
        return Dated, (int(self),)


def last_seen(at: int) -> int:
    """Return the last instant that is seen at a point in time: itself, or the microsecond before a date."""
    return at - 1 if at.__class__ is Dated else at


class Zone:
    """The calendar of one time zone.

    Parameters
    ----------
    name : str
        Such as 'Europe/Berlin'.
    """

    __slots__ = ("_zone", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = None if name == "UTC" else time_zone(name)

    def day(self, at: int) -> int:
        """Return the local calendar day of an instant, as days since 1970."""
        if self._zone is None:
            return at // DAY
        try:
            return (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone).toordinal() - _EPOCH_DAY
        except OverflowError:  # within a day of the ends of Python's calendar
            return int(local_days(np.array([at]), self.name)[0])

    def wall(self, at: int) -> int:
        """Return an instant as local time, in microseconds."""
        if self._zone is None:
            return int(at)
        try:
            local = (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone)
        except OverflowError:  # within a day of the ends of Python's calendar
            return int(to_local(np.array([at], dtype=np.int64), self.name)[0])
        return (local.replace(tzinfo=UTC) - _EPOCH) // _US

    def before(self, at: int, span: Span) -> int:
        """Return the point in time that lies a span before another; whole days before a date are local days."""
        if at.__class__ is not Dated:
            if span.__class__ is timedelta:
                return at - length(span)
            return int(earlier(np.array([at], dtype=np.int64), span, self.name)[0])
        day = self.day(at)
        if self.midnight(day) != at:  # after a step back by hours
            return Dated(self.before(int(at), span))
        if isinstance(span, timedelta):
            days, rest = divmod(length(span), DAY)
            return Dated(at - length(span)) if rest else Dated(self.midnight(day - days))
        return Dated(self.midnight(int(days_before(np.array([day], dtype=np.int64), span)[0])))

    def back(self, at: int, spans: tuple[Span, ...]) -> int:
        """Return the point in time that lies several spans before another."""
        for span in spans:
            at = self.before(at, span)
        return at

    def after(self, time: int, *spans: Span | None, at: int | None = None) -> int:
        """Return the first instant from which going back the spans reaches a time or a later one.

        With a calendar span it is found by bisection: going back keeps the order of times, except in an hour that the
        clock shows twice, and in the last days of a month that follows a shorter one. If `at` is given, an instant from
        which the spans go back to before the time, the result is later than `at` and at most the first such instant: if
        the order is broken before it, the result is the instant where that happens.
        """
        given = [span for span in spans if span is not None]
        elapsed = [length(span) for span in given if isinstance(span, timedelta)]
        if len(elapsed) == len(given):
            return time + sum(elapsed)
        low = high = time
        for span in given:
            if isinstance(span, timedelta):
                low, high = low + length(span), high + length(span)
            else:
                low += max((span.days + 28 * span.months - 4) * DAY, 0)
                high += (span.days + 31 * span.months + 4) * DAY

        def reached(moment: int) -> bool:
            return self.back(moment, tuple(given)) >= time

        low -= 1
        if at is not None:
            low = max(low, int(at))
            high = max(high, low + 1)
            change = min(self.next_offset(low, high) or NEVER, self.next_turn(low, tuple(given)))
            if change <= high:
                if not reached(change - 1):
                    return change
                high = change - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def next_turn(self, at: int, spans: tuple[Span, ...]) -> int:
        """Return the first instant after `at` from which going back by spans with months may reach further than before.

        This happens at the midnights of the 29th to the 31st: a shorter month before has no such days, and its last day
        is used for all of them.
        """
        point = at
        for k, span in enumerate(spans):
            if isinstance(span, timedelta) or not span.months:
                point = self.before(point, span)
                continue
            day = self.day(point) + 1
            while day < _LAST_DAY and _date(day).day <= _SHORTEST:
                day += _SHORTEST + 1 - _date(day).day
            if day >= _LAST_DAY:
                return NEVER
            turn = self.midnight(day)
            if turn <= point:  # the clock was set back across midnight
                turn = self.next_edge(day, point)
            # Further spans of months have the same midnights: they start from the same day of a month, or its last one.
            return self.after(turn, *spans[:k], at=at) if k else turn
        return NEVER

    def next_offset(self, low: int, high: int) -> int | None:
        """Return the first instant after `low`, up to `high`, at which the offset from UTC changes, or None."""
        if self._zone is None:
            return None
        marks = np.append(np.arange(low, high, DAY, dtype=np.int64), high)
        offsets = to_local(marks, self.name) - marks
        places = np.flatnonzero(offsets != offsets[0])
        if len(places) == 0:
            return None
        low, high = int(marks[places[0] - 1]), int(marks[places[0]])
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.wall(middle) - middle == offsets[0] else (low, middle)
        return high

    def period_bounds(self, period: Period, at: int) -> tuple[int, int]:
        """Return the bounds of the calendar period of a window: low < time <= high."""
        first, after = period.bounds(period_number(self.day(at), period.unit))
        return self.midnight(first_day(first, period.unit)) - 1, self.midnight(first_day(after, period.unit)) - 1

    def midnight(self, day: int) -> int:
        """Return the instant at which a local day begins; if midnight is skipped, the first instant after it."""
        if self._zone is None:
            return day * DAY
        if _FIRST_DAY < day < _LAST_DAY:
            wall = datetime.fromordinal(day + _EPOCH_DAY)
            at = self._instant(wall, 0)
            if (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone).replace(tzinfo=None) == wall:
                return at
        return int(local_midnights(np.array([day]), self.name)[0])

    def next_edge(self, day: int, at: int) -> int:
        """Return the first instant after `at` at which the local day changes from before `day` to `day`, or back.

        This is the midnight of the day; but if the clock is set back across midnight, the day before returns.
        """
        if not _FIRST_DAY < day < _LAST_DAY:
            return NEVER
        first = self.midnight(day)
        if at < first:
            return first
        if self._zone is None or at > first + DAY:
            return NEVER
        again = self._instant(datetime.fromordinal(day + _EPOCH_DAY) - _US, 1) + 1
        if again <= first:
            return NEVER
        low, high = first, again - 1  # it is this day at `low`, and the day before at `high`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.day(middle) >= day else (low, middle)
        return high if at < high else again if at < again else NEVER

    def _instant(self, wall: datetime, fold: int) -> int:
        offset = wall.replace(tzinfo=self._zone, fold=fold).utcoffset()
        assert offset is not None
        return (wall.replace(tzinfo=UTC) - offset - _EPOCH) // _US


def birthday(born: date, year: int) -> int:
    """Return the day on which a date returns in a year; 29 February becomes 28 February in years without one."""
    try:
        return date(year, born.month, born.day).toordinal() - _EPOCH_DAY
    except ValueError:
        return date(year, 2, 28).toordinal() - _EPOCH_DAY


def completed_years(born: int, today: int) -> int:
    """Return the completed years from a day to another."""
    start, year = _date(born), _date(today).year
    return year - start.year - (birthday(start, year) > today)


def days_to_anniversary(day: int, today: int) -> int:
    """Return how many days there are from a day to the next return of another's month and day; 0 is that day."""
    start, year = _date(day), _date(today).year
    coming = birthday(start, year)
    return (coming if coming >= today else birthday(start, year + 1)) - today


def days_since_anniversary(day: int, today: int) -> int:
    """Return how many days before a day another's month and day last returned; 0 is that day."""
    start, year = _date(day), _date(today).year
    latest = birthday(start, year)
    return today - (latest if latest <= today else birthday(start, year - 1))


def returns_in_period(day: int, number: int, unit: str) -> bool:
    """Return whether the month and day of a day return within the calendar period with a number."""
    number %= _CYCLE[unit]  # so that it lies within Python's dates
    first = first_day(number, unit)
    return days_to_anniversary(day, first) < first_day(number + 1, unit) - first


def anniversary_beside(day: int, other: int, years: int) -> int:
    """Return a date's anniversary that lies a number of years after another of its anniversaries."""
    return birthday(_date(day), _date(other).year + years)


def period_number(day: int, unit: str) -> int:
    """Return the number of the calendar period that contains a day; the numbers of adjacent periods differ by one."""
    if unit == "day":
        return day
    if unit == "week":  # 1970-01-01 was a Thursday; weeks begin on Monday
        return (day + 3) // 7
    found = _date(day)
    return (found.year * 12 + found.month - 1) // _MONTHS[unit]


def first_day(number: int, unit: str) -> int:
    """Return the first day of the calendar period with a number."""
    if unit == "day":
        return number
    if unit == "week":
        return number * 7 - 3
    year, month = divmod(number * _MONTHS[unit], 12)
    if not 1 <= year <= 9_999:
        return -_FAR if year < 1 else _FAR
    return date(year, month + 1, 1).toordinal() - _EPOCH_DAY


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH_DAY)
