"""Quiet hours: when nobody gets marketing messages, by each person's local clock."""

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
    """Return the minutes since midnight for a time such as "21:30"."""
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", value, re.ASCII) if isinstance(value, str) else None
    minutes = -1 if found is None else int(found[1]) * 60 + int(found[2])
    if found is None or int(found[2]) > 59 or not 0 <= minutes <= _END_OF_DAY:
        raise InputError(
            f"{name} is {shown(value)}; it must be a local time from '00:00' to '24:00'.",
            argument=name,
            code="wrong_value",
        )
    return minutes


def _read_weekdays(value: Iterable[int] | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InputError(
            f"weekdays is {shown(value)}; it must be a list of days, from 1 for Monday to 7 for Sunday.",
            argument="weekdays",
            code="wrong_type",
        )
    days = sorted({whole("weekdays", day, low=1, high=7) for day in value})
    if not days:
        raise InputError(
            "weekdays is empty: leave it out if every day has quiet hours, or leave the quiet hours out.",
            argument="weekdays",
            code="empty",
        )
    return tuple(days)


@attrs.frozen
class QuietHours:
    """The hours in which marketing messages wait, by each person's local clock.

    Parameters
    ----------
    start, end : str
        Local times from '00:00' to '24:00'. `start` is the first quiet instant, and `end` is the first one after the
        quiet time. If `start` is later than `end`, the quiet time passes midnight. A time that the clock skips means
        the first instant after it, and a time that the clock shows twice means the earlier one.
    weekdays : iterable of int, optional
        The days on which a quiet time begins, from 1 for Monday to 7 for Sunday; by default, every day. A night belongs
        to the day on which it begins.

    Raises
    ------
    InputError
        If start and end are equal, or if every day is quiet from midnight to midnight, so that nobody would ever get a
        message.

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
                f"start is {self.start!r} and end is {self.end!r}, so the quiet hours would be empty or never end.",
                argument="end",
                code="wrong_value",
                hint="Leave quiet= out if no hour is quiet.",
            )
        if begin == _END_OF_DAY:
            raise InputError(
                "start is '24:00', which is '00:00' of the next day: write '00:00'.",
                argument="start",
                code="wrong_value",
            )
        if end - begin == _END_OF_DAY and (self.weekdays is None or len(self.weekdays) == 7):
            raise InputError(
                "every day is quiet from 00:00 to 24:00, so nobody would ever get a message.",
                argument="weekdays",
                code="wrong_value",
                hint="Pass weekdays= with the days that are quiet.",
            )

    @property
    def bounds(self) -> tuple[int, int]:
        """The begin and the end, in microseconds since midnight of the day on which the quiet time begins."""
        begin, end = _read_time(self.start, "start"), _read_time(self.end, "end")
        return begin * _MINUTE, (end if end > begin else end + _END_OF_DAY) * _MINUTE

    def begins_on(self, day: int) -> bool:
        """Return whether a quiet time begins on a local day, counted since 1970."""
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
