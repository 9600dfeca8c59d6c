"""Calendar periods as windows of events: yesterday, last month, the last seven days before today, month to date."""

from __future__ import annotations

from typing import TypeVar

import attrs

from relmark.core.checks import IntArray, one_of, whole

__all__ = ["PERIODS", "Period", "period"]

PERIODS = ("day", "week", "month", "quarter", "year")
_MOST = 120_000
_Number = TypeVar("_Number", int, IntArray)


@attrs.frozen(repr=False)
class Period:
    """One or more calendar days, weeks (from Monday), months, quarters or years; build one with `period`.

    If n is the number of the unit that contains `as_of`, in the base's zone, the period goes from unit
    n + offset - count + 1 to unit n + offset.
    """

    unit: str
    offset: int = 0
    count: int = 1

    def __attrs_post_init__(self) -> None:
        """Check the unit and the numbers."""
        one_of("unit", self.unit, PERIODS)
        whole("offset", self.offset, low=-_MOST, high=0)
        whole("count", self.count, low=1, high=_MOST)

    def bounds(self, number: _Number) -> tuple[_Number, _Number]:
        """Return the numbers of the first unit and of the first one after the period; `number` is as_of's unit."""
        end = number + self.offset + 1
        return end - self.count, end

    def __repr__(self) -> str:
        offset = f", {self.offset}" if self.offset else ""
        return f'period("{self.unit}"{offset}{f", count={self.count}" if self.count > 1 else ""})'


def period(unit: str, offset: int = 0, *, count: int = 1) -> Period:
    """Return a calendar period for the window of a figure of events: ``event("purchase").sum(during=period("month"))``.

    Parameters
    ----------
    unit : {"day", "week", "month", "quarter", "year"}
        The unit, in the zone of the base; weeks begin on Monday.
    offset : int
        0 is the unit that contains `as_of`, up to `as_of`; -1 is the one before.
    count : int
        The number of units; the one at `offset` is the last.

    Examples
    --------
    >>> period("day", -1)  # yesterday
    period("day", -1)
    >>> period("day", -1, count=7)  # the seven days before today
    period("day", -1, count=7)
    >>> period("month")  # month to date
    period("month")
    """
    return Period(unit, offset, count)
