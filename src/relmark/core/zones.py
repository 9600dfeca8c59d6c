"""Local time: conversion of columns of instants to local times and days of a named time zone, and back.

The changes of a zone are computed once per zone and decade; then a column needs one binary search per row.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray, shown
from relmark.core.errors import InputError

__all__ = [
    "DAY",
    "HOUR",
    "SECOND",
    "first_instants",
    "local_days",
    "local_instants",
    "local_midnights",
    "time_zone",
    "to_local",
]


SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_SPAN = 3_653 * DAY  # changes of a zone are kept in tables of about ten years
_STEP = 3 * 86_400
_MANY_SPANS = 30
_FIRST_SECOND = (datetime(1, 1, 3, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LAST_SECOND = (datetime(9999, 12, 29, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


def time_zone(tz: str) -> tzinfo:
    """Return the time zone of a name such as 'Europe/Berlin'."""
    if not isinstance(tz, str):
        raise InputError(
            f"tz is {shown(tz)}: a name such as 'Europe/Berlin' is needed.", argument="tz", code="wrong_type"
        )
    return UTC if tz == "UTC" else _zone(tz)


@lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"tz is {shown(tz)}, which this machine does not know: write a name such as 'Europe/Berlin', "
            "and install the package tzdata if the system has no time zones.",
            argument="tz",
            code="not_installed",
        ) from None


@lru_cache(maxsize=1_024)
def _changes_of_span(tz: str, span: int) -> tuple[IntArray, IntArray]:
    """Return the instants within a span at which the offset of a zone changes, and the offset from each of them on.

    The first entry is the span's start. Offsets are read every three days, and a change is found to the second by
    bisection. In the whole time zone database, no zone changes its offset and changes it back within three days.
    """
    zone = time_zone(tz)
    first, last = _FIRST_SECOND, _LAST_SECOND

    def offset(second: int) -> int:
        found = (_EPOCH + timedelta(seconds=min(max(second, first), last))).astimezone(zone).utcoffset()
        return 0 if found is None else found // _US

    start = span * _SPAN // SECOND
    end = start + _SPAN // SECOND
    times, offsets = [start * SECOND], [offset(start)]
    for low in range(start, end, _STEP):
        high = min(low + _STEP, end - 1)
        while offset(high) != offsets[-1]:
            left, right = max(low, times[-1] // SECOND), high
            while right - left > 1:
                middle = (left + right) // 2
                left, right = (middle, right) if offset(middle) == offsets[-1] else (left, middle)
            times.append(right * SECOND)
            offsets.append(offset(right))
    return np.array(times, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _zone_changes(times: IntArray, tz: str) -> tuple[IntArray, IntArray]:
    """Return the changes of a zone that matter for times (local or UTC), with a margin of two days on either side."""
    low, high = (int(times.min()) - 2 * DAY) // _SPAN, (int(times.max()) + 2 * DAY) // _SPAN
    spans = range(low, high + 1)
    if len(spans) > _MANY_SPANS:  # a single 9999-12-31 among recent dates must not need a table of 8,000 years
        near = np.unique(np.concatenate([(times - 2 * DAY) // _SPAN, (times + 2 * DAY) // _SPAN]))
        found = [_changes_of_span(tz, span) for span in near.tolist()]
    else:
        found = [_changes_of_span(tz, span) for span in spans]
    return np.concatenate([changes for changes, _ in found]), np.concatenate([offsets for _, offsets in found])


def to_local(utc: IntArray, tz: str) -> IntArray:
    """Return instants as local times of a zone, in microseconds."""
    utc = np.asarray(utc, dtype=np.int64)
    if tz == "UTC":
        return utc
    if utc.size == 0:
        time_zone(tz)
        return utc
    times, offsets = _zone_changes(utc, tz)
    return utc + offsets[np.searchsorted(times, utc, side="right") - 1]


def local_days(utc: IntArray, tz: str = "UTC") -> IntArray:
    """Return the calendar day of each instant in a zone, as days since 1970."""
    return np.floor_divide(to_local(utc, tz), DAY)


def local_instants(local: IntArray, tz: str, *, name: str = "time") -> IntArray:
    """Return the instants of local times: the earlier one if there are two, and an error for a time that is skipped.

    A midnight that the clock skips becomes the first instant of its day.
    """
    local = np.asarray(local, dtype=np.int64)
    if tz == "UTC":
        return local
    if local.size == 0:
        time_zone(tz)
        return local
    utc, missing = _to_utc(local, tz)
    if missing.any() and not (local[missing] % DAY).any():
        return first_instants(local, tz)
    missing &= local % DAY != 0
    if missing.any():
        row = int(np.argmax(missing))
        wall = np.datetime64(int(local[row]), "us")
        raise InputError(
            f"{name} has {wall} in row {row}, which does not exist in {tz}: the clock skips it.",
            argument=name,
            row=row,
            code="wrong_value",
            hint="Pass the zone of these times, such as tz='UTC', give times with a zone, or correct these rows.",
        )
    return utc


def local_midnights(day: IntArray, tz: str = "UTC") -> IntArray:
    """Return the instant at which each calendar day begins in a zone; if midnight is skipped, the first after it."""
    return first_instants(np.asarray(day, dtype=np.int64) * DAY, tz)


def first_instants(local: IntArray, tz: str) -> IntArray:
    """Return the first instant with each local time of a zone or, if that is skipped, the first instant after it."""
    local = np.asarray(local, dtype=np.int64)
    if tz == "UTC":
        return local
    if local.size == 0:
        time_zone(tz)
        return local
    utc, missing = _to_utc(local, tz)
    if missing.any():
        times, _ = _zone_changes(utc, tz)
        utc = np.where(missing, times[np.searchsorted(times, utc, side="right") - 1], utc)
    return utc


def _to_utc(local: IntArray, tz: str) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the earliest instant with each local time, and which local times do not exist."""
    times, offsets = _zone_changes(local, tz)
    before = offsets[np.searchsorted(times, local - DAY, side="right") - 1]  # the offset one day earlier
    after = offsets[np.searchsorted(times, local + DAY, side="right") - 1]
    early, late = local - before, local - after
    shows_early = early + offsets[np.searchsorted(times, early, side="right") - 1] == local
    shows_late = late + offsets[np.searchsorted(times, late, side="right") - 1] == local
    first = np.where(shows_early & shows_late, np.minimum(early, late), np.where(shows_early, early, late))
    return np.where(shows_early | shows_late, first, np.maximum(early, late)), ~(shows_early | shows_late)
