"""Calendar periods of a zone as slices of ascending times: months, quarters, years, days, and weeks from any day."""

from __future__ import annotations

import attrs
import numpy as np

from relmark.core.checks import IntArray, one_of
from relmark.core.zones import local_days, local_midnights
from relmark.expressions.calendar_tests import first_days, period_number
from relmark.expressions.periods import PERIODS

__all__ = ["WEEKDAYS", "Calendar"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@attrs.frozen
class Calendar:
    """Periods of one unit in a time zone; consecutive periods have consecutive numbers."""

    unit: str
    tz: str
    week_starts: str = "monday"

    def __attrs_post_init__(self) -> None:
        """Check the arguments."""
        one_of("period", self.unit, PERIODS)
        one_of("week_starts", self.week_starts, WEEKDAYS)

    @property
    def _shift(self) -> int:
        return WEEKDAYS.index(self.week_starts) if self.unit == "week" else 0

    def number(self, times: IntArray) -> IntArray:
        """Return the number of the period that holds each instant."""
        return self.of_day(local_days(np.atleast_1d(np.asarray(times, dtype=np.int64)), self.tz))

    def of_day(self, day: IntArray) -> IntArray:
        """Return the number of the period that holds each local day."""
        return np.asarray(period_number(day - self._shift, self.unit), dtype=np.int64)

    def first_day(self, number: IntArray) -> IntArray:
        """Return the first day of each period, as days since 1970."""
        return np.asarray(first_days(np.asarray(number, dtype=np.int64), self.unit) + self._shift)

    def begins(self, number: IntArray) -> IntArray:
        """Return the first instant of each period."""
        return local_midnights(self.first_day(number), self.tz)

    def label(self, number: IntArray) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        """Return the periods as datetime64: months and years as such, the others by their first day."""
        day = self.first_day(number).astype("M8[D]")
        return day.astype({"month": "M8[M]", "year": "M8[Y]"}.get(self.unit, "M8[D]"))
