"""One instant on the local clock of one time zone: which day it is, whether it is quiet, and until when.

A policy is evaluated at one instant, so that all people in one time zone share one clock. The same few numbers serve a
whole zone and a single person.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from relmark.campaigns.quiet_hours import QuietHours
from relmark.core.zones import DAY, HOUR, first_instants
from relmark.expressions.scalar_calendar import NEVER, Zone, first_day, period_number

__all__ = ["LocalClock"]


@lru_cache(maxsize=8_192)
def _first_instant(wall: int, tz: str) -> int:
    """Return the first instant at which a zone's clock shows a time, or a later one if it skips that time."""
    return wall if tz == "UTC" else int(first_instants(np.array([wall], dtype=np.int64), tz)[0])


class LocalClock:
    """An instant in a time zone.

    Parameters
    ----------
    at : int
        Microseconds UTC.
    zone : Zone
    """

    __slots__ = ("at", "day", "tz", "zone")

    def __init__(self, at: int, zone: Zone) -> None:
        self.at = int(at)
        self.zone = zone
        self.tz = zone.name
        self.day = zone.day(self.at)

    def period_start(self, unit: str) -> int:
        """Return the first instant of the local day, week or month."""
        return self.zone.midnight(first_day(period_number(self.day, unit), unit))

    def period_end(self, unit: str) -> int:
        """Return the first instant of the next local day, week or month."""
        return self.zone.next_edge(first_day(period_number(self.day, unit) + 1, unit), self.at)

    def quiet_until(self, quiet: QuietHours) -> int | None:
        """Return when the quiet time that contains this instant ends; None if no quiet time contains it.

        Quiet times that touch, such as two whole days, count as one.
        """
        until = self.at
        for day in range(self.day - 2, self.day + 9):
            if quiet.begins_on(day):
                begin, end = self._quiet(quiet, day)
                if begin <= until < end:
                    until = end
        return until if until > self.at else None

    def quiet_next(self, quiet: QuietHours) -> int:
        """Return when the next quiet time begins."""
        for day in range(self.day - 1, self.day + 9):
            if quiet.begins_on(day):
                begin, end = self._quiet(quiet, day)
                if self.at < begin < end:
                    return begin
        return NEVER

    def _quiet(self, quiet: QuietHours, day: int) -> tuple[int, int]:
        begin, end = quiet.bounds
        return _first_instant(day * DAY + begin, self.tz), _first_instant(day * DAY + end, self.tz)

    def hour_begins(self, hour: int) -> int | None:
        """Return when an hour of the day begins next; None if it is that hour now.

        It is one hour of elapsed time from the first instant at which the clock shows it. It comes once every day, also
        on days on which the clock skips it or shows it twice.
        """
        for day in range(self.day - 1, self.day + 3):
            begin = _first_instant(day * DAY + hour * HOUR, self.tz)
            if begin <= self.at < begin + HOUR:
                return None
            if begin > self.at:
                return begin
        return NEVER

    def hour_ends(self, hour: int) -> int:
        """Return when an hour of the day ends that contains this instant."""
        for day in range(self.day - 1, self.day + 2):
            begin = _first_instant(day * DAY + hour * HOUR, self.tz)
            if begin <= self.at < begin + HOUR:
                return begin + HOUR
        return NEVER
