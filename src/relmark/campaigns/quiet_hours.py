"""Quiet hours: when nobody is written to, by the wall clock of each person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs

from relmark.core import shapes
from relmark.core.checks import shown, whole
from relmark.core.documents import check_keys
from relmark.core.errors import InputError, definition_error
from relmark.core.shapes import Shape
from relmark.core.zones import SECOND

__all__ = ["QuietHours"]

_MINUTE = 60 * SECOND
_END_OF_DAY = 24 * 60


def _read_time(value: Any, name: str) -> int:
    """Return the minutes since midnight of a text such as "21:30"."""
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", value, re.ASCII) if isinstance(value, str) else None
    minutes = -1 if found is None else int(found[1]) * 60 + int(found[2])
    if found is None or int(found[2]) > 59 or not 0 <= minutes <= _END_OF_DAY:
        raise InputError(
            f"{name} is {shown(value)}: a time of the wall clock is needed, from '00:00' to '24:00'.",
            argument=name,
            code="wrong_value",
        )
    return minutes


def _read_weekdays(value: Iterable[int] | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InputError(
            f"weekdays is {shown(value)}: a list of days is needed, 1 for Monday to 7 for Sunday.",
            argument="weekdays",
            code="wrong_type",
        )
    days = sorted({whole("weekdays", day, low=1, high=7) for day in value})
    if not days:
        raise InputError(
            "weekdays is empty: leave it out for quiet on every day, or leave the quiet hours out.",
            argument="weekdays",
            code="empty",
        )
    return tuple(days)


@attrs.frozen
class QuietHours:
    """The hours in which marketing messages wait, by each person's own clock.

    Parameters
    ----------
    start, end : str
        Times of the wall clock, from '00:00' to '24:00': `start` is quiet, `end` is not any more. A start later than
        the end passes midnight. A time that the clock skips is the first instant after it, one that it shows twice the
        earlier of the two.
    weekdays : iterable of int, optional
        The days on which a quiet time begins, 1 for Monday to 7 for Sunday; every day without it. A night belongs to
        the day on which it begins.

    Raises
    ------
    InputError
        Start and end are equal, or every day is quiet from midnight to midnight, so that nobody is ever written to.

    Examples
    --------
    >>> QuietHours("21:00", "09:00", weekdays=[5, 6])
    QuietHours(start='21:00', end='09:00', weekdays=(5, 6))
    """

    start: str = attrs.field()
    end: str = attrs.field()
    weekdays: tuple[int, ...] | None = attrs.field(default=None, converter=_read_weekdays, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check the times."""
        begin, end = _read_time(self.start, "start"), _read_time(self.end, "end")
        if begin == end or ({begin, end} == {0, _END_OF_DAY} and begin > end):
            raise InputError(
                f"start and end are both {self.start!r}: these quiet hours are empty, or never end.",
                argument="end",
                code="wrong_value",
                hint="Leave quiet= out where no hour is quiet.",
            )
        if begin == _END_OF_DAY:
            raise InputError(
                "start is '24:00', which is the '00:00' of the next day: write that.",
                argument="start",
                code="wrong_value",
            )
        if end - begin == _END_OF_DAY and (self.weekdays is None or len(self.weekdays) == 7):
            raise InputError(
                "every day is quiet from 00:00 to 24:00: nobody would ever be written to.",
                argument="weekdays",
                code="wrong_value",
                hint="Name the weekdays on which it is quiet.",
            )

    @property
    def bounds(self) -> tuple[int, int]:
        """Begin and end in microseconds since the midnight of the day on which it begins."""
        begin, end = _read_time(self.start, "start"), _read_time(self.end, "end")
        return begin * _MINUTE, (end if end > begin else end + _END_OF_DAY) * _MINUTE

    def begins_on(self, day: int) -> bool:
        """Tell whether a quiet time begins on a local day, counted since 1970."""
        return self.weekdays is None or (day + 3) % 7 + 1 in self.weekdays

    def to_dict(self) -> dict[str, Any]:
        """Return the quiet hours as JSON-ready values."""
        body: dict[str, Any] = {"start": self.start, "end": self.end}
        return body if self.weekdays is None else {**body, "weekdays": list(self.weekdays)}

    @staticmethod
    def _shape() -> Shape:
        days = shapes.array(shapes.whole(low=1, high=7), least=1, most=7)
        return shapes.obj({"start": shapes.name(5), "end": shapes.name(5), "weekdays": days}, ["start", "end"])

    @classmethod
    def _read(cls, body: Any, path: str) -> QuietHours:
        body = check_keys(body, required=("start", "end"), optional=("weekdays",), path=path, what="quiet hours")
        try:
            return cls(**body)
        except InputError as error:
            raise definition_error(error, path, body) from None
