"""Calendar arithmetic on days since 1970: ages, anniversaries and periods, for arrays and for single days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.time import DAY, HOUR, to_local

__all__ = [
    "completed_years",
    "day_number",
    "days_since_anniversary",
    "days_to_anniversary",
    "first_days",
    "period_number",
    "returns_in_period",
    "shown_by_clock",
    "year_month_day",
]


def year_month_day(day: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Return the year, month and day of the month of days since 1970."""
    days = np.asarray(day, dtype=np.int64).view("M8[D]") if np.ndim(day) else np.array(day, dtype="M8[D]")
    months = days.astype("M8[M]")
    month_number = months.astype(np.int64)
    year = np.floor_divide(month_number, 12)
    return year + 1970, month_number - 12 * year + 1, (days - months.astype("M8[D]")).astype(np.int64) + 1


def day_number(year: IntArray, month: IntArray, day: IntArray) -> IntArray:
    """Return days since 1970; 29 February becomes 28 February in years without one."""
    months = ((np.asarray(year) - 1970) * 12 + np.asarray(month) - 1).astype("M8[M]")
    missing = (np.asarray(month) == 2) & (np.asarray(day) == 29) & ~_is_leap(year)
    return np.asarray(months.astype("M8[D]").astype(np.int64) + day - 1 - missing)


def _is_leap(year: Any) -> Any:
    year = np.asarray(year)
    return (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))


def completed_years(born: IntArray, today: int | IntArray) -> IntArray:
    """Return the completed years from a day to another."""
    year, month, day = year_month_day(born)
    this_year = year_month_day(today)[0]
    return np.asarray(this_year - year - (day_number(this_year, month, day) > today))


def days_to_anniversary(date: IntArray, today: int | IntArray) -> IntArray:
    """Return how many days there are from a day to the next return of a date's month and day; 0 is that day itself."""
    _, month, day = year_month_day(date)
    year = year_month_day(today)[0]
    this_year = day_number(year, month, day)
    following = np.where(this_year >= today, this_year, day_number(year + 1, month, day))
    return np.asarray(following - today, dtype=np.int64)


def days_since_anniversary(date: IntArray, today: int | IntArray) -> IntArray:
    """Return how many days before a day a date's month and day last returned; 0 is that day itself."""
    _, month, day = year_month_day(date)
    year = year_month_day(today)[0]
    this_year = day_number(year, month, day)
    latest = np.where(this_year <= today, this_year, day_number(year - 1, month, day))
    return np.asarray(today - latest, dtype=np.int64)


def returns_in_period(date: IntArray, number: IntArray, unit: str) -> npt.NDArray[np.bool_]:
    """Return whether the month and day of dates return within the calendar periods with these numbers."""
    first = first_days(np.asarray(number), unit)
    return np.asarray(days_to_anniversary(date, first) < first_days(np.asarray(number) + 1, unit) - first)


def period_number(day: IntArray, unit: str) -> IntArray:
    """Return the number of the calendar period that contains a day; the numbers of adjacent periods differ by one."""
    if unit == "day":
        return np.asarray(day)
    if unit == "week":  # 1970-01-01 was a Thursday; weeks begin on Monday
        return np.floor_divide(np.asarray(day) + 3, 7)
    months = np.asarray(day, dtype=np.int64).astype("M8[D]").astype("M8[M]").astype(np.int64)
    return np.floor_divide(months, {"month": 1, "quarter": 3, "year": 12}[unit])


def first_days(number: IntArray, unit: str) -> IntArray:
    """Return the first day of calendar periods, as days since 1970."""
    if unit == "day":
        return number
    if unit == "week":
        return np.asarray(number * 7 - 3)
    months = np.asarray(number * {"month": 1, "quarter": 3, "year": 12}[unit])
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def shown_by_clock(op: str, times: IntArray, tz: str) -> IntArray:
    """Return the local hour (0 to 23) or the day of the week (1 to 7) of instants."""
    wall = to_local(times, tz)
    return wall // HOUR % 24 if op == "hour_of_day" else (wall // DAY + 3) % 7 + 1  # 1970 began on a Thursday
